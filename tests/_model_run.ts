import assert from "node:assert/strict";
import { FlagstoneError, open, type PutOptions, type Snapshot, type Store } from "../mod.ts";
import { assertSame, isSame, type ModelEntry, ModelState, shown } from "./_model.ts";
import { allOf, checkEverything, checkKey, checkList, checkSnapshot } from "./_model_checks.ts";
import type { Disk } from "./_model_disk.ts";
import { type Asked, KEYS, type Put, type Step } from "./_model_steps.ts";
import { failsWith, noise, SMALL } from "./_support.ts";

function valueOf({ size, seed, compress }: Put): Uint8Array {
  return compress ? new Uint8Array(size).fill(seed) : noise(size, seed);
}

/** Does steps to a store and to its model, side by side; after each, what was asked of both must agree. */
export class ModelRun {
  #disk: Disk;
  #store!: Store;
  #now = 1_000_000;
  /** States that a power loss may leave, the oldest first; the last is the present one. */
  #states = [new ModelState()];
  #lastVersion = 0;
  #checkpoints = 0;
  #underWay: Promise<unknown>[] = [];
  /** Compactions that go on while the next steps are done. */
  #compacting: Promise<unknown>[] = [];
  /** Open snapshots, what they must show, and the time that they show. */
  #snapshots: { snapshot: Snapshot; state: ModelState; now: number }[] = [];

  private constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Runs all of `steps`. Rejects with what does not hold. */
  static async run(disk: Disk, steps: readonly Step[]): Promise<void> {
    const run = new ModelRun(disk);
    await run.#open(false);
    let done = 0;
    try {
      for (const step of steps) {
        await run.#do(step);
        done++;
      }
      await run.#do({ type: "reopen", image: true });
      await run.#do({ type: "verify" });
    } catch (cause) {
      throw new Error(`step ${done}, ${JSON.stringify(steps[done])}`, { cause });
    } finally {
      await run.#store.close();
      await Promise.all(run.#compacting);
    }
  }

  get #present(): ModelState {
    return this.#states.at(-1)!;
  }

  async #open(image: boolean): Promise<void> {
    this.#store = await open(`${this.#disk.root}/store`, {
      ...SMALL,
      fs: this.#disk.fs,
      now: () => this.#now,
      indexImageKeys: image ? 0 : 1e9,
    });
  }

  async #do(step: Step): Promise<void> {
    // A burst is under way while the next step begins, but only a crash does not wait for it.
    if (step.type !== "crash") await this.#settle();
    switch (step.type) {
      case "put":
        return await this.#put(step.put, step.durability);
      case "delete":
        return await this.#delete(step);
      case "batch":
        return await this.#batch(step);
      case "update":
        return await this.#update(step);
      case "burst":
        for (const put of step.puts) {
          const entry = this.#entryOf(put);
          this.#change((state) => state.put(entry));
          const options = this.#optionsOf(put, step.durability);
          const written = this.#store.put(entry.key, entry.value, options);
          this.#underWay.push(written.then((version) => this.#acknowledged(entry, version)));
        }
        return;
      case "read":
        return await checkKey(this.#store, this.#present, this.#now, KEYS[step.key]!);
      case "list":
        return await checkList(this.#store, this.#present, this.#now, step);
      case "tick":
        this.#now += step.ms;
        return await this.#checkAll("later");
      case "flush":
        await this.#store.flush();
        return this.#durable();
      case "rotate":
        for (const seed of [1, 2, 3]) {
          const put = { key: 3, size: 22_000, seed, compress: false, expireIn: 0 };
          await this.#put({ ...put, asked: "nothing" }, "memory");
        }
        return;
      case "clear":
        await this.#store.clear();
        this.#states = [new ModelState()];
        this.#forgetSnapshots();
        return;
      case "checkpoint":
        return await this.#checkpoint();
      case "compact":
        await this.#store.compact();
        return await this.#checkAll("compacted");
      case "compacting":
        // Its steps are taken between those of the next calls.
        this.#compacting.push(
          this.#store.compact().catch((error) => {
            if (!(error instanceof FlagstoneError)) throw error;
            assert.match(error.code, /CLOSED|ABORTED|IO|WRITE_FAILED/);
          }),
        );
        return;
      case "snapshot": {
        if (this.#snapshots.length > step.nth) return;
        // Bursts may have to wait for memory; what waits is not seen.
        const state = this.#present.copy();
        this.#snapshots.push({ snapshot: this.#store.snapshot(), state, now: this.#now });
        return;
      }
      case "look":
        return await this.#look(step.nth);
      case "dispose":
        this.#snapshots.splice(step.nth, 1)[0]?.snapshot.dispose();
        return;
      case "verify":
        assert.deepEqual((await this.#store.verify()).problems, []);
        return;
      case "reopen":
        await this.#store.close();
        await Promise.all(this.#compacting.splice(0));
        this.#forgetSnapshots();
        this.#durable();
        await this.#open(step.image);
        await this.#checkAll("reopened");
        return await this.#do({ type: "verify" });
      case "crash":
        return await this.#crash(step.seed);
    }
  }

  async #settle(): Promise<void> {
    const results = await Promise.allSettled(this.#underWay.splice(0));
    for (const result of results) if (result.status === "rejected") throw result.reason;
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

  /** Goes over to a new state. */
  #change(change: (state: ModelState) => void): void {
    const next = this.#present.copy();
    change(next);
    this.#states.push(next);
  }

  /** Everything so far survives. */
  #durable(): void {
    this.#states = [this.#present];
  }

  #acknowledged(entry: ModelEntry, version: number): void {
    assert(version > this.#lastVersion, `version ${version} after ${this.#lastVersion}`);
    this.#lastVersion = version;
    entry.version = version;
  }

  #entryOf(put: Put): ModelEntry {
    const expiresAt = put.expireIn === 0 ? 0 : this.#now + put.expireIn;
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
    const version = this.#present.get(KEYS[key]!, this.#now)?.version ?? 0;
    if (asked === "nothing") return {};
    if (asked === "absent") return { ifAbsent: true };
    return { ifVersion: asked === "current" ? version : version + 1 };
  }

  #holds(key: number, asked: Asked): boolean {
    if (asked === "absent") return this.#present.get(KEYS[key]!, this.#now) === undefined;
    return asked !== "stale";
  }

  async #put(put: Put, durability: PutOptions["durability"]): Promise<void> {
    const entry = this.#entryOf(put);
    const blob = put.size > 9000 && put.seed % 2 === 0
      ? new Blob([entry.value.slice()])
      : entry.value;
    const written = this.#store.put(entry.key, blob, this.#optionsOf(put, durability));
    if (!this.#holds(put.key, put.asked)) return void await failsWith("CONFLICT", written);
    this.#change((state) => state.put(entry));
    this.#acknowledged(entry, await written);
    if (durability === "synced") this.#durable();
  }

  async #delete(step: Step & { type: "delete" }): Promise<void> {
    const key = KEYS[step.key]!;
    const condition = this.#conditionOf(step.key, step.asked) as { ifVersion?: number };
    const deleted = this.#store.delete(key, { durability: step.durability, ...condition });
    if (!this.#holds(step.key, step.asked)) return void await failsWith("CONFLICT", deleted);
    const had = this.#present.get(key, this.#now) !== undefined;
    if (had) this.#change((state) => state.delete(key));
    assert.equal(await deleted, had);
    if (step.durability === "synced") this.#durable();
  }

  async #batch({ operations, durability }: Step & { type: "batch" }): Promise<void> {
    const entries = operations.map((one) => typeof one === "number" ? one : this.#entryOf(one));
    const holds = operations.every((one) =>
      typeof one === "number" || this.#holds(one.key, one.asked)
    );
    const written = this.#store.batch(
      operations.map((one, i) => {
        const entry = entries[i]!;
        if (typeof one === "number" || typeof entry === "number") {
          return { type: "delete" as const, key: KEYS[one as number]! };
        }
        return {
          type: "put" as const,
          key: entry.key,
          value: entry.value,
          ...this.#fieldsOf(one),
        };
      }),
      { durability },
    );
    if (!holds) return void await failsWith("CONFLICT", written);
    if (operations.length === 0) return assert.equal(await written, 0);
    this.#change((state) => {
      for (const entry of entries) {
        if (typeof entry === "number") state.delete(KEYS[entry]!);
        else state.put(entry);
      }
    });
    const version = await written;
    // Of all but the last, the version is asked for.
    for (const entry of entries) {
      if (typeof entry === "number" || this.#present.get(entry.key, this.#now) !== entry) continue;
      entry.version = (await this.#store.getEntry(entry.key))?.version;
      assert(entry.version! > this.#lastVersion && entry.version! <= version);
    }
    this.#lastVersion = version;
    if (durability === "synced") this.#durable();
  }

  async #update({ put, remove, durability }: Step & { type: "update" }): Promise<void> {
    const entry = this.#entryOf(put);
    const before = this.#present.get(entry.key, this.#now);
    const options = put.expireIn === 0 ? { durability } : { durability, expireIn: put.expireIn };
    const version = await this.#store.update(entry.key, (old) => {
      assert.deepEqual(old, before?.value);
      return remove ? undefined : entry.value;
    }, options);
    if (!remove) {
      this.#change((state) => state.put(entry));
      this.#acknowledged(entry, version!);
    } else if (before !== undefined) {
      this.#change((state) => state.delete(entry.key));
      assert(version! > this.#lastVersion);
      this.#lastVersion = version!;
    } else {
      assert.equal(version, undefined);
    }
    if (durability === "synced") this.#durable();
  }

  async #checkpoint(): Promise<void> {
    const directory = `${this.#disk.root}/copy-${++this.#checkpoints}`;
    await this.#store.checkpoint(directory);
    const fs = this.#disk.fs;
    await using copy = await open(directory, { ...SMALL, fs, now: () => this.#now });
    assertSame(this.#present.list(this.#now), await allOf(copy), "a checkpoint");
    assert.deepEqual((await copy.verify()).problems, []);
    this.#durable();
  }

  async #checkAll(where: string): Promise<void> {
    await checkEverything(this.#store, this.#present, this.#now, where);
  }

  async #crash(seed: number): Promise<void> {
    const old = this.#store;
    this.#disk = this.#disk.crash(seed);
    await Promise.allSettled(this.#underWay.splice(0));
    await old.close().catch(() => {});
    await Promise.all(this.#compacting.splice(0));
    this.#forgetSnapshots();
    await this.#open(seed % 2 === 0);
    const found = await allOf(this.#store);
    const survivor = this.#states.findLast((state) => isSame(state.list(this.#now), found));
    if (survivor === undefined) {
      const states = this.#states.map((state) => shown(state.list(this.#now)));
      assert.fail(`a crash left\n${shown(found)}\nwhich is none of\n${states.join("\n or\n")}`);
    }
    // What survives was synced by recovery.
    this.#states = [survivor];
    for (const { key, version } of found) survivor.get(key, this.#now)!.version = version;
    assert.equal(this.#store.stats().keys, found.length);
  }
}
