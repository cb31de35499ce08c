import assert from "node:assert/strict";
import {
  type BatchOperation,
  type Durability,
  FlagstoneError,
  type Store,
  type ValueOptions,
} from "../mod.ts";
import { openWith } from "../store/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { recordSpace } from "../wal/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { assertLinearizable, assertVersionsFollowTime, type KeyEvent } from "./_linearizability.ts";
import { bytes, randomOf, SMALL, testStore, text, turn } from "./_support.ts";

/** What a workload is made of. */
interface Plan {
  readonly seed: number;
  readonly writers: number;
  readonly keys: number;
  /** Calls of each writer, one after the other. */
  readonly calls: number;
}

/** Two keys that only batches write, both with one value each time. */
const PAIR = ["pair:a", "pair:b"] as const;

type Outcome = Omit<KeyEvent, "called" | "ended" | "what">;

/** Calls a store from many writers at once, and writes down what each call did and saw. */
class Workload {
  readonly #store: Store;
  readonly #plan: Plan;
  readonly #random: () => number;
  readonly #events = new Map<string, KeyEvent[]>();
  #clock = 0;
  #tags = 0;

  constructor(store: Store, plan: Plan) {
    this.#store = store;
    this.#plan = plan;
    this.#random = randomOf(plan.seed);
  }

  async run(): Promise<void> {
    const { seed, writers } = this.#plan;
    console.log(`seed ${seed}`);
    await Promise.all(Array.from({ length: writers }, () => this.#writer()));
    for (const [key, events] of this.#events) {
      const called = this.#clock++;
      const entry = await this.#store.getEntry(key);
      const saw = { tag: tagOf(entry?.value) };
      const sawVersion = entry?.version ?? 0;
      events.push({ called, ended: this.#clock++, what: "the end", saw, sawVersion });
      assertLinearizable(`seed ${seed}, ${key}`, events);
    }
    const all = [...this.#events.values()].flat();
    assertVersionsFollowTime(all);
    const count = (what: string) => all.filter((event) => event.what.startsWith(what)).length;
    for (const what of ["put", "delete", "update", "batch", "refused", "get"]) {
      assert(count(what) > 10, `seed ${seed}: ${count(what)} × ${what} of ${all.length}`);
    }
  }

  async #writer(): Promise<void> {
    const { calls } = this.#plan;
    for (let i = 0; i < calls; i++) {
      await this.#step();
      this.#lookAtPair();
    }
  }

  async #step(): Promise<void> {
    const choice = this.#random();
    const key = this.#key();
    if (choice < 0.2) return await this.#put(key, undefined);
    if (choice < 0.4) return await this.#optimistic(key);
    if (choice < 0.45) return await this.#put(key, 0);
    if (choice < 0.55) return await this.#delete(key, undefined);
    if (choice < 0.7) return await this.#update(key);
    if (choice < 0.85) return await this.#batch();
    await this.#get(key);
  }

  async #put(key: string, ifVersion: number | undefined): Promise<void> {
    const { tag, value } = this.#value();
    const options = this.#options();
    await this.#call([key], "put", async () => {
      const condition = ifVersion === undefined ? {} : { ifVersion };
      const version = await this.#store.put(key, value, { ...options, ...condition });
      return [{ ...seen(ifVersion), wrote: { tag, version } }];
    }, ifVersion);
  }

  async #optimistic(key: string): Promise<void> {
    let version = 0;
    await this.#call([key], "getEntry", async () => {
      const entry = await this.#store.getEntry(key);
      version = entry?.version ?? 0;
      return [{ saw: { tag: tagOf(entry?.value) }, sawVersion: version }];
    });
    if (this.#random() < 0.2) await this.#delete(key, version);
    else await this.#put(key, version);
  }

  async #delete(key: string, ifVersion: number | undefined): Promise<void> {
    await this.#call([key], "delete", async () => {
      const condition = ifVersion === undefined ? {} : { ifVersion };
      const there = await this.#store.delete(key, { ...this.#options(), ...condition });
      if (!there) return [{ ...seen(ifVersion), saw: { tag: undefined } }];
      return [{ ...seen(ifVersion), wrote: { tag: undefined, version: undefined }, sawSome: true }];
    }, ifVersion);
  }

  async #update(key: string): Promise<void> {
    const { tag, value } = this.#value();
    const [deletes, waits] = [this.#random() < 0.15, this.#random() < 0.5];
    await this.#call([key], "update", async () => {
      let old: string | undefined;
      const version = await this.#store.update(key, async (content) => {
        old = tagOf(content);
        if (waits) await Promise.resolve();
        return deletes ? undefined : value;
      }, this.#options());
      const saw = { tag: old };
      if (version === undefined) return [{ saw }];
      return [{ saw, wrote: { tag: deletes ? undefined : tag, version } }];
    });
  }

  async #batch(): Promise<void> {
    const pair = this.#random() < 0.3;
    const keys = pair ? [...PAIR] : [...new Set([this.#key(), this.#key(), this.#key()])];
    const { tag, value } = this.#value();
    const conditions = keys.map(() => !pair && this.#random() < 0.1 ? 0 : undefined);
    const operations = keys.map((key, i): BatchOperation => {
      const condition = conditions[i] === undefined ? {} : { ifVersion: 0 };
      return !pair && this.#random() < 0.2
        ? { type: "delete", key, ...condition }
        : { type: "put", key, value, ...condition };
    });
    await this.#call(keys, "batch", async () => {
      // Records lie next to one another, so the last one's version tells those of the others.
      let version = await this.#store.batch(operations, this.#options());
      const outcomes: Outcome[] = [];
      for (let i = operations.length - 1; i >= 0; i--) {
        const put = operations[i]!.type === "put";
        outcomes.unshift({
          ...seen(conditions[i]),
          wrote: { tag: put ? tag : undefined, version },
        });
        if (i === 0) break;
        const before = operations[i - 1]!;
        const length = before.type === "put" ? value.length : 0;
        version -= recordSpace(bytes(keys[i - 1]!).length, length);
      }
      return outcomes;
    }, ...conditions);
  }

  async #get(key: string): Promise<void> {
    if (this.#random() < 0.5) {
      const called = this.#clock++;
      const saw = { tag: tagOf(this.#store.getSync(key)) };
      this.#record(key, { called, ended: this.#clock++, what: "getSync", saw });
      return;
    }
    await this.#call(
      [key],
      "get",
      async () => [{ saw: { tag: tagOf(await this.#store.get(key)) } }],
    );
  }

  /** Both keys of the pair are always those of one batch. */
  #lookAtPair(): void {
    const [a, b] = PAIR.map((key) => tagOf(this.#store.getSync(key)));
    assert.equal(a, b, `seed ${this.#plan.seed}: half a batch is seen`);
  }

  /** Does `work`, and writes down its outcome for each key; a conflict is an outcome too. */
  async #call(
    keys: readonly string[],
    what: string,
    work: () => Promise<Outcome[]>,
    ...conditions: (number | undefined)[]
  ): Promise<void> {
    const called = this.#clock++;
    let outcomes: Outcome[];
    try {
      outcomes = await work();
    } catch (error) {
      if (!(error instanceof FlagstoneError) || error.code !== "CONFLICT") throw error;
      const i = error.index ?? 0;
      const refused: Outcome = { sawVersion: error.version!, notVersion: conditions[i]! };
      this.#record(keys[i]!, { called, ended: this.#clock++, what: `refused ${what}`, ...refused });
      return;
    }
    const ended = this.#clock++;
    for (const [i, outcome] of outcomes.entries()) {
      this.#record(keys[i]!, { called, ended, what: `${what} ${i} of ${keys}`, ...outcome });
    }
  }

  #record(key: string, event: KeyEvent): void {
    const events = this.#events.get(key);
    if (events === undefined) this.#events.set(key, [event]);
    else events.push(event);
  }

  #key(): string {
    return `key:${Math.floor(this.#random() * this.#plan.keys)}`;
  }

  #value(): { tag: string; value: Uint8Array<ArrayBuffer> } {
    const tag = `v${this.#tags++}`;
    const large = this.#random() < 0.02 ? 30_000 : 2500;
    return { tag, value: bytes(`${tag};${"x".repeat(this.#random() * large)}`) };
  }

  #options(): ValueOptions {
    const durabilities: Durability[] = ["synced", "written", "memory"];
    return { durability: durabilities[Math.floor(this.#random() * 3)]! };
  }
}

/** What a write whose condition held has seen. */
function seen(ifVersion: number | undefined): Outcome {
  return ifVersion === undefined ? {} : { sawVersion: ifVersion };
}

function tagOf(value: Uint8Array | undefined): string | undefined {
  return text(value)?.split(";", 1)[0];
}

testStore("100 writers on one key: some order explains every answer", async ({ open }) => {
  await using store = await open();
  await new Workload(store, { seed: 1, writers: 100, keys: 1, calls: 8 }).run();
  assert(store.stats().contendedLocks > 100);
});

testStore("1000 writers on 100 keys: some order explains every answer", async ({ open }) => {
  await using store = await open();
  await new Workload(store, { seed: 2, writers: 1000, keys: 100, calls: 3 }).run();
});

for (let seed = 10; seed < 18; seed++) {
  Deno.test(`some order explains every answer, whatever the workers' pace, seed ${seed}`, async () => {
    const fs = new MemFs();
    const random = randomOf(seed);
    const options = { ...SMALL, fs, slabs: 2 + seed % 2 };
    await using store = await openWith(
      "/store",
      options,
      (control, _describe, directory) =>
        new InlineHost(control, fs, directory, "segment", (task) => {
          if (random() < 0.7) queueMicrotask(task);
          else turn().then(task);
        }),
    );
    await new Workload(store, { seed, writers: 60, keys: 1 + seed % 5, calls: 8 }).run();
  });
}

Deno.test("assertLinearizable() finds what cannot be", () => {
  const put = (called: number, ended: number, tag: string, version: number): KeyEvent => (
    { called, ended, what: `put ${tag}`, wrote: { tag, version } }
  );
  const get = (called: number, ended: number, tag: string | undefined): KeyEvent => (
    { called, ended, what: `get ${tag}`, saw: { tag } }
  );
  const deleted = (called: number, ended: number): KeyEvent => (
    { called, ended, what: "delete", wrote: { tag: undefined, version: undefined } }
  );
  const right: KeyEvent[][] = [
    [put(1, 2, "a", 8), put(3, 4, "b", 16), get(5, 6, "b")],
    [put(1, 10, "a", 16), put(2, 9, "b", 8), get(3, 4, "b"), get(5, 6, "a"), get(11, 12, "a")],
    [put(1, 2, "a", 8), deleted(3, 9), get(4, 5, "a"), get(6, 7, undefined), put(8, 10, "b", 16)],
  ];
  for (const events of right) assertLinearizable("right", events);
  const wrong: KeyEvent[][] = [
    // A read of what was overwritten before.
    [put(1, 2, "a", 8), put(3, 4, "b", 16), get(5, 6, "a")],
    // Back in time.
    [put(1, 10, "a", 8), put(2, 11, "b", 16), get(3, 4, "b"), get(5, 6, "a")],
    // Versions against time.
    [put(1, 2, "a", 16), put(3, 4, "b", 8)],
    // Deleted, and there again.
    [put(1, 2, "a", 8), deleted(3, 4), get(5, 6, "a")],
    // A condition that did not hold.
    [put(1, 2, "a", 8), put(3, 4, "b", 16), {
      called: 5,
      ended: 6,
      what: "put if",
      sawVersion: 8,
      wrote: { tag: "c", version: 24 },
    }],
    // A refusal without need.
    [put(1, 2, "a", 8), { called: 3, ended: 4, what: "no", sawVersion: 8, notVersion: 8 }],
  ];
  for (const events of wrong) {
    assert.throws(() => assertLinearizable("wrong", events), assert.AssertionError);
  }
});
