import { ArgumentError, FlagstoneError } from "../errors/mod.ts";
import { LogFileState, recordLength, recordSpace, SlotWord } from "../wal/mod.ts";
import { LOG_KIND, readBeginning } from "./identity.ts";
import type { LogWriter } from "./log_writer.ts";
import { type HostFactory, startLog } from "./start_log.ts";
import { recoverWal, type WalSegment } from "./wal_files.ts";
import type { ResolvedWalOptions } from "./wal_options.ts";
import { FIRST_OFFSET, WalRecord, WalSegmentReader } from "./wal_reader.ts";
import { WalSegments } from "./wal_segments.ts";
import type { CorruptionPolicy, WalRecovery } from "./wal_types.ts";

/** What a {@linkcode WalEngine} is made of. */
export interface WalParts<T> {
  readonly directory: string;
  readonly options: ResolvedWalOptions<T>;
  readonly storeId: Uint8Array;
  readonly makeHost: HostFactory | undefined;
}

/** A standalone log that runs: workers, segments, and the way to its records. */
export class WalEngine<T> {
  readonly log: LogWriter;
  readonly segments: WalSegments;
  readonly recovery: WalRecovery;
  readonly #parts: WalParts<T>;
  readonly #reader: WalSegmentReader;
  /** LSN at which the log was cut, after which another engine goes on: iterations end there. */
  #cut = Infinity;

  private constructor(
    parts: WalParts<T>,
    log: LogWriter,
    segments: WalSegments,
    recovery: WalRecovery,
  ) {
    this.#parts = parts;
    this.log = log;
    this.segments = segments;
    this.recovery = recovery;
    const { fs } = parts.options;
    this.#reader = new WalSegmentReader(fs, parts.directory, log.control, log.pool);
  }

  /**
   * Recovers and starts the log. `isNew` says that it never gave out an LSN; `segments`, who still
   * reads those of the engine before.
   */
  static async start<T>(
    parts: WalParts<T>,
    isNew: boolean,
    segments: WalSegments = new WalSegments(),
  ): Promise<WalEngine<T>> {
    const { directory, options, storeId, makeHost } = parts;
    let report: WalRecovery | undefined;
    const log = await startLog({
      directory,
      options,
      storeId,
      finish: "trim",
      makeHost,
      recover: () => {
        const found = recoverWal(options.fs, directory, storeId, isNew);
        for (const segment of found.segments) segments.add(segment);
        report = found.report;
        return found;
      },
      onActive: ({ segment, baseSequence: base, salt }) =>
        segments.add({ segment, base, end: undefined, salt }),
      onSegment: (segment, fileBytes) => segments.finish(segment, fileBytes),
    });
    const { active } = log.memtable;
    // After a crash numbers are skipped; within one segment an LSN is its base and the offset.
    const { sequenceFloor } = readBeginning(options.fs, directory, LOG_KIND);
    if (active !== undefined) {
      const isBelow = active.baseSequence + log.endOf(active) < sequenceFloor;
      const hasSkipped = segments.get(active.segment)!.base !== active.baseSequence;
      if (hasSkipped || isBelow) log.rotate();
    }
    return new WalEngine(parts, log, segments, report!);
  }

  /** Makes everything durable and ends the workers; what still waits is rejected. False if a worker hangs. */
  async stop(reason: FlagstoneError): Promise<boolean> {
    let ended = true;
    try {
      await this.log.finish();
    } finally {
      ended = await this.log.release(reason);
    }
    return ended;
  }

  /** Resolves when the record `lsn`, a multiple of 8 below `end`, is durable. */
  async syncThrough(lsn: number): Promise<void> {
    const { log } = this;
    if (lsn < log.durable) return;
    const slab = log.pool.residents.findLast(({ baseSequence }) => baseSequence <= lsn);
    if (slab === undefined) return await log.flush();
    const offset = lsn - slab.baseSequence;
    const end = offset + Math.max(8, recordLength(slab.image, offset));
    // No record begins there, perhaps: then the length is anything.
    await log.synced(slab, Math.min(end, log.endOf(slab)));
  }

  /** The log ends at the LSN `end` from now on: nobody is shown what comes after. */
  endAt(end: number): void {
    this.#cut = end;
  }

  /** Space of the record `lsn`, after which the log may end. Throws `ArgumentError` if it may not. */
  spaceBefore(lsn: number, end: number): number {
    const records = this.iterate(lsn, end, "throw");
    const found = records.next();
    records.return();
    if (found.done === true || found.value.lsn !== lsn) throw noSuchRecord(lsn);
    if (!found.value.batchContinues) return recordSpace(0, found.value.bytes.length);
    throw new ArgumentError(
      "lsn",
      `The log cannot end at ${lsn}: the record is not its batch's last`,
    );
  }

  /** Resolves when the segments that end below `lsn` are complete files, as far as the disk has space for that. */
  async completedBelow(lsn: number): Promise<void> {
    const next = this.segments.all.findLast(({ base }) => base <= lsn);
    if (next === undefined) return;
    try {
      await this.log.flushed(next.segment - 1);
    } catch (error) {
      // What is dropped gives space back.
      if (!(error instanceof FlagstoneError) || error.code !== "NO_SPACE") throw error;
    }
  }

  /** True if `segment` has a durable file. */
  isOnDisk(segment: number): boolean {
    const slab = this.log.pool.resident(segment);
    return slab === undefined ||
      this.log.control.get(slab.slot, SlotWord.file) === LogFileState.ready;
  }

  /** LSN from which on records are kept. */
  get head(): number {
    const [first] = this.segments.all;
    return first === undefined ? this.end : first.base + FIRST_OFFSET;
  }

  /** LSN above every record. */
  get end(): number {
    const { control, memtable } = this.log;
    const { active } = memtable;
    if (active === undefined) return memtable.nextSequence + FIRST_OFFSET;
    return active.baseSequence + control.reservedEnd(active.slot);
  }

  /** The records from LSN `from` on, below `end`. Throws `ArgumentError` if no record has that LSN. */
  *iterate(
    from: number | undefined,
    end: number,
    policy: CorruptionPolicy,
  ): Generator<WalRecord<T>, void> {
    if (from === end) return;
    const segments = this.segments.from(from ?? 0, end);
    using _pin = this.segments.pin(segments);
    const [first] = segments;
    if (from !== undefined && (first === undefined || !this.#isRecord(first, from, end))) {
      throw noSuchRecord(from);
    }
    for (const segment of segments) {
      const start = segment === first && from !== undefined ? from - segment.base : FIRST_OFFSET;
      const wentOn = yield* this.#read(segment, start, end, policy);
      if (!wentOn) return;
    }
  }

  /** True if a record has this LSN. Costs one read, unless it has none, or is damaged. */
  #isRecord(segment: WalSegment, lsn: number, end: number): boolean {
    const offset = lsn - segment.base;
    if (offset < FIRST_OFFSET || offset % 8 !== 0) return false;
    if (this.#read(segment, offset, end, "stop").next().value instanceof WalRecord) return true;
    // Damaged, or within a record? Only a walk from the segment's start can tell.
    for (const record of this.#read(segment, FIRST_OFFSET, end, "skip")) {
      if (record.lsn < lsn && record.lsn + recordSpace(0, record.bytes.length) > lsn) return false;
    }
    return lsn < end;
  }

  #read(
    segment: WalSegment,
    start: number,
    end: number,
    policy: CorruptionPolicy,
  ): Generator<WalRecord<T>, boolean> {
    const limitOf = () => {
      const known = segment.end ?? this.segments.get(segment.segment)?.end;
      const limit = known ?? this.#endOf(segment);
      return Math.min(end - segment.base, this.#cut - segment.base, limit);
    };
    return this.#reader.read(segment, start, limitOf, this.#parts.options.codec, policy);
  }

  #endOf({ segment }: WalSegment): number {
    const slab = this.log.pool.resident(segment);
    if (slab === undefined) return Infinity;
    return this.log.control.get(slab.slot, SlotWord.end) || slab.image.bytes.length;
  }
}

/** No record begins at this LSN. */
export function noSuchRecord(lsn: number): ArgumentError {
  return new ArgumentError("lsn", `No record of the log has the LSN ${lsn}`);
}
