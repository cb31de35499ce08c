import { Memtable, type Slab, SlabPool } from "../memtable/mod.ts";
import { durableMkdirAll, type Fs } from "../vfs/mod.ts";
import {
  alignRecord,
  Control,
  fillRecord,
  FlushWord,
  kindAndFlags,
  LogRecovery,
  type LogRecoveryResult,
  parseFileName,
  publishRecord,
  RECORD_HEADER_BYTES,
  RecordKind,
  SlotWord,
  WorkerLife,
} from "../wal/mod.ts";
import { FlushLoop, LogLoop, type Loop, SlabTable, StepResult } from "../workers/mod.ts";
import { noise } from "./_support.ts";

export const ENGINE_DIR = "/log";
const SLAB_BYTES = 64 * 1024;
const NO_KEY = new Int32Array(0);

/**
 * The write engine without a store: slabs, the two loops, records without keys. Nothing moves unless
 * a test steps it.
 */
export class Engine {
  readonly control: Control;
  readonly memtable: Memtable;
  readonly log: Loop;
  readonly flush: Loop;
  /** A second flush worker. */
  readonly flush2: Loop;
  readonly pool: SlabPool;
  #appended = 0;

  constructor(fs: Fs, slabs = 3, nowMs?: () => number) {
    durableMkdirAll(fs, ENGINE_DIR);
    this.control = new Control(slabs);
    const table = new SlabTable(this.control);
    this.pool = new SlabPool(this.control, {
      slabBytes: SLAB_BYTES,
      storeId: new Uint8Array(16),
      onBuffer: (slot, generation, buffer) => table.set(slot, generation, buffer),
    });
    this.memtable = new Memtable(this.control, this.pool, undefined, 1, 8);
    this.log = new LogLoop(this.control, table, fs, ENGINE_DIR, nowMs);
    this.flush = new FlushLoop(this.control, table, fs, ENGINE_DIR);
    this.flush2 = new FlushLoop(this.control, table, fs, ENGINE_DIR, "segment", 1);
  }

  /** Lets the log worker know whether a flush worker runs. */
  setFlushing(runs: boolean): void {
    const life = this.control.flushWorker(0) + FlushWord.life;
    Atomics.store(this.control.words, life, runs ? WorkerLife.running : WorkerLife.leaving);
  }

  /** Appends a record of `bytes`; the n-th one holds `noise(bytes, n)`. */
  append(bytes: number, syncWanted: boolean): { slab: Slab; offset: number; end: number } {
    const space = alignRecord(RECORD_HEADER_BYTES + bytes);
    const { control, memtable } = this;
    let offset = memtable.reserve(space);
    if (offset === -1) {
      if (!memtable.rotate(space)) throw new Error("no slab is free");
      offset = memtable.reserve(space);
    }
    if (offset >= memtable.prepareAt) memtable.prepare();
    const slab = memtable.active!;
    const length = fillRecord(
      slab.image,
      offset,
      kindAndFlags(RecordKind.put, 0),
      slab.baseSequence + offset,
      control.get(slab.slot, SlotWord.synced),
      NO_KEY,
      0,
      noise(bytes, this.#appended++),
      slab.salt,
    );
    publishRecord(slab.image, offset, length);
    if (syncWanted) control.raise(slab.slot, SlotWord.syncWanted, offset + space);
    return { slab, offset, end: offset + space };
  }

  /** Fills the active slab until `segment` is active and holds one record. Returns the records appended. */
  fillUntil(segment: number, syncWanted: boolean): number {
    let count = 0;
    do {
      this.append(4000, syncWanted);
      count++;
    } while (this.memtable.active!.segment < segment);
    return count;
  }
}

/** Steps a loop until it has nothing to do. */
export function exhaust(loop: Loop): void {
  while (loop.step(true) === StepResult.worked);
}

/** What recovery makes of the directory. */
export function recover(fs: Fs): LogRecoveryResult & { sequences: number[]; completed: number[] } {
  const files = fs.list(ENGINE_DIR).map((name) => parseFileName(name)!);
  const of = (kind: string) => files.filter((file) => file.kind === kind).map((f) => f.segment);
  const completed: number[] = [];
  const sequences: number[] = [];
  const recovery = new LogRecovery(fs, ENGINE_DIR, {
    checkOwner: () => {},
    record: (image, _segment, offset) => sequences.push(image.words[(offset >> 2) + 2]!),
    complete: (_image, segment) => completed.push(segment),
  });
  const result = recovery.run(of("log").sort((a, b) => a - b), Math.max(0, ...of("seg")));
  return { ...result, sequences, completed };
}
