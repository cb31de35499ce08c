import assert from "node:assert/strict";
import { FlagstoneError, type PutOptions, type Store } from "../mod.ts";
import type { ModelEntry, ModelStates } from "./_model.ts";
import type { Evictions } from "./_model_evictions.ts";
import { type Asked, KEYS, type Put, type Step } from "./_model_steps.ts";
import { noise } from "./_support.ts";

/** The store with the least bound takes batches of so much, and somewhat more. */
const MOST_BATCH_BYTES = 180_000;

function valueOf({ size, seed, compress }: Put): Uint8Array {
  return compress ? new Uint8Array(size).fill(seed) : noise(size, seed);
}

/** A run of which the writes are part. */
export interface WritingRun {
  /** Another one after each reopening. */
  readonly store: Store;
  readonly now: number;
  readonly states: ModelStates;
  /** There in a store with a bound. */
  readonly evictions: Evictions | undefined;
  /** Does `work`; if there is no room for it, without the snapshots that need it. */
  roomy<T>(work: () => Promise<T>): Promise<T>;
  /** True if a store with a bound may say so: a snapshot needs the room. */
  isRefusal(error: unknown): boolean;
  /** Does `check`; in a store with a bound, once it is known what has gone. */
  agree(check: () => Promise<void>): Promise<void>;
}

/** Writes of every kind, to a store and to its model. */
export class ModelWrites {
  readonly #run: WritingRun;
  #lastVersion = 0;
  /** Puts of a burst: `before` is what the key had when it was called. */
  #underWay: { entry: ModelEntry; before: ModelEntry | undefined; written: Promise<number> }[] = [];

  /** Writes to the store of `run`. */
  constructor(run: WritingRun) {
    this.#run = run;
  }

  #acknowledged(entry: ModelEntry, version: number): void {
    assert(version > this.#lastVersion, `version ${version} after ${this.#lastVersion}`);
    this.#lastVersion = version;
    entry.version = version;
  }

  #entryOf(put: Put): ModelEntry {
    const expiresAt = put.expireIn === 0 ? 0 : this.#run.now + put.expireIn;
    return { key: KEYS[put.key]!, value: valueOf(put), version: undefined, expiresAt };
  }

  #optionsOf(put: Put, durability: PutOptions["durability"]): PutOptions {
    return {
      durability: durability!,
      compression: put.compress ? "zstd" : "none",
      ...this.#fieldsOf(put),
    };
  }

  #fieldsOf(put: Put): PutOptions {
    return {
      ...(put.expireIn === 0 ? {} : { expireIn: put.expireIn }),
      ...this.#conditionOf(put.key, put.asked),
    };
  }

  #conditionOf(key: number, asked: Asked): { ifVersion?: number; ifAbsent?: boolean } {
    const version = this.#run.states.present.get(KEYS[key]!, this.#run.now)?.version ?? 0;
    if (asked === "nothing") return {};
    if (asked === "absent") return { ifAbsent: true };
    return { ifVersion: asked === "current" ? version : version + 1 };
  }

  #holds(key: number, asked: Asked): boolean {
    if (asked === "absent") {
      return this.#run.states.present.get(KEYS[key]!, this.#run.now) === undefined;
    }
    return asked !== "stale";
  }

  /**
   * What `write` came to, nothing if it was in conflict: as the model has it, unless a key went of
   * which it was asked that it is there, or that it is missing; or if a store with a bound never takes so
   * much at once.
   */
  async #wasDone<T>(
    write: () => Promise<T>,
    conditions: readonly { key: number; asked: Asked; size?: number }[],
  ): Promise<{ result: T } | undefined> {
    let outcome: { result: T } | undefined;
    try {
      outcome = { result: await this.#run.roomy(write) };
    } catch (error) {
      if (!(error instanceof FlagstoneError)) throw error;
      if (error.code === "TOO_LARGE" && this.#run.evictions !== undefined) {
        const bytes = conditions.reduce((sum, { size = 0 }) => sum + size, 0);
        assert(bytes > MOST_BATCH_BYTES, `a batch of ${bytes} bytes is too large`);
        return undefined;
      }
      if (error.code !== "CONFLICT") throw error;
    }
    const broken = conditions.filter(({ key, asked }) => !this.#holds(key, asked));
    if ((outcome !== undefined) === (broken.length === 0)) return outcome;
    assert(this.#run.evictions !== undefined, outcome === undefined ? "a conflict" : "no conflict");
    if (outcome !== undefined) {
      assert(broken.every(({ asked }) => asked === "absent"), "a stale version is no conflict");
      for (const { key } of broken) await this.#run.evictions.went(KEYS[key]!);
      return outcome;
    }
    const current = conditions.filter(({ key, asked }) =>
      asked === "current" && this.#run.states.present.get(KEYS[key]!, this.#run.now) !== undefined
    );
    await this.#run.evictions.learn(this.#run.store);
    assert(
      current.some(({ key }) =>
        this.#run.states.present.get(KEYS[key]!, this.#run.now) === undefined
      ),
      "a conflict, though the version is that of the key",
    );
    return undefined;
  }

  /** See `Step`. */
  async put(put: Put, durability: PutOptions["durability"]): Promise<void> {
    const entry = this.#entryOf(put);
    const options = this.#optionsOf(put, durability);
    const outcome = await this.#wasDone(() => {
      const blob = put.size > 9000 && put.seed % 2 === 0
        ? new Blob([entry.value.slice()])
        : entry.value;
      return this.#run.store.put(entry.key, blob, options);
    }, [put]);
    if (outcome === undefined) return;
    this.#run.states.change((state) => state.put(entry));
    this.#acknowledged(entry, outcome.result);
    if (durability === "synced") this.#run.states.durable();
  }

  /** Begins a put, which is under way until `settle`. */
  beginPut(put: Put, durability: PutOptions["durability"]): void {
    const entry = this.#entryOf(put);
    const before = this.#run.states.present.get(entry.key, 0);
    this.#run.states.change((state) => state.put(entry));
    const written = this.#run.store.put(entry.key, entry.value, this.#optionsOf(put, durability));
    // It is looked at when the burst is.
    written.catch(() => {});
    this.#underWay.push({ entry, before, written });
  }

  /** Many keys that nothing else is about: in a store with a bound, something has to go. */
  async fill({ from, keys, size, reads }: Step & { type: "fill" }): Promise<void> {
    for (let i = 0; i < keys; i++) {
      const value = new Uint8Array(size + i).fill(from + i);
      const entry = { key: `fill:${(from + i) % 40}`, value, version: undefined, expiresAt: 0 };
      const put = () => this.#run.store.put(entry.key, value, { durability: "memory" });
      const version = await this.#run.roomy(put);
      this.#run.states.change((state) => state.put(entry));
      this.#acknowledged(entry, version);
    }
    // Those stay for longer.
    for (let i = 0; i < reads; i++) {
      const key = `fill:${i}`;
      await this.#run.agree(async () =>
        assert.deepEqual(
          await this.#run.store.get(key),
          this.#run.states.present.get(key, this.#run.now)?.value,
        )
      );
    }
  }

  /** See `Step`. */
  async delete(step: Step & { type: "delete" }): Promise<void> {
    const key = KEYS[step.key]!;
    const condition = this.#conditionOf(step.key, step.asked) as { ifVersion?: number };
    const options = { durability: step.durability, ...condition };
    const outcome = await this.#wasDone(() => this.#run.store.delete(key, options), [step]);
    if (outcome === undefined) return;
    let had = this.#run.states.present.get(key, this.#run.now) !== undefined;
    if (had && !outcome.result && await this.#run.evictions?.went(key)) had = false;
    if (had) this.#run.states.change((state) => state.delete(key));
    assert.equal(outcome.result, had);
    if (step.durability === "synced") this.#run.states.durable();
  }

  /** See `Step`. */
  async batch({ operations, durability }: Step & { type: "batch" }): Promise<void> {
    const entries = operations.map((one) => typeof one === "number" ? one : this.#entryOf(one));
    const batch = operations.map((one, i) => {
      const entry = entries[i]!;
      if (typeof one === "number" || typeof entry === "number") {
        return { type: "delete" as const, key: KEYS[one as number]! };
      }
      return { type: "put" as const, key: entry.key, value: entry.value, ...this.#fieldsOf(one) };
    });
    const outcome = await this.#wasDone(
      () => this.#run.store.batch(batch, { durability }),
      operations.filter((one) => typeof one !== "number"),
    );
    if (outcome === undefined) return;
    const version = outcome.result;
    if (operations.length === 0) return assert.equal(version, 0);
    this.#run.states.change((state) => {
      for (const entry of entries) {
        if (typeof entry === "number") state.delete(KEYS[entry]!);
        else state.put(entry);
      }
    });
    // Of all but the last, the version is asked for.
    for (const entry of entries) {
      if (
        typeof entry === "number" ||
        this.#run.states.present.get(entry.key, this.#run.now) !== entry
      ) continue;
      entry.version = (await this.#run.store.getEntry(entry.key))?.version;
      if (entry.version === undefined && await this.#run.evictions?.went(entry.key)) continue;
      assert(entry.version! > this.#lastVersion && entry.version! <= version);
    }
    this.#lastVersion = version;
    if (durability === "synced") this.#run.states.durable();
  }

  /** See `Step`. */
  async update({ put, remove, durability }: Step & { type: "update" }): Promise<void> {
    const entry = this.#entryOf(put);
    let before = this.#run.states.present.get(entry.key, this.#run.now);
    const options = put.expireIn === 0 ? { durability } : { durability, expireIn: put.expireIn };
    let found: Uint8Array | undefined;
    const version = await this.#run.roomy(() =>
      this.#run.store.update(entry.key, (old) => {
        found = old;
        return remove ? undefined : entry.value;
      }, options)
    );
    if (found === undefined && before !== undefined && await this.#run.evictions?.went(entry.key)) {
      before = undefined;
    }
    assert.deepEqual(found, before?.value);
    if (!remove) {
      this.#run.states.change((state) => state.put(entry));
      this.#acknowledged(entry, version!);
    } else if (before !== undefined) {
      this.#run.states.change((state) => state.delete(entry.key));
      assert(version! > this.#lastVersion);
      this.#lastVersion = version!;
    } else {
      assert.equal(version, undefined);
    }
    if (durability === "synced") this.#run.states.durable();
  }

  /** Waits for the puts of a burst. Those that were refused for want of room never were. */
  async settle(isCrash = false): Promise<void> {
    const burst = this.#underWay.splice(0);
    const results = await Promise.allSettled(burst.map(({ written }) => written));
    const refused: typeof burst = [];
    for (const [i, result] of results.entries()) {
      if (result.status === "fulfilled") this.#acknowledged(burst[i]!.entry, result.value);
      else if (this.#run.isRefusal(result.reason)) refused.unshift(burst[i]!);
      else if (!isCrash) throw result.reason;
    }
    for (const { entry, before } of refused) this.#run.states.undo(entry, before);
  }
}
