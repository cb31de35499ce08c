import assert from "node:assert/strict";
import { deflate } from "../codec/deflate.ts";
import { open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { CrashFs, type Fs, MemFs, syncDirectory } from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runWorkload } from "./_history.ts";
import { collect, noise, randomOf, readFile, SMALL } from "./_support.ts";

const DIR = "/parent/store";

/** Opens what a crash left, checks it, writes, and does it again: recovery must leave a store that opens. */
async function checkSurvivor(fs: Fs, events: readonly HistoryEvent[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await using store = await open(DIR, { ...SMALL, fs });
    await checkHistory(store, events);
    await store.put("after", "x");
  }
}

for (const seed of [1, 2, 3]) {
  Deno.test(`power loss at every sync point loses nothing that was acknowledged, seed ${seed}`, async () => {
    const fs = new MemFs();
    const survivors: [MemFs, HistoryEvent[], string][] = [];
    const events: HistoryEvent[] = [];
    fs.onSync = (path, kind, when) => {
      const moment = `sync ${survivors.length}, ${when} ${kind} of ${path}`;
      survivors.push([fs.crashClone({ keep: "synced" }), [...events], moment]);
    };
    {
      await using store = await open(DIR, { ...SMALL, fs });
      await runWorkload(store, seed, 150, (event) => events.push(event));
    }
    fs.onSync = undefined;
    assert(survivors.length > 100, `${survivors.length} moments`);
    for (const [survivor, past, moment] of survivors) {
      await checkSurvivor(survivor, past).catch((cause) => {
        throw new Error(`after a power loss at ${moment}, seed ${seed}`, { cause });
      });
    }
    await checkSurvivor(fs, events);
  });

  Deno.test(`power loss at every call, with some sectors and names kept, seed ${seed}`, async () => {
    const report = await testCrashes<HistoryEvent>({
      async run(fs, promise) {
        await using store = await open(DIR, { ...SMALL, fs });
        await runWorkload(store, seed, 60, promise);
      },
      check: checkSurvivor,
    }, { statesPerMoment: 12, seed: seed * 100_000 });
    assert(report.moments > 80, `${report.moments} moments`);
  });
}

for (const compression of ["zstd", "deflate"] as const) {
  Deno.test(`power loss at every call, with values compressed by ${compression}`, async () => {
    const options = { ...SMALL, codecs: [deflate()], compression };
    let smaller = 0;
    const report = await testCrashes<HistoryEvent>({
      async run(fs, promise) {
        await using store = await open(DIR, { ...options, fs });
        await runWorkload(store, 4, 60, promise, 1, repetitive);
        const { valueBytes, storedValueBytes } = store.stats();
        // One in ten is as random as noise, and is stored as it is.
        assert(storedValueBytes < valueBytes / 3, `${storedValueBytes} of ${valueBytes}`);
      },
      async check(fs, events) {
        for (let round = 0; round < 2; round++) {
          await using store = await open(DIR, { ...options, fs });
          await checkHistory(store, events);
          for await (const { size, storedSize } of store.list()) if (storedSize < size) smaller++;
          if (round === 0) assert.deepEqual((await store.verify()).problems, []);
          await store.put("after", repetitive(2000, 1));
        }
      },
    }, { statesPerMoment: 8, seed: 77 });
    assert(report.moments > 60 && smaller > 1000, `${report.moments} moments, ${smaller}`);
  });
}

/** A value that compresses well, but for one in ten. */
function repetitive(size: number, seed: number): Uint8Array {
  if (seed % 10 === 0) return noise(size, seed);
  const pattern = noise(40, seed);
  return Uint8Array.from({ length: size }, (_, i) => pattern[i % 40]!);
}

Deno.test("power loss after power loss, the store going on in between", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = randomOf(seed);
    let fs = new CrashFs();
    let events: HistoryEvent[] = [];
    for (let crash = 0; crash < 10; crash++) {
      const survivors: [CrashFs, HistoryEvent[]][] = [];
      const store = await open(DIR, { ...SMALL, fs });
      const where = `crash ${crash} of seed ${seed}`;
      await checkHistory(store, events).catch((cause) => {
        throw new Error(`before ${where}`, { cause });
      });
      await runWorkload(store, random() * 1e9, 15, (event) => {
        events.push(event);
        survivors.push([fs.crashClone({ seed: survivors.length + crash * 100 }), [...events]]);
      }, crash * 100);
      await store.close();
      [fs, events] = survivors[Math.floor(random() * survivors.length)]!;
    }
  }
});

for (const durability of ["synced", "written", "memory"] as const) {
  Deno.test(`a power loss keeps a prefix of the writes, durability ${durability}`, async () => {
    const versions: number[] = [];
    const states = new Set<number>();
    await testCrashes<never>({
      async run(fs) {
        await using store = await open(DIR, { ...SMALL, fs, durability });
        const writes: Promise<number>[] = [];
        for (let i = 0; i < 90; i++) {
          writes.push(store.put(`key:${i}`, noise(1 + (i * 977) % 3000, i)));
          if (i % 4 === 0) await Promise.all(writes);
        }
        versions.push(...(await Promise.all(writes)).toSorted((a, b) => a - b));
      },
      async check(fs) {
        await using store = await open(DIR, { ...SMALL, fs });
        const kept = (await collect(store.list())).map(({ version }) => version);
        kept.sort((a, b) => a - b);
        states.add(kept.length);
        assert.deepEqual(kept, versions.slice(0, kept.length));
      },
    }, { statesPerMoment: 20 });
    assert(states.size > 10, `${states.size} different prefixes`);
  });
}

Deno.test("flush() after a kill makes durable what the dead process had only written", async () => {
  const fs = new MemFs();
  const store = await open(DIR, { ...SMALL, fs });
  await store.put("a", "1", { durability: "written" });
  // The page cache outlives the process: all bytes are there, none of the log's is durable.
  const killed = new MemFs();
  killed.mkdirAll(DIR);
  for (const name of fs.list(DIR)) {
    using file = killed.create(`${DIR}/${name}`);
    file.writeAt(readFile(fs, `${DIR}/${name}`), 0);
    if (!name.endsWith(".log")) file.sync();
  }
  for (const path of ["/", "/parent", DIR]) syncDirectory(killed, path);
  await store.close();
  const reopened = await open(DIR, { ...SMALL, fs: killed });
  assert.equal(await reopened.getText("a"), "1");
  await reopened.flush();
  const lost = killed.crashClone({ keep: "synced" });
  await reopened.close();
  await using survivor = await open(DIR, { ...SMALL, fs: lost });
  assert.equal(await survivor.getText("a"), "1");
});

Deno.test("a store whose program died between its opening and its first write loses nothing later", async () => {
  // The next log had been created ahead of time, and its header has numbers beyond those of the log
  // that goes on. They were skipped, but no mark said so, as that log had been closed well: what was
  // written from then on was taken for stale bytes by the opening after the next crash, and cut off.
  const report = await testCrashes<never>({
    async prepare(fs) {
      await using store = await open(DIR, { ...SMALL, fs });
      await store.put("a", noise(5000, 1));
    },
    async run(fs) {
      await using store = await open(DIR, { ...SMALL, fs });
      await store.put("b", "1");
    },
    async check(fs) {
      assert(fs instanceof CrashFs);
      const store = await open(DIR, { ...SMALL, fs });
      await store.put("c", "2");
      const lost = fs.crashClone({ seed: 1, keepData: 0, keepNames: 0 });
      await store.close();
      await using survivor = await open(DIR, { ...SMALL, fs: lost });
      assert.deepEqual(await survivor.get("a"), noise(5000, 1));
      assert.equal(await survivor.getText("c"), "2");
    },
  }, { statesPerMoment: 12 });
  assert(report.moments > 10, `${report.moments} moments`);
});

Deno.test("the version of a write that was lost is not given again once its log is a segment", async () => {
  // What crashes skip is on record in marks. The footer told of the highest number of a key's record,
  // so once that log was a segment, all that was known is that some may have been skipped: those of
  // one crash.
  const afterCrash = async (fs: CrashFs, work: (store: Store) => Promise<void>) => {
    const store = await open(DIR, { ...SMALL, fs });
    await work(store);
    const left = fs.crashClone({ seed: 1, keepData: 0, keepNames: 0 });
    await store.close();
    return left;
  };
  let lost = 0;
  const once = await afterCrash(new CrashFs(), async (store) => {
    await store.put("a", noise(20_000, 1));
  });
  const twice = await afterCrash(once, async (store) => {
    lost = await store.put("b", "2", { durability: "written" });
  });
  const sealed = await open(DIR, { ...SMALL, fs: twice });
  assert.equal(await sealed.get("b"), undefined);
  await sealed.close();
  await using store = await open(DIR, { ...SMALL, fs: twice });
  assert(await store.put("c", "3") > lost);
});

for (
  const [name, ask] of [
    ["update()", (store: Store) => store.update("a", () => undefined)],
    ["a delete() that waits for its key", async (store: Store) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const update = store.update("a", () => promise.then(() => undefined), {
        durability: "memory",
      });
      const waiting = store.delete("a");
      resolve();
      await update;
      return await waiting;
    }],
  ] as const
) {
  Deno.test(`${name} of a key that is missing resolves once that survives`, async () => {
    const fs = new MemFs();
    await using store = await open(DIR, { ...SMALL, fs });
    await store.put("a", "1");
    assert.equal(await store.delete("a", { durability: "memory" }), true);
    assert(!(await ask(store)));
    await using survivor = await open(DIR, { ...SMALL, fs: fs.crashClone({ keep: "synced" }) });
    assert.equal(await survivor.getText("a"), undefined);
  });
}
