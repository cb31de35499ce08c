/** Options of {@linkcode Store.compact}. */
export interface CompactOptions {
  /** Ends the compaction with `ABORTED` when it fires; what was done stays done. */
  readonly signal?: AbortSignal;
  /** Told after each step of what was done so far. What it throws ends the compaction. */
  readonly onProgress?: (report: CompactReport) => void;
}

/** What {@linkcode Store.compact} has done. */
export interface CompactReport {
  /** Segments removed. */
  readonly removedFiles: number;
  /** Segments made of what was alive in them. */
  readonly madeFiles: number;
  /** By how many bytes that made the files shorter. */
  readonly freedBytes: number;
  /** Records copied. */
  readonly copiedRecords: number;
  /** Deletes that were dropped, as no file has an older value of their keys any more. */
  readonly droppedTombstones: number;
}

/** Options of {@linkcode Store.checkpoint}. */
export interface CheckpointOptions {
  /** Ends the checkpoint with `ABORTED` when it fires; nothing of it is a store then. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode Store.checkpoint} made. */
export interface CheckpointReport {
  /** Segments that the copy shares with the store, as second names of the same files. */
  readonly linkedFiles: number;
  /** Files that were copied: the log, and segments where the file system has no hard links. */
  readonly copiedFiles: number;
  /** Length of the copy's segments and log, in bytes. */
  readonly bytes: number;
}

/** Options of {@linkcode Store.verify}. */
export interface VerifyOptions {
  /** Ends the verification with `ABORTED` when it fires. */
  readonly signal?: AbortSignal;
  /** Told, some MiB at a time, how far it is. What it throws ends the verification. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/** How far a verification is. */
export interface VerifyProgress {
  /** Files begun. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that there are to be read, as far as is known: the store may grow and shrink meanwhile. */
  readonly totalBytes: number;
  /** Problems found. */
  readonly problems: number;
}

/** What {@linkcode Store.verify} found. */
export interface VerifyReport {
  /** Files read. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Records whose checksum was computed. */
  readonly records: number;
  /** Entries of the index, each of which was compared with its record unless that changed meanwhile. */
  readonly indexEntries: number;
  /** What does not hold, in words, with the place. Empty: all is well. */
  readonly problems: readonly VerifyProblem[];
}

/** One thing that does not hold. */
export interface VerifyProblem {
  /** The file. */
  readonly path: string;
  /** Byte offset in it. */
  readonly offset: number;
  /** What was found. */
  readonly message: string;
}
