import assert from "node:assert/strict";
import fc from "fast-check";
import { testCrashes } from "../testing/mod.ts";
import { type Fs, joinPath, MemFs, readFile, syncDirectory } from "../vfs/mod.ts";
import type { LogStore } from "../wal/log_store.ts";
import { bytesFrom, contentOf, type FileKind, fileKinds } from "./_log_store_places.ts";

/** The kinds of store that a crash can hurt. What is a MiB ahead is only slower to look at. */
const kinds = fileKinds.filter(({ name }) => !/1048576|segments of 1$/.test(name));

/** What a call that returned promises about the log from then on. */
interface Vow {
  /** At least so much is kept, unless a later call cut it. */
  readonly syncedLength: number;
  /** What each position held when it was last durable; undefined: overwritten since, or never durable. */
  readonly durable: readonly (number | undefined)[];
  /** All that a position can hold besides zero: written there since the last cut below it. */
  readonly possible: readonly ReadonlySet<number>[];
  /** The head is not below this. */
  readonly head: number;
  /** The head is not above this. */
  readonly highestHead: number;
}

/** Does things to a log, and knows after each what a crash may leave. */
class Witness {
  readonly #store: LogStore;
  readonly #promise: (what: Vow) => void;
  #syncedLength = 0;
  #now: number[] = [];
  #durable: (number | undefined)[] = [];
  #possible: Set<number>[] = [];
  #head: number;
  #highestHead: number;

  constructor(store: LogStore, promise: (what: Vow) => void) {
    this.#store = store;
    this.#promise = promise;
    this.#head = this.#highestHead = store.head;
    this.#tell();
  }

  write(bytes: Uint8Array, position: number): void {
    for (let at = this.#now.length; at < position; at++) this.#now[at] = 0;
    for (const [i, byte] of bytes.entries()) {
      const at = position + i;
      this.#now[at] = byte;
      this.#durable[at] = undefined;
      (this.#possible[at] ??= new Set()).add(byte);
    }
    // Before the call: a crash within it may leave any of it.
    this.#tell();
    this.#store.writeAt(bytes, position);
  }

  sync(): void {
    this.#store.sync();
    this.#durable = [...this.#now];
    this.#syncedLength = this.#now.length;
    this.#tell();
  }

  truncate(length: number): void {
    // A crash within the call may leave the old end, or the new one, and zeros for any of the bytes.
    this.#durable.length = Math.min(this.#durable.length, length);
    this.#syncedLength = Math.min(this.#syncedLength, length);
    this.#tell();
    this.#store.truncate(length);
    this.#now.length = length;
    this.#possible.length = Math.min(this.#possible.length, length);
    this.#tell();
  }

  truncateBefore(position: number): void {
    this.#highestHead = position;
    this.#tell();
    this.#head = this.#store.truncateBefore(position);
    this.#highestHead = this.#head;
    this.#tell();
  }

  #tell(): void {
    this.#promise({
      syncedLength: this.#syncedLength,
      durable: [...this.#durable],
      possible: Array.from(this.#possible, (bytes) => new Set(bytes)),
      head: this.#head,
      highestHead: this.#highestHead,
    });
  }
}

/** Opens what a crash left, and holds it against the last promise; then the log must go on. */
function checkSurvivor(kind: FileKind, fs: Fs, promised: readonly Vow[]): void {
  for (const round of [1, 2]) {
    using store = kind.open(fs, "/d");
    const last = promised.at(-1);
    if (last === undefined) return;
    const { head, length } = store;
    assert(head >= last.head, `round ${round}: the head was ${last.head}, it is ${head}`);
    assert(head <= last.highestHead, `the head is ${head}, nobody asked for that`);
    assert(length >= last.syncedLength, `the length was ${last.syncedLength}, it is ${length}`);
    const content = contentOf(store);
    for (let at = head; at < length; at++) {
      const found = content[at - head]!;
      const durable: number | undefined = last.durable[at];
      if (durable !== undefined) {
        assert.equal(found, durable, `position ${at} was durable`);
      } else {
        assert(found === 0 || last.possible[at]?.has(found), `${found} at ${at} came back`);
      }
    }
    store.writeAt(new Uint8Array([1]), length);
    store.truncate(length);
  }
}

/** A log's life from position `base` on: appends, late writes, syncs, cuts at both ends. */
function live(log: Witness, base: number): void {
  if (base > 0) log.write(bytesFrom(0, base), 0);
  log.write(bytesFrom(0, 5), base);
  log.sync();
  log.write(bytesFrom(5, 25), base + 5);
  log.sync();
  log.write(bytesFrom(100, 4), base + 34); // another writer was faster
  log.sync();
  log.write(bytesFrom(120, 4), base + 30); // and here is the slow one
  log.sync();
  log.write(bytesFrom(150, 3), base + 38);
  log.truncateBefore(base + 24);
  log.truncate(base + 29);
  log.write(bytesFrom(170, 3), base + 29);
  log.write(bytesFrom(180, 10), base + 32);
  log.sync();
  log.truncateBefore(base + 42);
  log.write(bytesFrom(190, 3), base + 42);
  log.sync();
}

/** Where it begins: such that a sector of the disk ends within, if that takes few files. */
function baseOf(kind: FileKind): number {
  return kind.name === "segments of 7" ? 0 : 430;
}

for (const kind of kinds) {
  Deno.test(`LogStore: what was synced survives a crash at every moment, W4, W5, W7 [${kind.name}]`, async () => {
    const report = await testCrashes<Vow>({
      run(fs, promise) {
        using store = kind.open(fs, "/d");
        live(new Witness(store, promise), baseOf(kind));
      },
      check: (fs, promised) => checkSurvivor(kind, fs, promised),
    }, { statesPerMoment: 60 });
    assert(report.moments > 30, `${report.moments} moments`);
  });

  Deno.test(`LogStore: what was synced survives a crash, whatever the log did before [${kind.name}]`, async () => {
    const step = fc.record({
      kind: fc.constantFrom("append", "late", "gap", "sync", "sync", "truncate", "truncateBefore"),
      size: fc.integer({ min: 1, max: 20 }),
      at: fc.integer({ min: 0, max: 100 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 10, size: "max" }),
        fc.nat(1e6),
        async (steps, seed) => {
          await testCrashes<Vow>({
            run(fs, promise) {
              using store = kind.open(fs, "/d");
              const log = new Witness(store, promise);
              let value = 0;
              for (const { kind, size, at } of steps) {
                const span = store.length - store.head;
                const place = store.head + Math.floor(span * at / 100);
                const bytes = bytesFrom(value += size, size);
                if (kind === "append") log.write(bytes, store.length);
                if (kind === "late") log.write(bytes, place);
                if (kind === "gap") log.write(bytes, store.length + size);
                if (kind === "sync") log.sync();
                if (kind === "truncate") log.truncate(place);
                if (kind === "truncateBefore") log.truncateBefore(place);
              }
            },
            check: (fs, promised) => checkSurvivor(kind, fs, promised),
          }, { statesPerMoment: 6, seed });
        },
      ),
      { numRuns: 30 },
    );
  });

  Deno.test(`LogStore: a crash after a crash, the log going on in between [${kind.name}]`, async () => {
    let crashes = 0;
    await testCrashes<Vow>({
      run(fs, promise) {
        using store = kind.open(fs, "/d");
        live(new Witness(store, promise), baseOf(kind));
      },
      async check(fs, promised) {
        // Opening is a program too: what it makes durable, cleans and cuts can be interrupted.
        if (crashes++ % 7 !== 0) return;
        await testCrashes<Vow>({
          prepare: (second) => copyTree(fs, second, true),
          run: (second) => kind.open(second, "/d").close(),
          check: (second) => checkSurvivor(kind, second, promised),
        }, { statesPerMoment: 4, seed: crashes });
      },
    }, { statesPerMoment: 8 });
  });

  Deno.test(`LogStore, W5: after truncate() returned, none of the old bytes is seen again [${kind.name}]`, () => {
    const fs = new MemFs();
    const store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 60), 0);
    store.sync();
    store.truncate(20);
    const kept = fs.crashClone({ keep: "synced" });
    store.close();
    using survivor = kind.open(kept, "/d");
    assert.equal(survivor.length, 20, "durable before the next byte is written");
    survivor.writeAt(new Uint8Array([200]), 50);
    assert.deepEqual([...contentOf(survivor).subarray(20)], [...new Uint8Array(30), 200]);
  });

  Deno.test(`LogStore, W6: what a killed process wrote is durable once the log is open [${kind.name}]`, () => {
    const fs = new MemFs();
    kind.open(fs, "/d").writeAt(bytesFrom(0, 40), 0);
    // The page cache outlives the process, its locks do not.
    const dirty = new MemFs();
    copyTree(fs, dirty, false);
    using store = kind.open(dirty, "/d");
    const lost = dirty.crashClone({ keep: "synced" });
    using survivor = kind.open(lost, "/d");
    assert.deepEqual(contentOf(survivor), contentOf(store));
    assert.deepEqual(contentOf(survivor).subarray(0, 40), bytesFrom(0, 40));
  });
}

/** Makes the same files elsewhere, all of them durable, or none. */
function copyTree(from: Fs, to: Fs, durable: boolean, dir = "/"): void {
  for (const name of from.list(dir)) {
    const path = joinPath(dir, name);
    if (from.stat(path).isDirectory) {
      to.mkdirAll(path);
      copyTree(from, to, durable, path);
      continue;
    }
    using target = to.create(path);
    target.writeAt(readFile(from, path), 0);
    target.truncate(from.stat(path).size);
    if (durable) target.sync();
  }
  if (durable) syncDirectory(to, dir);
}
