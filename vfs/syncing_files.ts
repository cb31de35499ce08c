import { ForwardFile, ForwardFs, type OpenKind } from "./_forward_fs.ts";
import type { File, Fs } from "./types.ts";

/** How {@linkcode withSyncing} syncs; all of it may be left out. */
export interface SyncingOptions {
  /** After how many bytes written the older ones are sent on their way. Default 512 KiB. */
  readonly bytesPerSync?: number;
  /** True: closing syncs nothing. Default false: it syncs what was not, so that a closed file is durable. */
  readonly noSyncOnClose?: boolean;
  /** Space is reserved in steps of this many bytes ahead of the writes. Default 0: not at all. */
  readonly preallocateBytes?: number;
}

/** How far behind the end write-back stays: the newest bytes may be written again soon. */
const LAG_BYTES = 1 << 20;
const BLOCK_BYTES = 4096;

/**
 * Spreads the cost of syncing a file that is written from start to end: every `bytesPerSync` bytes
 * what lies 1 MiB behind is sent to the disk (`syncTo`), and the file is synced when it is closed,
 * an empty one too. Its name still needs a sync of its directory. Where `syncTo` is a full sync
 * (`DenoFs`) each of those calls waits for the disk.
 */
export function withSyncing(fs: Fs, options: SyncingOptions = {}): Fs {
  return new SyncingFs(fs, {
    bytesPerSync: options.bytesPerSync ?? 512 * 1024,
    noSyncOnClose: options.noSyncOnClose ?? false,
    preallocateBytes: options.preallocateBytes ?? 0,
  });
}

class SyncingFs extends ForwardFs {
  readonly #options: Required<SyncingOptions>;

  constructor(inner: Fs, options: Required<SyncingOptions>) {
    super("syncing", inner);
    this.#options = options;
  }

  protected override wrap(file: File, how: OpenKind): File {
    if (how === "open" || how === "openDir") return file;
    return new SyncingFile(file, this.#options, how === "create");
  }
}

class SyncingFile extends ForwardFile {
  readonly #options: Required<SyncingOptions>;
  #cursor = 0;
  /** End of what was written. */
  #end = 0;
  /** End of what was sent to the disk. */
  #sent = 0;
  #preallocated = 0;
  /** Something is there that no sync has covered. */
  #dirty: boolean;
  #closed = false;

  constructor(inner: File, options: Required<SyncingOptions>, isNew: boolean) {
    super(inner);
    this.#options = options;
    this.#dirty = isNew;
  }

  override read(into: Uint8Array): number {
    const count = super.readAt(into, this.#cursor);
    this.#cursor += count;
    return count;
  }

  override write(bytes: Uint8Array): void {
    this.writeAt(bytes, this.#cursor);
    this.#cursor += bytes.length;
  }

  override writeAt(bytes: Uint8Array, offset: number): void {
    this.#before(offset + bytes.length);
    super.writeAt(bytes, offset);
    this.#after(offset + bytes.length);
  }

  override writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    const end = offset + parts.reduce((sum, part) => sum + part.length, 0);
    this.#before(end);
    super.writeVectorAt(parts, offset);
    this.#after(end);
  }

  override punchHole(offset: number, length: number): void {
    this.#dirty = true;
    super.punchHole(offset, length);
  }

  override truncate(length: number): void {
    this.#dirty = true;
    super.truncate(length);
  }

  override sync(): void {
    super.sync();
    this.#synced();
  }

  override syncData(): void {
    super.syncData();
    this.#synced();
  }

  override syncTo(length: number): boolean {
    const durable = super.syncTo(length);
    if (durable) this.#synced();
    return durable;
  }

  override close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#dirty && !this.#options.noSyncOnClose) super.sync();
    } finally {
      super.close();
    }
  }

  #before(end: number): void {
    // Also where the write then fails: a prefix may be there.
    this.#dirty = true;
    const step = this.#options.preallocateBytes;
    if (step <= 0 || end <= this.#preallocated) return;
    const target = Math.ceil(end / step) * step;
    super.preallocate(this.#preallocated, target - this.#preallocated);
    this.#preallocated = target;
  }

  #after(end: number): void {
    this.#end = Math.max(this.#end, end);
    const ready = Math.floor((this.#end - LAG_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
    if (ready - this.#sent < this.#options.bytesPerSync) return;
    this.#sent = ready;
    this.syncTo(ready);
  }

  #synced(): void {
    this.#dirty = false;
    this.#sent = this.#end;
  }
}
