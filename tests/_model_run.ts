import assert from "node:assert/strict";
import { FlagstoneError, open, type Snapshot, type Store } from "../mod.ts";
import { assertSame, isPart, isSame, ModelState, ModelStates, nameOf, shown } from "./_model.ts";
import { allOf, checkEverything, checkKey, checkList, checkSnapshot } from "./_model_checks.ts";
import type { Disk } from "./_model_disk.ts";
import { KEYS, type Step } from "./_model_steps.ts";
import { ModelWrites, type WritingRun } from "./_model_writes.ts";
import { Evictions } from "./_model_evictions.ts";
import { SMALL } from "./_support.ts";

/** The least bound that a store of a model test can have: some 380 KiB of files, then something goes. */
export const LEAST_BOUND = 14 * 64 * 1024;

/** How a model test opens its store. */
export interface ModelOptions {
  /** Given, keys may be evicted. */
  readonly maxBytes?: number;
}

/** Does steps to a store and to its model, side by side; after each, what was asked of both must agree. */
export class ModelRun implements WritingRun {
  readonly #options: ModelOptions;
  #disk: Disk;
  store!: Store;
  now = 1_000_000;
  readonly states = new ModelStates();
  /** There in a store with a bound. */
  readonly evictions: Evictions | undefined;
  readonly #writes = new ModelWrites(this);
  #checkpoints = 0;
  /** Compactions that go on while the next steps are done. */
  #compacting: Promise<unknown>[] = [];
  /** Open snapshots, what they must show, and the time that they show. */
  #snapshots: { snapshot: Snapshot; state: ModelState; now: number }[] = [];

  private constructor(disk: Disk, options: ModelOptions) {
    this.#disk = disk;
    this.#options = options;
    if (options.maxBytes !== undefined) this.evictions = new Evictions(this.states);
  }

  /** Runs all of `steps`. Rejects with what does not hold. */
  static async run(
    disk: Disk,
    steps: readonly Step[],
    options: ModelOptions = {},
  ): Promise<void> {
    const run = new ModelRun(disk, options);
    await run.#open(false);
    let done = 0;
    try {
      for (const step of steps) {
        await run.#do(step);
        done++;
      }
      await run.#do({ type: "reopen", image: true });
      await run.#do({ type: "verify" });
      await run.store.close();
    } catch (cause) {
      // After a crash it may be the store of before.
      await run.store.close().catch(() => {});
      throw new Error(`step ${done}, ${JSON.stringify(steps[done])}`, { cause });
    } finally {
      await Promise.all(run.#compacting);
    }
  }

  get #present(): ModelState {
    return this.states.present;
  }

  async #open(image: boolean): Promise<void> {
    this.store = await open(`${this.#disk.root}/store`, {
      ...SMALL,
      fs: this.#disk.fs,
      now: () => this.now,
      indexImageKeys: image ? 0 : 1e9,
      ...this.#options,
    });
    this.evictions?.opened(this.store, () => this.now);
  }

  async #do(step: Step): Promise<void> {
    // A burst is under way while the next step begins, but only a crash does not wait for it.
    if (step.type !== "crash") await this.#writes.settle();
    switch (step.type) {
      case "put":
        return await this.#writes.put(step.put, step.durability);
      case "delete":
        return await this.#writes.delete(step);
      case "batch":
        return await this.#writes.batch(step);
      case "update":
        return await this.#writes.update(step);
      case "burst":
        for (const put of step.puts) this.#writes.beginPut(put, step.durability);
        return;
      case "fill":
        return await this.#writes.fill(step);
      case "read":
        return await this.agree(() =>
          checkKey(this.store, this.#present, this.now, KEYS[step.key]!)
        );
      case "list":
        return await this.agree(() => checkList(this.store, this.#present, this.now, step));
      case "tick":
        this.now += step.ms;
        return await this.#checkAll("later");
      case "flush":
        await this.store.flush();
        return this.states.durable();
      case "rotate":
        for (const seed of [1, 2, 3]) {
          const put = { key: 3, size: 22_000, seed, compress: false, expireIn: 0 };
          await this.#writes.put({ ...put, asked: "nothing" }, "memory");
        }
        return;
      case "clear":
        await this.roomy(() => this.store.clear());
        this.states.become(new ModelState());
        this.#forgetSnapshots();
        return;
      case "checkpoint":
        return await this.#checkpoint();
      case "compact":
        await this.roomy(() => this.store.compact());
        return await this.#checkAll("compacted");
      case "compacting":
        // Its steps are taken between those of the next calls.
        this.#compacting.push(
          this.store.compact().catch((error) => {
            if (!(error instanceof FlagstoneError)) throw error;
            assert.match(error.code, /CLOSED|ABORTED|IO|WRITE_FAILED|NO_SPACE/);
          }),
        );
        return;
      case "snapshot": {
        if (this.#snapshots.length > step.nth) return;
        // Bursts may have to wait for memory; what waits is not seen.
        const snapshot = this.store.snapshot();
        // What it does not see went before: from here on, it shows the same for ever.
        await this.evictions?.learn(snapshot);
        this.#snapshots.push({ snapshot, state: this.#present.copy(), now: this.now });
        return;
      }
      case "look":
        return await this.#look(step.nth);
      case "dispose":
        this.#snapshots.splice(step.nth, 1)[0]?.snapshot.dispose();
        return;
      case "verify":
        assert.deepEqual((await this.store.verify()).problems, []);
        return;
      case "reopen":
        this.evictions?.ending();
        await this.store.close();
        await Promise.all(this.#compacting.splice(0));
        this.#forgetSnapshots();
        this.states.durable();
        await this.#open(step.image);
        await this.#checkAll("reopened");
        this.evictions?.lookedAt();
        return await this.#do({ type: "verify" });
      case "crash":
        return await this.#crash(step.seed);
    }
  }

  /** True if a store with a bound may say so: a snapshot needs the room. */
  isRefusal(error: unknown): boolean {
    return error instanceof FlagstoneError && error.code === "NO_SPACE" &&
      this.evictions !== undefined && this.#snapshots.length > 0;
  }

  /** Does `work`; if there is no room for it, without the snapshots that need it. */
  async roomy<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!this.isRefusal(error)) throw error;
      for (const { snapshot } of this.#snapshots.splice(0)) snapshot.dispose();
      return await work();
    }
  }

  /** Does `check`; in a store with a bound, once it is known what has gone. */
  async agree(check: () => Promise<void>): Promise<void> {
    if (this.evictions === undefined) await check();
    else await this.evictions.agree(check);
  }

  async #look(nth: number): Promise<void> {
    const one = this.#snapshots[nth];
    if (one !== undefined) await checkSnapshot(one.snapshot, one.state, one.now, `snapshot ${nth}`);
  }

  /** The store is closed, cleared or dead. */
  #forgetSnapshots(): void {
    for (const { snapshot } of this.#snapshots.splice(0)) {
      assert.throws(() => snapshot.getSync("a"), { code: "CLOSED" });
      snapshot.dispose();
    }
  }

  async #checkpoint(): Promise<void> {
    const directory = `${this.#disk.root}/copy-${++this.#checkpoints}`;
    const before = this.#present.list(this.now);
    await this.roomy(() => this.store.checkpoint(directory));
    const fs = this.#disk.fs;
    await using copy = await open(directory, { ...SMALL, fs, now: () => this.now });
    const found = await allOf(copy);
    if (!this.evictions) assertSame(before, found, "a checkpoint");
    else {
      // What the copy has went later, if it did; what it has not is gone.
      assert(isPart(before, found), `a checkpoint has\n${shown(found)}\nof\n${shown(before)}`);
      await this.evictions.learn(this.store);
      const names = new Set(found.map(({ key }) => nameOf(key)));
      const lost = this.#present.list(this.now).filter(({ key }) => !names.has(nameOf(key)));
      assert.equal(shown(lost), "", "a checkpoint lacks what is there");
    }
    assert.deepEqual((await copy.verify()).problems, []);
    this.states.durable();
  }

  async #checkAll(where: string): Promise<void> {
    await this.agree(() => checkEverything(this.store, this.#present, this.now, where));
  }

  async #crash(seed: number): Promise<void> {
    const old = this.store;
    this.#disk = this.#disk.crash(seed);
    await this.#writes.settle(true);
    this.evictions?.ending();
    await old.close().catch(() => {});
    await Promise.all(this.#compacting.splice(0));
    this.#forgetSnapshots();
    await this.#open(seed % 2 === 0);
    // What goes while it is being read has gone.
    const found = (await allOf(this.store)).filter(({ value }) =>
      value !== undefined || this.evictions === undefined
    );
    const survivor = this.evictions === undefined
      ? this.states.all.findLast((state) => isSame(state.list(this.now), found))
      : this.states.all.findLast((state) => isPart(state.list(this.now), found));
    if (survivor === undefined) {
      const states = this.states.all.map((state) => shown(state.list(this.now)));
      assert.fail(`a crash left\n${shown(found)}\nwhich is none of\n${states.join("\n or\n")}`);
    }
    // What survives was synced by recovery.
    this.states.become(survivor);
    for (const { key, version } of found) survivor.get(key, this.now)!.version = version;
    if (this.evictions === undefined) assert.equal(this.store.stats().keys, found.length);
    else {
      const lost = survivor.list(this.now).length - found.length;
      const most = this.evictions.unseen;
      assert(
        lost <= most,
        `a crash took ${lost} keys along, of ${most} that may have been evicted`,
      );
      this.evictions.lookedAt();
      const names = new Set(found.map(({ key }) => nameOf(key)));
      for (const { key } of survivor.list(this.now)) {
        if (!names.has(nameOf(key))) survivor.delete(key);
      }
    }
  }
}
