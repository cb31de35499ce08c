/** Name of the thread; its module does nothing in a thread with another name. */
export const CODEC_WORKER_NAME = "flagstone-codec";

/** A value for the thread to work on, with the codec that every thread has: zstd. */
export type CodecJob =
  | {
    readonly type: "compress";
    readonly job: number;
    /** The raw value at its beginning; the stored one is put at `storedAt`. */
    readonly memory: SharedArrayBuffer;
    readonly rawBytes: number;
    readonly storedAt: number;
    readonly level: number;
  }
  | {
    readonly type: "decompress";
    readonly job: number;
    /** Without its header; transferred. */
    readonly compressed: Uint8Array<ArrayBuffer>;
    readonly rawBytes: number;
  };

/** What comes of it. */
export type CodecResult =
  /** `storedBytes` is 0 where too little would be saved. */
  | { readonly type: "compressed"; readonly job: number; readonly storedBytes: number }
  | { readonly type: "raw"; readonly job: number; readonly raw: Uint8Array<ArrayBuffer> }
  | { readonly type: "failed"; readonly job: number; readonly message: string };
