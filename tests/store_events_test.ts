import assert from "node:assert/strict";
import {
  FlagstoneError,
  FlushEvent,
  RecoveryEvent,
  type SlowDiskEvent,
  type Store,
  type StoreEventMap,
} from "../mod.ts";
import { openWith } from "../store/mod.ts";
import { DiskWatch } from "../store/disk_watch.ts";
import { FaultFs, MemFs, serveFs } from "../vfs/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { failsWith, noise, placeOn, readFile, SMALL, testStore, writeFile } from "./_support.ts";

/** Resolves with the next event of `type`. */
function next<K extends keyof StoreEventMap>(store: Store, type: K): Promise<StoreEventMap[K]> {
  const { promise, resolve } = Promise.withResolvers<StoreEventMap[K]>();
  store.addEventListener(type, resolve, { once: true });
  return promise;
}

testStore("rotation and flush events tell of each slab, once", async (place) => {
  const store = await place.open();
  const rotated: number[] = [];
  const flushed = new Map<number, number>();
  store.addEventListener("rotation", ({ segment, slabBytes }) => {
    rotated.push(segment);
    assert(slabBytes >= 64 * 1024);
  });
  store.addEventListener("flush", (event) => {
    assert(event instanceof FlushEvent);
    assert(!flushed.has(event.segment));
    flushed.set(event.segment, event.fileBytes);
  });
  await Promise.all(Array.from({ length: 200 }, (_, i) => store.put(`k${i}`, noise(4000, i))));
  const { rotations } = store.stats();
  await store.close();
  assert.deepEqual(rotated, rotated.map((_, i) => rotated[0]! + i));
  assert(rotated.length >= rotations && rotations > 10, `${rotated.length} of ${rotations}`);
  for (const [segment, fileBytes] of flushed) {
    const name = `${String(segment).padStart(10, "0")}.seg`;
    assert.equal(place.fs.stat(`${place.dir}/${name}`).size, fileBytes);
  }
  const segments = place.fs.list(place.dir).filter((name) => name.endsWith(".seg"));
  assert.equal(flushed.size, segments.length);
});

testStore("a stall event tells that writes begin to wait, once", async ({ open }) => {
  await using store = await open();
  let stalls = 0;
  store.addEventListener("stall", ({ waitingWrites, waitingBytes }) => {
    stalls++;
    assert(waitingWrites > 0 && waitingBytes > 5000);
  });
  await store.put("a", noise(5000, 1));
  assert.equal(stalls, 0);
  const writes = Array.from({ length: 100 }, (_, i) => store.put(`k${i}`, noise(5000, i)));
  await Promise.all(writes);
  assert(stalls > 0 && stalls <= store.stats().stalls, `${stalls} of ${store.stats().stalls}`);
  assert(stalls < 50);
});

testStore("the recovery event waits for the first listener", async (place) => {
  await (await place.open()).close();
  await using store = await place.open();
  await store.put("a", "1");
  const event = await next(store, "recovery");
  assert(event instanceof RecoveryEvent);
  assert.equal(event.report, store.stats().recovery);
  store.addEventListener("recovery", () => assert.fail("it is told once"));
  await store.flush();
});

Deno.test("the recovery event tells of what was cut", async () => {
  const place = placeOn(new MemFs(), "/store");
  const log = "/store/0000000001.log";
  {
    await using store = await place.open();
    await store.put("a", noise(1000, 1));
  }
  const content = readFile(place.fs, log);
  // Behind what was written: the beginning of a record, as a crash may leave it.
  const end = content.findLastIndex((byte) => byte !== 0) + 1;
  content.set(noise(100, 7), (end + 7) & -8);
  writeFile(place.fs, log, content);
  await using store = await place.open();
  const { report } = await next(store, "recovery");
  assert(report.tornBytes > 0);
  assert.equal(report.cut?.path, log);
});

Deno.test("an error event tells of the failure; a close is none", async () => {
  const fs = new FaultFs(new MemFs());
  const store = await placeOn(fs, "/store").open();
  fs.arm({ on: ["sync", "syncData"], fault: { kind: "error", code: "IO" } });
  await assert.rejects(store.put("a", "1"));
  // It was kept for who listens first.
  const { error } = await next(store, "error");
  assert(error instanceof FlagstoneError);
  assert.equal(await failsWith(error.code, store.put("b", "1")), error);
  await assert.rejects(store.close());
  const other = await placeOn(new MemFs(), "/store").open();
  other.addEventListener("error", () => assert.fail("a close is no failure"));
  await other.close();
});

testStore("a listener may write, and may be removed", async ({ open }) => {
  await using store = await open();
  let told = 0;
  const writes: Promise<unknown>[] = [];
  const listener = {
    handleEvent({ segment }: { segment: number }) {
      told++;
      writes.push(store.put(`from listener ${segment}`, noise(3000, segment)));
    },
  };
  store.addEventListener("rotation", listener);
  await Promise.all(Array.from({ length: 60 }, (_, i) => store.put(`k${i}`, noise(4000, i))));
  store.removeEventListener("rotation", listener);
  await Promise.all(writes);
  const before = told;
  assert(before > 0);
  await Promise.all(Array.from({ length: 60 }, (_, i) => store.put(`k${i}`, noise(4000, i))));
  assert.equal(told, before);
  for (let i = 0; i < 60; i++) assert.deepEqual(await store.get(`k${i}`), noise(4000, i));
});

Deno.test("a slowdisk event tells of a disk that does not move, while it does not", async () => {
  const fs = new MemFs();
  let held = false;
  const tasks: (() => void)[] = [];
  const store = await openWith(
    "/store",
    { ...SMALL, fs, slowDiskMs: 10 },
    (control, _describe, directory) =>
      new InlineHost(control, fs, directory, "segment", (task) => {
        if (held) tasks.push(task);
        else queueMicrotask(task);
      }),
  );
  await store.put("a", "1");
  held = true;
  const slow = next(store, "slowdisk");
  const put = store.put("a", "2");
  const alive = setInterval(() => {}, 1000);
  const { durationMs, waitingWrites, operation } = await slow;
  clearInterval(alive);
  assert(durationMs >= 10);
  assert.equal(operation, undefined);
  assert.equal(waitingWrites, 1);
  held = false;
  for (const task of tasks) task();
  await put;
  await store.close();
});

for (
  const [held, large, name] of [
    ["syncData", false, "0000000001.log"],
    ["writeAt", false, "0000000001.log"],
    ["sync", true, ".blob"],
  ] as const
) {
  Deno.test(`a slowdisk event names the ${held} of ${name} that hangs in a worker, while it does`, async () => {
    const fs = new MemFs();
    const gate = Promise.withResolvers<void>();
    let armed = false;
    const server = serveFs(fs, {
      hold: ({ method, path }) =>
        armed && method === held && path.endsWith(name) ? gate.promise : undefined,
    });
    Object.defineProperty(fs, "spec", { value: server.spec });
    const store = await placeOn(fs, "/store").open({ slowDiskMs: 20, idleWorkerMs: 2000 });
    await store.put("a", "1");
    await store.flush();
    armed = true;
    const told: SlowDiskEvent[] = [];
    store.addEventListener("slowdisk", (event) => void told.push(event));
    const event = next(store, "slowdisk");
    let isPut = false;
    const put = store.put("a", noise(large ? 200_000 : 3000, 1)).finally(() => isPut = true);
    const { operation, path, bytes, durationMs, waitingWrites } = await event;
    assert(!isPut, "it is told while the call goes on");
    assert.equal(operation, held);
    assert(path!.startsWith("/store/") && path!.endsWith(name), path);
    if (held === "writeAt") assert(bytes >= 3000 && bytes < 5000, `${bytes}`);
    assert(durationMs >= 20);
    if (!large) assert.equal(waitingWrites, 1);
    // Told once more when the time has doubled, and not in between.
    const later = await next(store, "slowdisk");
    assert(later.durationMs >= 2 * durationMs && later.path === path);
    assert.equal(told.length, 2);
    gate.resolve();
    await put;
    await store.close();
    server.close();
  });
}

Deno.test("DiskWatch tells at the threshold, again at each doubling, and not without need", () => {
  let time = 0;
  let progress = 0;
  let waiting = 0;
  const told: number[] = [];
  const watch = new DiskWatch({
    thresholdMs: 100,
    disks: () => [],
    progress: () => progress,
    waiting: () => waiting,
    onSlow: (durationMs) => told.push(durationMs),
    now: () => time,
  });
  const passes = (ms: number) => {
    for (let i = 0; i < ms; i += 25) {
      time += 25;
      watch.poll();
    }
  };
  passes(1000);
  waiting = 1;
  passes(75);
  assert.deepEqual(told, []);
  passes(500);
  assert.deepEqual(told, [100, 200, 400]);
  progress++;
  passes(100);
  assert.deepEqual(told, [100, 200, 400]);
  passes(25);
  assert.deepEqual(told, [100, 200, 400, 100]);
});
