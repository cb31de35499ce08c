/**
 * A model checker of the protocol by which threads append to one log: it tries every interleaving of
 * two writers with three appends each, the log worker, the death of a writer, and time-outs that come
 * whenever they like, by stepping the real functions, and looks at every state that there is.
 */
import assert from "node:assert/strict";
import { MemFs } from "../vfs/mod.ts";
import {
  fillRecord,
  kindAndFlags,
  RecordKind,
  recordSpace,
  SharedWriter,
  SlotWord,
  TakeResult,
  Word,
} from "../wal/mod.ts";
import { Engine, exhaust, recover } from "./_engine.ts";

const APPENDS = 3;
const NO_KEY = new Int32Array(0);
/** The two writers' records differ in length: a wrong gap would not go unnoticed. */
const SIZES = [16, 40] as const;
const GAP_MS = 1000;
const SLOT_WORDS = Object.values(SlotWord).filter((word) => word !== SlotWord.salt);
/** Words that can be the first of a record, in the first 400 bytes of records. */
const LENGTH_WORDS = Array.from({ length: 50 }, (_, i) => 16 + 2 * i);
const GAP_CLOSED = new Set<string>();

/** One run of the protocol, step by step. */
class Run {
  readonly fs = new MemFs();
  readonly engine: Engine;
  readonly writers: WriterScript[];
  /** Synced up to here at the last look. */
  killed = -1;
  #nowMs = 0;

  constructor() {
    this.engine = new Engine(this.fs, 2, () => this.#nowMs);
    this.engine.memtable.rotate(0);
    Atomics.store(this.engine.control.words, Word.gapTimeoutMs, GAP_MS);
    this.writers = [0, 1].map((i) => new WriterScript(this.engine, i));
  }

  /** What can happen next. */
  get actions(): string[] {
    const running = this.writers.filter((writer) => writer.isRunning);
    const deaths = this.killed === -1 ? running.map((writer) => `kill ${writer.index}`) : [];
    return [...running.map((writer) => `step ${writer.index}`), "log", "gap", ...deaths];
  }

  act(action: string): void {
    const [what, which] = action.split(" ");
    if (what === "log") this.engine.log.step(true);
    else if (what === "gap") {
      this.engine.log.step(true);
      this.#nowMs += 10 * GAP_MS;
      this.engine.log.step(true);
    } else if (what === "step") this.writers[Number(which)]!.step();
    else {
      this.killed = Number(which);
      this.writers[this.killed]!.isRunning = false;
    }
  }

  /** Two runs with the same key have the same future. */
  get key(): string {
    const { words } = this.engine.control;
    const { slot, image } = this.engine.memtable.active!;
    const state = [
      ...words.subarray(this.engine.control.writer(1), this.engine.control.writer(3)),
      // But for the salt, and the checksums that depend on it: these are random.
      ...SLOT_WORDS.map((word) => this.engine.control.get(slot, word)),
      ...LENGTH_WORDS.map((word) => image.words[word]!),
      this.killed,
    ];
    return state.join("") + this.writers.map((writer) => writer.key).join();
  }

  /** The power fails now: every record below the watermark is there, in a prefix of the log. */
  checkPowerLoss(): void {
    const { control, memtable } = this.engine;
    const { slot, baseSequence } = memtable.active!;
    const synced = baseSequence + control.get(slot, SlotWord.synced);
    const { sequences } = recover(this.fs.crashClone({ keep: "synced" }));
    const published = this.writers.flatMap((writer) => writer.published);
    for (const { lsn, end } of published) {
      if (end <= synced) assert(sequences.includes(lsn), `record ${lsn} was durable and is lost`);
    }
    this.#checkSequences(sequences);
  }

  /** Everybody has finished or died: nobody waits, every record is there once, nothing else is. */
  checkEnd(): void {
    const { control, log, memtable } = this.engine;
    const { slot } = memtable.active!;
    control.raise(slot, SlotWord.syncWanted, control.reservedEnd(slot));
    for (let i = 0; i < 2 * APPENDS; i++) {
      exhaust(log);
      this.act("gap");
    }
    exhaust(log);
    assert.equal(
      control.get(slot, SlotWord.written),
      control.reservedEnd(slot),
      "a waiter is left",
    );
    assert.equal(control.get(slot, SlotWord.synced), control.reservedEnd(slot));
    const { sequences } = recover(this.fs.crashClone({ keep: "synced" }));
    const published = this.writers.flatMap((writer) => writer.published.map(({ lsn }) => lsn));
    assert.deepEqual(sequences, published.toSorted((a, b) => a - b));
    this.#checkSequences(sequences);
  }

  #checkSequences(sequences: readonly number[]): void {
    const all = this.writers.flatMap((writer) => writer.taken).toSorted((a, b) => a.lsn - b.lsn);
    for (let i = 1; i < all.length; i++) {
      assert(all[i - 1]!.end <= all[i]!.lsn, "two writers were given the same space");
    }
    const lsns = new Set(all.map(({ lsn }) => lsn));
    assert(sequences.every((sequence) => lsns.has(sequence)), "a record that nobody wrote");
  }
}

/** A writer that appends three records, in steps of one access to shared memory that matters. */
class WriterScript {
  readonly index: number;
  isRunning = true;
  readonly published: { lsn: number; end: number }[] = [];
  readonly taken: { lsn: number; end: number }[] = [];
  readonly #engine: Engine;
  readonly #writer: SharedWriter;
  #next: "aim" | "take" | "publish" = "aim";

  constructor(engine: Engine, index: number) {
    this.#engine = engine;
    this.index = index;
    this.#writer = SharedWriter.register(engine.control)!;
  }

  get key(): string {
    return `|${this.#next} ${this.#writer.offset} ${this.taken.length} ${this.published.length} ` +
      this.isRunning;
  }

  step(): void {
    const slab = this.#engine.memtable.active!;
    const { image, slot, baseSequence } = slab;
    const space = recordSpace(0, SIZES[this.index]!);
    const lsn = baseSequence + this.#writer.offset;
    switch (this.#next) {
      case "aim":
        assert(this.#writer.aim(slot, image, space));
        this.#next = "take";
        break;
      case "take": {
        const isMine = this.#writer.take() === TakeResult.taken;
        this.#next = isMine ? "publish" : "aim";
        if (isMine) this.taken.push({ lsn, end: lsn + space });
        break;
      }
      case "publish": {
        const value = new Uint8Array(SIZES[this.index]!).fill(1 + this.published.length);
        const kind = kindAndFlags(RecordKind.put, 0);
        const offset = this.#writer.offset;
        fillRecord(image, offset, kind, lsn, 0, NO_KEY, 0, value, slab.salt);
        this.#next = "aim";
        if (this.#writer.publish(image, space)) {
          this.published.push({ lsn, end: lsn + space });
          this.isRunning = this.published.length < APPENDS;
        } else {
          GAP_CLOSED.add(this.key);
          this.isRunning = false;
        }
      }
    }
  }
}

Deno.test("W11: every interleaving of two writers, the log worker, a death and time-outs is right", () => {
  const seen = new Set<string>();
  let ends = 0;
  const pending: string[][] = [[]];
  while (pending.length > 0) {
    const path = pending.pop()!;
    const before = new Run();
    for (const action of path) before.act(action);
    for (const action of before.actions) {
      const run = new Run();
      for (const earlier of path) run.act(earlier);
      try {
        run.act(action);
        const { key } = run;
        if (seen.has(key)) continue;
        seen.add(key);
        if (action === "log" || action === "gap") run.checkPowerLoss();
        if (run.writers.some((writer) => writer.isRunning)) pending.push([...path, action]);
        else {
          ends++;
          run.checkEnd();
        }
      } catch (cause) {
        throw new Error(`after: ${[...path, action].join(", ")}`, { cause });
      }
    }
  }
  assert(seen.size > 10_000 && ends > 1000, `${seen.size} states, ${ends} ends`);
  assert(GAP_CLOSED.size > 0, "a late writer was refused at least once");
});
