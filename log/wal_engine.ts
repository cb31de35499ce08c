import { ArgumentError, type FlagstoneError } from "../errors/mod.ts";
import { SlotWord } from "../wal/mod.ts";
import type { LogWriter } from "./log_writer.ts";
import { type HostFactory, startLog } from "./start_log.ts";
import { recoverWal, type WalSegment } from "./wal_files.ts";
import type { ResolvedWalOptions } from "./wal_options.ts";
import { FIRST_OFFSET, type WalRecord, WalSegmentReader } from "./wal_reader.ts";
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

  /** Recovers and starts the log. `isNew` says that it never gave out an LSN. */
  static async start<T>(parts: WalParts<T>, isNew: boolean): Promise<WalEngine<T>> {
    const { directory, options, storeId, makeHost } = parts;
    const segments = new WalSegments();
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
    if (active !== undefined && segments.get(active.segment)!.base !== active.baseSequence) {
      log.rotate();
    }
    return new WalEngine(parts, log, segments, report!);
  }

  /** Makes everything durable and ends the workers; what still waits is rejected. False if a worker hangs. */
  async stop(reason: FlagstoneError): Promise<boolean> {
    let ended = true;
    try {
      await this.log.flush();
      this.log.sealIfLarge();
      await this.log.flushed();
    } finally {
      ended = await this.log.release(reason);
    }
    return ended;
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

  /** The records from LSN `from` on, below `end`. */
  *iterate(
    from: number | undefined,
    end: number,
    policy: CorruptionPolicy,
  ): Generator<WalRecord<T>, void> {
    const segments = this.segments.from(from ?? 0, end);
    using _pin = this.segments.pin(segments);
    let expected = from === end ? undefined : from;
    if (expected !== undefined && segments.length === 0) throw noSuchRecord(expected);
    for (const segment of segments) {
      const start = expected === undefined ? FIRST_OFFSET : expected - segment.base;
      const limit = Math.min(end - segment.base, segment.end ?? this.#limitOf(segment));
      const { codec } = this.#parts.options;
      const records = this.#reader.read(segment, start, limit, codec, policy);
      for (;;) {
        const next = records.next();
        if (expected !== undefined && (next.done || next.value.lsn !== expected)) {
          throw noSuchRecord(expected);
        }
        expected = undefined;
        if (!next.done) yield next.value;
        else if (next.value) break;
        else return;
      }
    }
  }

  #limitOf({ segment }: WalSegment): number {
    const slab = this.log.pool.resident(segment);
    if (slab === undefined) return Infinity;
    return this.log.control.get(slab.slot, SlotWord.end) || slab.image.bytes.length;
  }
}

/** No record begins at this LSN. */
export function noSuchRecord(lsn: number): ArgumentError {
  return new ArgumentError("lsn", `No record of the log has the LSN ${lsn}`);
}
