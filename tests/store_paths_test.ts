/** Where a store is, is settled when it is opened: wherever the program goes, and however the path is spelled. */
import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { Wal } from "../log/wal_mod.ts";
import {
  DenoFs,
  FaultFs,
  fixedPath,
  type Fs,
  MemFs,
  VirtualFs,
  withDiskFull,
  withDiskHealth,
  withLogging,
  withMetrics,
  withSyncing,
  withTracking,
} from "../vfs/mod.ts";
import { inTempDir, noise, SMALL } from "./_support.ts";

Deno.test("a store with a relative path stays where it is when the program changes its directory", () =>
  inTempDir(async (dir) => {
    // Its next log took the place of that of another store, with all that was in it.
    const home = Deno.cwd();
    const fill = async (store: Store) => {
      for (let i = 0; i < 60; i++) {
        await store.put(`k${i}`, noise(4000, i), { durability: "written" });
      }
    };
    for (const name of ["one", "two"]) Deno.mkdirSync(`${dir}/${name}`);
    try {
      Deno.chdir(`${dir}/two`);
      const other = await open("data", SMALL);
      await fill(other);
      await other.close();
      Deno.chdir(`${dir}/one`);
      const store = await open("./data", SMALL);
      const log = await Wal.open("log", { segmentBytes: 64 * 1024 });
      assert.equal(store.directory, `${Deno.cwd()}/data`);
      Deno.chdir(`${dir}/two`);
      await fill(store);
      for (let i = 0; i < 60; i++) await log.append(noise(4000, i), { durability: "written" });
      assert.deepEqual(await store.get("k1"), noise(4000, 1));
      await Promise.all([store.close(), log.close()]);
    } finally {
      Deno.chdir(home);
    }
    assert.deepEqual([...Deno.readDirSync(`${dir}/two`)].map(({ name }) => name), ["data"]);
    for (const name of ["one", "two"]) {
      await using store = await open(`${dir}/${name}/data`, SMALL);
      assert.equal(store.stats().keys, 60);
      assert.deepEqual((await store.verify()).problems, []);
    }
  }));

Deno.test("a store on a wrapped file system stays where it is when the program changes its directory", () =>
  inTempDir(async (dir) => {
    // Only the plain file system did: in a wrapper, the next log was made elsewhere.
    const home = Deno.cwd();
    const real = new DenoFs();
    const wrapped: Record<string, Fs> = {
      faults: new FaultFs(real),
      twice: withMetrics(new VirtualFs(real, { maxOpen: 16 })),
    };
    const wrappers = [
      withDiskFull(real, () => {}),
      withDiskHealth(real),
      withLogging(real, () => {}),
      withSyncing(real),
      withTracking(real),
    ];
    for (const fs of wrappers) assert.equal(fixedPath(fs, "data"), `${home}/data`, fs.name);
    // In memory there are no such places.
    assert.equal(fixedPath(withMetrics(new MemFs()), "data"), "data");
    Deno.mkdirSync(`${dir}/elsewhere`);
    try {
      for (const [name, fs] of Object.entries(wrapped)) {
        Deno.chdir(dir);
        const store = await open(name, { ...SMALL, fs });
        assert.equal(store.directory, `${Deno.cwd()}/${name}`);
        // The second one waits for the first.
        const copied = [store.checkpoint(`${name}-1`), store.checkpoint(`${name}-2`)];
        Deno.chdir(`${dir}/elsewhere`);
        await Promise.all(copied);
        for (let i = 0; i < 60; i++) {
          await store.put(`k${i}`, noise(4000, i), { durability: "memory" });
        }
        await store.close();
      }
    } finally {
      Deno.chdir(home);
    }
    assert.deepEqual([...Deno.readDirSync(`${dir}/elsewhere`)], []);
    for (const name of Object.keys(wrapped)) {
      await using store = await open(`${dir}/${name}`, SMALL);
      assert.equal(store.stats().keys, 60, name);
      for (const number of [1, 2]) {
        await using _copy = await open(`${dir}/${name}-${number}`, { ...SMALL, create: false });
      }
    }
  }));

Deno.test("open() of a path with .. behind a symbolic link makes nothing elsewhere", () =>
  inTempDir(async (dir) => {
    // The directory was made where the link leads, and its files were then looked for beside the link.
    Deno.mkdirSync(`${dir}/far/away`, { recursive: true });
    Deno.symlinkSync(`${dir}/far/away`, `${dir}/link`);
    const store = await open(`${dir}/link/../data`, SMALL);
    assert.equal(store.directory, `${dir}/data`);
    await store.put("a", "1");
    await store.checkpoint(`${dir}/link/../copy/`);
    await store.close();
    assert.deepEqual([...Deno.readDirSync(`${dir}/far`)].map(({ name }) => name), ["away"]);
    await using copy = await open(`${dir}/copy`, SMALL);
    assert.equal(await copy.getText("a"), "1");
  }));
