import { FlagstoneError } from "../errors/mod.ts";
import type { HashIndex } from "../index/mod.ts";
import type { Identity } from "../log/mod.ts";
import { sealSegment, SegmentReader } from "../segment/mod.ts";
import { type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  type FileHeader,
  logName,
  LogRecovery,
  parseFileName,
  RECORD_HEADER_BYTES,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordSequence,
  type RecoveredLog,
  SEAL_SPACE_BYTES,
  type SegmentImage,
  segmentName,
  UNKNOWN_SEQUENCES,
} from "../wal/mod.ts";
import type { KeyBuffer } from "./keys.ts";
import type { SegmentSet } from "./segment_set.ts";
import type { RecoveryReport } from "./types.ts";

/** What the files of a store add up to. */
export interface Recovered {
  readonly active: RecoveredLog | undefined;
  readonly nextSegment: number;
  readonly nextSequence: number;
  readonly report: RecoveryReport;
}

/**
 * Brings a directory back to what was acknowledged. Segments are read by their footers, oldest
 * first; then the logs, by {@linkcode LogRecovery}: those that are complete become segments, the one
 * after them goes on.
 */
export class Recovery {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #keys: KeyBuffer;
  readonly #index: HashIndex;
  readonly #segments: SegmentSet;
  #lastSequence = 0;

  /** Will fill `index` and `segments` from the files in `directory`. */
  constructor(
    fs: Fs,
    directory: string,
    identity: Identity,
    keys: KeyBuffer,
    index: HashIndex,
    segments: SegmentSet,
  ) {
    this.#fs = fs;
    this.#directory = directory;
    this.#identity = identity;
    this.#keys = keys;
    this.#index = index;
    this.#segments = segments;
  }

  /** Does it. Throws `CORRUPT` or `NEWER_FORMAT` with the place, and then has changed no byte of what it could not read. */
  run(): Recovered {
    const startedMs = performance.now();
    const names = this.#fs.list(this.#directory).map(parseFileName);
    const files = names.filter((file) => file !== undefined);
    const numbers = (kind: "log" | "seg") =>
      files.filter((file) => file.kind === kind).map((file) => file.segment).sort((a, b) => a - b);
    const sealed = numbers("seg");
    const logs = numbers("log");
    const newest = Math.max(0, ...sealed, ...logs);

    for (const segment of sealed) this.#loadSegment(segment);
    const unsealed = logs.filter((segment) => !sealed.includes(segment));
    this.#removeLogs(logs.filter((segment) => sealed.includes(segment)));
    const found = new LogRecovery(this.#fs, this.#directory, {
      checkOwner: (header, segment, path) => this.#checkOwner(header, segment, path),
      record: (image, segment, offset, length) => this.#replay(image, segment, offset, length),
      complete: (image, segment, end, salt) => {
        // Nothing but a seal: a slab that had to make room for a larger one.
        if (end === FILE_HEADER_BYTES + SEAL_SPACE_BYTES) return this.#removeLogs([segment]);
        const fileBytes = sealSegment(this.#fs, this.#directory, segment, image, end, salt);
        this.#segments.add(segment, fileBytes);
      },
    }).run(unsealed, Math.max(0, ...sealed));
    this.#index.dropTombstones();
    const { active, records, tornBytes, cut } = found;
    const lastSequence = Math.max(this.#lastSequence, found.lastSequence);
    const next = active === undefined
      ? lastSequence + UNKNOWN_SEQUENCES
      : active.baseSequence + active.image.bytes.length;
    return {
      active,
      nextSegment: newest + 1,
      nextSequence: Math.ceil(next / 8) * 8,
      report: {
        durationMs: performance.now() - startedMs,
        segments: sealed.length,
        logs: found.logs,
        records,
        tornBytes,
        cut,
      },
    };
  }

  #loadSegment(segment: number): void {
    const path = joinPath(this.#directory, segmentName(segment));
    const reader = SegmentReader.open(this.#fs, path);
    const { fileBytes } = reader;
    try {
      this.#checkOwner(reader.header, segment, path);
      for (const block of reader.blocks) {
        for (const entry of reader.readBlock(block)) {
          this.#keys.load(entry.key, entry.flags);
          this.#apply(entry.kind, entry.sequence, segment, entry.offset, entry.length);
        }
      }
      this.#lastSequence = Math.max(this.#lastSequence, reader.summary.lastSequence);
    } finally {
      reader.close();
    }
    this.#segments.add(segment, fileBytes);
  }

  #replay(image: SegmentImage, segment: number, offset: number, length: number): void {
    const keyStart = offset + RECORD_HEADER_BYTES;
    const key = image.bytes.subarray(keyStart, keyStart + recordKeyBytes(image, offset));
    this.#keys.load(key, recordFlags(image, offset));
    const sequence = recordSequence(image, offset);
    this.#apply(recordKind(image, offset), sequence, segment, offset, length);
  }

  #apply(kind: number, sequence: number, segment: number, offset: number, length: number): void {
    const { hash, flags } = this.#keys;
    if (kind === RecordKind.put) this.#index.put(hash, sequence, segment, offset, length, flags);
    else this.#index.putTombstone(hash, sequence);
  }

  #checkOwner(header: FileHeader, segment: number, path: string): void {
    const ours = header.storeId.every((byte, i) => byte === this.#identity.storeId[i]);
    if (ours && header.segment === segment) return;
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot read ${path}: it is segment ${header.segment} of ${ours ? "this" : "another"} ` +
        `store. Was it renamed or copied here? Take it away and restore the right file.`,
      { path, offset: 0 },
    );
  }

  /** Logs whose segments are sealed: a copy of the directory may hold both. */
  #removeLogs(segments: readonly number[]): void {
    for (const segment of segments) this.#fs.remove(joinPath(this.#directory, logName(segment)));
    if (segments.length > 0) syncDirectory(this.#fs, this.#directory);
  }
}
