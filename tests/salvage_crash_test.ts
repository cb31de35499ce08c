/** A salvage that is cut off, by a power loss or by a call that fails. */
import assert from "node:assert/strict";
import type { Key, RecoveryReport } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { FaultFs, type Fs, MemFs } from "../vfs/mod.ts";
import { sweepCrashes } from "./_crash_sweep.ts";
import { check, type Content, fill, flip, SALVAGE } from "./_salvage.ts";
import { filesOf, noise, placeOn, readFile } from "./_support.ts";

Deno.test("power loss at every step of a salvage: nothing that can be read is lost", async () => {
  for (const suffix of [".seg", ".log", "-0000000001.seg"]) {
    let content: Content = new Map();
    let expected: string[] | undefined;
    const damage = async (fs: Fs) => {
      const place = placeOn(fs, "/store");
      content = await fill(place);
      const [name] = filesOf(place, suffix);
      flip(fs, `/store/${name}`, 5000);
      using file = fs.openReadWrite(`/store/${name}`);
      file.sync();
    };
    await testCrashes<Key[]>({
      prepare: damage,
      async run(fs, promise) {
        await using store = await placeOn(fs, "/store").open(SALVAGE);
        const missing = await check(store, content, store.stats().recovery);
        expected ??= missing;
        promise(missing);
      },
      async check(fs, promised) {
        // A plain open tells of the damage, or of nothing if the salvage was done.
        const place = placeOn(fs, "/store");
        if (promised.length > 0) await (await place.open()).close();
        await using store = await place.open(SALVAGE);
        const missing = [];
        for (const key of content.keys()) if (!await store.has(key)) missing.push(key);
        assert.deepEqual(missing, expected, suffix);
        for (const [key, value] of content) {
          if (await store.has(key)) assert.deepEqual(await store.get(key), value);
        }
        assert.deepEqual((await store.verify()).problems, []);
      },
    }, { statesPerMoment: 4 });
    assert.equal(expected?.length, 1, suffix);
  }
});

Deno.test("every state that a power loss leaves of a salvage has what could be read", async () => {
  const keys = Array.from({ length: 8 }, (_, i) => `key ${i}`);
  const calls = await sweepCrashes({
    async prepare(fs) {
      const place = placeOn(fs, "/store");
      {
        await using store = await place.open(SALVAGE);
        for (const [i, key] of keys.entries()) await store.put(key, noise(3000, i));
      }
      const [name] = filesOf(place, ".seg");
      flip(fs, `/store/${name}`, 5000);
      using file = fs.openReadWrite(`/store/${name}`);
      file.sync();
    },
    async run(fs, sweep) {
      await sweep(
        async () => {
          await using _store = await placeOn(fs, "/store").open(SALVAGE);
        },
        () => {},
      );
    },
    async check(fs) {
      await using store = await placeOn(fs, "/store").open(SALVAGE);
      for (const [i, key] of keys.entries()) {
        assert.deepEqual(await store.get(key), i === 1 ? undefined : noise(3000, i), key);
      }
    },
  });
  assert(calls.length > 5, `${calls}`);
});

Deno.test("whichever call of a salvage fails, the next one does it", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  const [name] = filesOf(place, ".seg");
  flip(place.fs, `/store/${name}`, 5000);
  for (
    const on of ["create", "writeAt", "sync", "rename", "openDir", "readAt", "remove"] as const
  ) {
    for (let skip = 0, struck = true; struck; skip++) {
      const disk = (place.fs as MemFs).crashClone({ keep: "all" });
      const fs = new FaultFs(disk);
      const rule = fs.arm({ on, skip, times: 1, fault: { kind: "error", code: "IO" } });
      await placeOn(fs, "/store").open(SALVAGE).then((store) => store.close()).catch(() => {});
      struck = rule.strikes > 0;
      await using store = await placeOn(disk, "/store").open(SALVAGE);
      const missing = await check(store, content, {
        ...store.stats().recovery,
        salvaged: [{} as RecoveryReport["salvaged"][number]],
      });
      assert.equal(missing.length, 1, `${on} ${skip}`);
    }
  }
});

Deno.test("power loss at every step of a salvage of a large value: its file is there, set aside or not", async () => {
  const report = await testCrashes<"done">({
    async prepare(fs) {
      const place = placeOn(fs, "/store");
      {
        await using store = await place.open(SALVAGE);
        await store.put("large", noise(100_000, 1));
      }
      const [name] = filesOf(place, ".blob");
      flip(fs, `/store/${name}`, 50_000);
      using file = fs.openReadWrite(`/store/${name}`);
      file.sync();
    },
    async run(fs, promise) {
      await using store = await placeOn(fs, "/store").open(SALVAGE);
      assert.equal(store.stats().recovery.salvaged.length, 1);
      promise("done");
    },
    async check(fs, promised) {
      const place = placeOn(fs, "/store");
      await using store = await place.open();
      if (promised.length > 0) assert.equal(await store.has("large"), false);
      assert.equal(filesOf(place, ".blob").length + filesOf(place, ".blob.aside").length, 1);
    },
  }, { statesPerMoment: 20 });
  assert(report.moments > 8, `${report.moments} moments`);
});

Deno.test("power loss at every step of a salvage of STORE: no image of the index is read with another secret", async () => {
  const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
  let damaged = 0;
  let original = new Uint8Array();
  await testCrashes({
    async prepare(fs) {
      const place = placeOn(fs, "/store");
      for (let session = 0; session < 2; session++) {
        await using store = await place.open({ ...SALVAGE, indexImageKeys: 0 });
        for (const [i, key] of keys.entries()) await store.put(key, noise(2000, i));
      }
      assert(fs.list("/store").includes("INDEX"));
      flip(fs, "/store/STORE", 20);
      original = readFile(fs, "/store/STORE");
      using file = fs.openReadWrite("/store/STORE");
      file.sync();
    },
    async run(fs) {
      await using _store = await placeOn(fs, "/store").open(SALVAGE);
    },
    async check(fs) {
      const place = placeOn(fs, "/store");
      const opened = await place.open().catch((error) => {
        assert.equal(error.code, "CORRUPT");
        damaged++;
        return place.open(SALVAGE);
      });
      await using store = opened;
      assert.deepEqual(readFile(fs, "/store/STORE.aside"), original);
      for (const [i, key] of keys.entries()) assert.deepEqual(await store.get(key), noise(2000, i));
      assert.deepEqual((await store.verify()).problems, []);
    },
  }, { statesPerMoment: 20 });
  assert(damaged > 20, `${damaged} states with the damage`);
});
