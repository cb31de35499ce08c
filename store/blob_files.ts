import {
  type BlobFile,
  blobFileBytes,
  blobName,
  BlobReader,
  type BlobReference,
  BlobWriter,
  decodeBlobReference,
  parseBlobName,
} from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { LogWriter } from "../log/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import { type Fs, joinPath } from "../vfs/mod.ts";

/** Most blob files that are open for reading at once, unless more are being read. */
const MAX_OPEN_BLOBS = 16;

/** A blob file that no key has any more. */
export interface DeadBlob {
  readonly reference: BlobReference;
  /** Version of the value in it. */
  readonly version: number;
  /** Version of the write that replaced or deleted it; of a clear or an expiry, the first version that is newer. */
  readonly killedBy: number;
  /** Once the log is durable up to this sequence number, no crash brings the value back. */
  readonly goneAt: number;
}

/** Who says that a dead blob is still needed: a snapshot that sees its version, say. */
export type BlobKeeper = (blob: DeadBlob) => boolean;

/** Parts of {@linkcode BlobFiles}. */
export interface BlobFilesParts {
  readonly fs: Fs;
  readonly directory: string;
  readonly storeId: Uint8Array;
  readonly log: LogWriter;
  readonly idleMs: number;
  readonly stallTimeoutMs: number;
  readonly onFailure: (error: FlagstoneError) => void;
  /** Told when a file is gone, or could not be removed. */
  readonly onRemoved?: () => void;
}

/**
 * The files of large values: which there are, who needs them, and when they may go. A file belongs to
 * the one record that points at it, which its version names: a record that is copied elsewhere keeps
 * its version, so nothing changes here.
 */
export class BlobFiles {
  /** Writes and removes them. */
  readonly writer: BlobWriter;
  readonly #parts: BlobFilesParts;
  /** Of each version that a key has and that is in a file of its own. */
  readonly #live = new Map<number, BlobReference>();
  /** Those that nobody's key is any more, by their versions, until they are removed. */
  readonly #dead = new Map<number, DeadBlob>();
  /** Killed by a record of which the batch, or the end, is not there yet. */
  readonly #dying: Omit<DeadBlob, "goneAt">[] = [];
  readonly #keepers = new Set<BlobKeeper>();
  /** How many reads of a file are under way, by its number. */
  readonly #pins = new Map<number, number>();
  /** Open files, the one used longest ago first. */
  readonly #readers = new Map<number, BlobReader>();
  readonly #removals = new Set<Promise<void>>();
  #lastNumber = 0;
  #bytes = 0;

  /** Knows no file yet. */
  constructor(parts: BlobFilesParts) {
    this.#parts = parts;
    this.writer = new BlobWriter(parts);
  }

  /** How many there are, those that are about to be removed included. */
  get size(): number {
    return this.#live.size + this.#dead.size;
  }

  /** Their length in all, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The files that keys have, and the versions of their values. */
  get live(): ReadonlyMap<number, BlobReference> {
    return this.#live;
  }

  /** Length of the value `version`, as long as its file is there, which a snapshot may need; 0 if it is not known. */
  lengthOf(version: number): number {
    const reference = this.#live.get(version) ?? this.#dead.get(version)?.reference;
    return reference?.length ?? 0;
  }

  /** Where the file of `reference` is. */
  pathOf({ number }: BlobReference): string {
    return joinPath(this.#parts.directory, blobName(number));
  }

  /**
   * A number that no file ever had: the next sequence number, or more. Like these, it is never given
   * twice, not after a crash either.
   */
  nextNumber(): number {
    this.#lastNumber = Math.max(this.#lastNumber + 1, this.#nextSequence);
    return this.#lastNumber;
  }

  /** All sequence numbers that were given out are below. */
  get #nextSequence(): number {
    const { memtable, control } = this.#parts.log;
    const { active } = memtable;
    if (active === undefined) return memtable.nextSequence;
    return active.baseSequence + control.reservedEnd(active.slot);
  }

  /** Begins a new file. Throws the log's failure: no durable record could ever point at the file. */
  begin(): BlobFile {
    const { failure } = this.#parts.log;
    if (failure !== undefined) throw failure;
    const file = this.writer.begin(this.nextNumber());
    return { ...file, abort: () => this.#remember(file.abort()) };
  }

  /** A record of `version` was written, or found, whose stored value is `stored`. */
  add(version: number, stored: Uint8Array): BlobReference {
    const reference = this.decode(stored);
    this.#live.set(version, reference);
    this.#bytes += blobFileBytes(reference.length);
    return reference;
  }

  /** The key of the value `version`, which is in a file of its own, has another value now, or none: by the record `killedBy`. */
  kill(version: number, killedBy: number): void {
    const reference = this.#live.get(version);
    if (reference === undefined) return;
    this.#live.delete(version);
    this.#dying.push({ reference, version, killedBy });
  }

  /** True if `buried` must be called. */
  get hasDying(): boolean {
    return this.#dying.length > 0;
  }

  /** What was killed was so by records of `slab` that end at `end`: once they are durable, the files go. */
  buried(slab: Slab, end: number): void {
    const { log } = this.#parts;
    for (const blob of this.#dying.splice(0)) {
      this.#dead.set(blob.version, { ...blob, goneAt: slab.baseSequence + end });
    }
    // If that cannot be, the files stay until the next call, or the next open.
    log.synced(slab, end).then(() => this.collect(), () => {});
  }

  /** The time of the value `version` is over: its record says so itself, so nothing has to become durable. */
  expire(version: number): void {
    const reference = this.#live.get(version);
    if (reference === undefined) return;
    this.#live.delete(version);
    this.#dead.set(version, { reference, version, killedBy: this.#nextSequence, goneAt: 0 });
    this.collect();
  }

  /** Every key is gone, durably, by a clear; versions from `killedBy` on are newer. */
  clear(killedBy: number): void {
    for (const [version, reference] of this.#live) {
      this.#dead.set(version, { reference, version, killedBy, goneAt: 0 });
    }
    this.#live.clear();
    this.collect();
  }

  /**
   * Keeps files that `keeper` says are needed, until the function is called that this returns. It is
   * asked each time a dead file could be removed.
   */
  keep(keeper: BlobKeeper): () => void {
    this.#keepers.add(keeper);
    return () => {
      this.#keepers.delete(keeper);
      this.collect();
    };
  }

  /** Removes the dead files that nothing and nobody needs. */
  collect(): void {
    for (const blob of this.#dead.values()) {
      if (!this.#mayRemove(blob)) continue;
      this.#dead.delete(blob.version);
      // Not before: who makes room must not count on it.
      const removed = () => {
        this.#bytes -= blobFileBytes(blob.reference.length);
      };
      this.#discard(blob.reference, removed);
    }
  }

  /** Removes a file to which no record points. If that fails, the next open does it. */
  discard(reference: BlobReference): void {
    this.#discard(reference, () => {});
  }

  /**
   * Calls `read` with the file of `reference`, which stays until the promise has settled, whatever
   * happens to its key.
   */
  async using<T>(
    reference: BlobReference,
    read: (reader: BlobReader) => Promise<T>,
  ): Promise<T> {
    const unpin = this.pin(reference);
    try {
      return await read(this.reader(reference));
    } finally {
      unpin();
    }
  }

  /** Keeps the file of `reference` until the function is called that this returns. */
  pin({ number }: BlobReference): () => void {
    this.#pins.set(number, (this.#pins.get(number) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = this.#pins.get(number)! - 1;
      if (left > 0) this.#pins.set(number, left);
      else this.#pins.delete(number);
      if (this.#dead.size > 0) this.collect();
    };
  }

  /** A reader of the file; it stays open until others are used more. Throws `CORRUPT` if the file is not what the record says. */
  reader(reference: BlobReference): BlobReader {
    const { number } = reference;
    const reader = this.#readers.get(number) ?? this.open(reference);
    this.#readers.delete(number);
    this.#readers.set(number, reader);
    for (const oldest of this.#readers.keys()) {
      if (this.#readers.size <= MAX_OPEN_BLOBS) break;
      if (oldest !== number) this.#closeReader(oldest);
    }
    return reader;
  }

  /** A reader of the file for the caller alone, who closes it. */
  open(reference: BlobReference): BlobReader {
    const { fs, directory, storeId } = this.#parts;
    return BlobReader.open(fs, directory, storeId, reference);
  }

  /** What the stored value of an external record says. Throws `CORRUPT`. */
  decode(stored: Uint8Array): BlobReference {
    const reference = decodeBlobReference(stored);
    if (reference !== undefined) return reference;
    const { directory } = this.#parts;
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot read a large value in ${directory}: its record does not say where it is.`,
      { path: directory },
    );
  }

  /**
   * Removes the blob files of the directory that no live record points at: what a crash left of values
   * that never were, or are no more, by `dispose`. Only once all that is in the index is durable. Returns how many.
   */
  sweep(names: readonly string[], dispose: (name: string) => void): number {
    const needed = new Set(Array.from(this.#live.values(), ({ number }) => number));
    let swept = 0;
    for (const name of names) {
      const number = parseBlobName(name);
      if (number === undefined) continue;
      this.#lastNumber = Math.max(this.#lastNumber, number);
      if (needed.has(number)) continue;
      try {
        dispose(name);
        swept++;
      } catch (error) {
        // It costs space, and nothing else; the next open tries again.
        if (!(error instanceof FlagstoneError)) throw error;
      }
    }
    return swept;
  }

  /** True if some file is about to go, unless that fails. */
  get isRemoving(): boolean {
    if (this.#removals.size > 0 || this.#dying.length > 0) return true;
    return this.#dead.values().some((blob) => !this.#isKept(blob));
  }

  /** Resolves when no removal is under way. */
  async settled(): Promise<void> {
    this.collect();
    await Promise.all(this.#removals);
  }

  /** Ends the thread, closes files. */
  close(): void {
    this.writer.close();
    for (const number of [...this.#readers.keys()]) this.#closeReader(number);
  }

  /** The one place that says when the file of a value that no key has any more may be removed. */
  #mayRemove(blob: DeadBlob): boolean {
    return this.#parts.log.durable >= blob.goneAt && !this.#isKept(blob);
  }

  #isKept(blob: DeadBlob): boolean {
    if (this.#pins.has(blob.reference.number)) return true;
    for (const needs of this.#keepers) if (needs(blob)) return true;
    return false;
  }

  /** `close` waits for it. */
  #remember(removal: Promise<void>): Promise<void> {
    const remembered = removal.finally(() => this.#removals.delete(remembered));
    this.#removals.add(remembered);
    return remembered;
  }

  #discard({ number }: BlobReference, removed: () => void): void {
    this.#closeReader(number);
    const removal = this.#remember(this.writer.remove(number).then(removed, () => {}));
    void removal.then(() => this.#parts.onRemoved?.());
  }

  #closeReader(number: number): void {
    const reader = this.#readers.get(number);
    this.#readers.delete(number);
    try {
      reader?.close();
    } catch {
      // It was only read from.
    }
  }
}
