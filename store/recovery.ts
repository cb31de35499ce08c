import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { ExpiryTable, HashIndex } from "../index/mod.ts";
import type { Identity } from "../log/mod.ts";
import { sealSegment, SegmentReader } from "../segment/mod.ts";
import {
  type Fs,
  joinPath,
  removeTemporaries,
  syncDirectory,
  temporarySuffix,
} from "../vfs/mod.ts";
import {
  beginLog,
  compactedName,
  FILE_HEADER_BYTES,
  type FileHeader,
  logName,
  LogRecovery,
  parseFileName,
  RECORD_HEADER_BYTES,
  recordExpiry,
  RecordFlag,
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
import { namesBelow, removeBelow } from "./cleared_files.ts";
import {
  type ImagedSegment,
  INDEX_FILE,
  type IndexImage,
  readIndexImage,
  type SealedName,
} from "./index_image.ts";
import type { KeyBuffer } from "./keys.ts";
import { ReplayBatch } from "./replay_batch.ts";
import type { SegmentSet } from "./segment_set.ts";
import type { RecoveryReport } from "./stats_types.ts";

/** What the files of a store add up to. */
export interface Recovered {
  readonly index: HashIndex;
  /** Expiry of every key that may be in the index, of records that are not the newest too. */
  readonly expiring: ExpiryTable;
  /** The segments that the image of the index knows; empty if none was loaded. */
  readonly imaged: ReadonlySet<number>;
  readonly active: RecoveredLog | undefined;
  readonly nextSegment: number;
  readonly nextSequence: number;
  /** All but what the files of large values are. */
  readonly report: Omit<RecoveryReport, "blobs" | "salvaged">;
}

/**
 * Brings a directory back to what was acknowledged. Segments are read by their footers, oldest
 * first; then the logs, by {@linkcode LogRecovery}: those that are complete become segments, the one
 * after them goes on.
 *
 * If there is an image of the index, its segments need not be read: what is not in it is newer, and
 * is put on top. Records that are in it and are read again change nothing, as every entry has its
 * sequence number.
 */
export class Recovery {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #keys: KeyBuffer;
  readonly #segments: SegmentSet;
  readonly #batch = new ReplayBatch();
  #index = new HashIndex();
  #expiring = new ExpiryTable();
  #image: IndexImage | undefined;
  /** False until the log of the image was seen to begin with what the image knows. */
  #logGoesOn = true;
  #lastSequence = 0;
  #footersRead = 0;

  /** Will make an index, and fill `segments`, from the files in `directory`. */
  constructor(
    fs: Fs,
    directory: string,
    identity: Identity,
    keys: KeyBuffer,
    segments: SegmentSet,
  ) {
    this.#fs = fs;
    this.#directory = directory;
    this.#identity = identity;
    this.#keys = keys;
    this.#segments = segments;
  }

  /** Does it. Throws `CORRUPT` or `NEWER_FORMAT` with the place, and then has changed no byte of what it could not read. */
  async run(): Promise<Recovered> {
    const startedMs = performance.now();
    let names = this.#fs.list(this.#directory);
    if (names.some((name) => name.endsWith(temporarySuffix))) {
      removeTemporaries(this.#fs, this.#directory);
    }
    const { firstSegment } = this.#identity;
    if (namesBelow(names, firstSegment).length > 0) {
      // Not before it is sure to last that they do not count.
      syncDirectory(this.#fs, this.#directory);
      removeBelow(this.#fs, this.#directory, firstSegment);
      names = this.#fs.list(this.#directory);
    }
    let found = await this.#recover(names, names.includes(INDEX_FILE));
    if (!this.#logGoesOn) {
      // The image points into a part of its log that is not there any more, which only damage does.
      this.#fs.remove(joinPath(this.#directory, INDEX_FILE));
      const { records, tornBytes, cut } = found.report;
      const again = await this.#recover(this.#fs.list(this.#directory), false);
      const report = { ...again.report, records, tornBytes, cut };
      found = { ...again, report: { ...report, indexImage: "unusable" } };
    }
    const durationMs = performance.now() - startedMs;
    return { ...found, report: { ...found.report, durationMs } };
  }

  async #recover(names: readonly string[], hasImage: boolean): Promise<Recovered> {
    const files = names.map(parseFileName).filter((file) => file !== undefined);
    const numbers = (kind: "log" | "seg") =>
      files.filter((file) => file.kind === kind).map((file) => file.segment).sort((a, b) => a - b);
    const sealed = numbers("seg");
    const logs = numbers("log");
    const compacted = files.filter((file) => file.kind === "compacted")
      .sort((a, b) => a.segment - b.segment || a.number - b.number);
    // A compacted segment is made of sealed ones, so it says as they do that older logs were complete.
    const newestSealed = Math.max(
      sealed.at(-1) ?? 0,
      ...compacted.map(({ segment }) => segment),
    );

    // Compacted segments come last, and in order: of a record that is in one and still in its source, the
    // index takes the place found later; so it does of a tombstone that an evicted value has become.
    const sealedNames = [
      ...sealed.map((segment) => ({ name: segment, upTo: undefined })),
      ...compacted.map(({ number, segment }) => ({ name: -number, upTo: segment })),
    ];
    const isSealed = new Set(sealed);
    const unsealed = logs.filter((segment) => !isSealed.has(segment));
    // The log, mostly one, and the image of the index are read at the same time. Its records have to wait
    // for the index, which may not be there yet.
    const beginning = unsealed.length === 0
      ? undefined
      : beginLog(this.#fs, this.#directory, unsealed[0]!, {
        record: (image, segment, offset, length) => this.#replay(image, segment, offset, length),
        goesOn: () => !this.#batch.isFull,
      });
    let imaged: ReadonlyMap<number, ImagedSegment>;
    try {
      imaged = await this.#begin(hasImage, sealedNames);
      // What is dead by the image comes first: what it does not know adds to that.
      for (const [name, { facts, deadBytes }] of imaged) {
        this.#segments.add(name, facts);
        this.#segments.live.set(name, deadBytes);
      }
      for (const { name, upTo } of sealedNames) {
        if (!imaged.has(name)) this.#loadSegment(name, upTo);
      }
    } finally {
      await beginning;
    }
    this.#removeLogs(logs.filter((segment) => isSealed.has(segment)));
    const found = new LogRecovery(this.#fs, this.#directory, {
      checkOwner: (header, segment, path) => this.#checkOwner(header, segment, path),
      record: (image, segment, offset, length) => {
        this.#replay(image, segment, offset, length);
        this.#drainIfFull();
      },
      complete: (image, segment, end, salt) => {
        this.#sawRecords(segment, end, (bytes) => image.bytes.subarray(0, bytes));
        // Nothing but a seal: a slab that had to make room for a larger one.
        if (end === FILE_HEADER_BYTES + SEAL_SPACE_BYTES) return this.#removeLogs([segment]);
        const lengths = sealSegment(this.#fs, this.#directory, segment, image, end, salt);
        this.#segments.add(segment, { ...lengths, recordsEnd: end, salt });
      },
    }).run(unsealed, newestSealed, await beginning);
    this.#drain();
    this.#index.dropTombstones();
    const { active, records, tornBytes, cut } = found;
    if (active !== undefined) {
      const { bytes } = active.image;
      this.#sawRecords(active.segment, active.end, (length) => bytes.subarray(0, length));
    }
    const lastSequence = Math.max(this.#lastSequence, found.lastSequence);
    const next = active === undefined
      ? lastSequence + UNKNOWN_SEQUENCES
      : active.baseSequence + active.image.bytes.length;
    const indexImage = this.#image ? "loaded" : hasImage ? "unusable" : "absent";
    return {
      index: this.#index,
      expiring: this.#expiring,
      imaged: new Set(imaged.keys()),
      active,
      nextSegment: Math.max(newestSealed + 1, (logs.at(-1) ?? 0) + 1, this.#identity.firstSegment),
      nextSequence: Math.ceil(next / 8) * 8,
      report: {
        durationMs: 0,
        indexImage,
        segments: this.#footersRead,
        logs: found.logs,
        records,
        tornBytes,
        cut,
      },
    };
  }

  /** Begins with the image, if there is one that helps; returns the segments that it knows. */
  async #begin(
    hasImage: boolean,
    sealed: readonly SealedName[],
  ): Promise<ReadonlyMap<number, ImagedSegment>> {
    this.#footersRead = 0;
    this.#segments.clear(0);
    this.#image = hasImage
      ? await readIndexImage(this.#fs, this.#directory, this.#identity, sealed)
      : undefined;
    this.#index = this.#image?.index ?? new HashIndex();
    this.#expiring = this.#image?.expiring ?? new ExpiryTable();
    this.#logGoesOn = this.#image?.log === undefined;
    const imageEnd = this.#image?.sequenceEnd ?? 0;
    this.#lastSequence = Math.max(this.#identity.sequenceFloor, imageEnd - 1);
    return this.#image?.segments ?? new Map();
  }

  /**
   * Learns of the records of a segment, log or sealed, which end at `end`; `read` gives the first so
   * many bytes of its file. To compare lengths would not do: after a cut, a log grows again.
   */
  #sawRecords(segment: number, end: number, read: (bytes: number) => Uint8Array): void {
    const log = this.#image?.log;
    if (log?.segment !== segment || end < log.end) return;
    this.#logGoesOn = crc32(read(log.end)) === log.checksum;
  }

  #loadSegment(segment: number, upTo: number | undefined): void {
    const path = joinPath(
      this.#directory,
      upTo === undefined ? segmentName(segment) : compactedName(upTo, -segment),
    );
    const reader = SegmentReader.open(this.#fs, path);
    const { fileBytes, header: { salt }, summary: { recordsEnd, liveBytes: putBytes } } = reader;
    try {
      this.#checkOwner(reader.header, segment, path, upTo);
      reader.eachEntry((entry) => {
        const { sharedBytes, bytes, suffixStart, suffixBytes } = entry;
        this.#keys.extend(sharedBytes, bytes, suffixStart, suffixBytes, entry.flags);
        const { kind, sequence, offset, length, expiresAt } = entry;
        const { hash, flags } = this.#keys;
        this.#batch.add(hash, kind, flags, sequence, segment, offset, length, expiresAt);
        this.#drainIfFull();
      });
      this.#sawRecords(segment, reader.summary.recordsEnd, (bytes) => {
        const records = new Uint8Array(bytes);
        reader.readAt(records, 0);
        return records;
      });
      this.#lastSequence = Math.max(this.#lastSequence, reader.summary.lastSequence);
      this.#footersRead++;
    } finally {
      reader.close();
    }
    const facts = { fileBytes, recordsEnd, putBytes, salt };
    this.#segments.add(segment, upTo === undefined ? facts : { ...facts, upTo });
  }

  /** The record of a log, which counts, is on its way into the index. */
  #replay(image: SegmentImage, segment: number, offset: number, length: number): void {
    const keyStart = offset + RECORD_HEADER_BYTES;
    const keyBytes = recordKeyBytes(image, offset);
    const keys = this.#keys;
    keys.extend(0, image.bytes, keyStart, keyBytes, recordFlags(image, offset));
    const sequence = recordSequence(image, offset);
    const expiresAt = recordExpiry(image, offset);
    const kind = recordKind(image, offset);
    this.#batch.add(keys.hash, kind, keys.flags, sequence, segment, offset, length, expiresAt);
  }

  #drainIfFull(): void {
    if (this.#batch.isFull) this.#drain();
  }

  /** What is on its way gets into the index. */
  #drain(): void {
    this.#batch.drain(this.#index, () => this.#apply(this.#batch));
  }

  /** Whether a value is over is looked at when every record is known: until then, it hides older ones. */
  #apply(record: ReplayBatch): void {
    const { kind, flags, sequence, segment, offset, length, expiresAt } = record;
    const index = this.#index;
    index.stale = false;
    const replaced = kind === RecordKind.put
      ? index.put(record, sequence, segment, offset, length, flags)
      : index.putTombstone(record, sequence);
    if (kind === RecordKind.put && expiresAt !== 0) this.#expiring.set(record, sequence, expiresAt);
    if ((flags & RecordFlag.external) !== 0) index.mark(RecordFlag.external);
    if (index.segment === segment) return;
    if (replaced) this.#segments.live.lost(index.segment, index.length);
    else if (index.stale && kind === RecordKind.put) this.#segments.live.lost(segment, length);
  }

  #checkOwner(header: FileHeader, segment: number, path: string, upTo = 0): void {
    const ours = header.storeId.every((byte, i) => byte === this.#identity.storeId[i]);
    if (ours && header.segment === Math.abs(segment) && header.upTo === upTo) return;
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
