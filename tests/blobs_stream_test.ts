/** Large values while they come: streams, what they wait for, and what ends them before their time. */
import assert from "node:assert/strict";
import { ArgumentError, type FlagstoneError, type Store } from "../mod.ts";
import { assertBytes, isStepwise, killed } from "./_killed.ts";
import { steered, streamOf } from "./_streams.ts";
import { bytes, failsWith, filesOf, noise, SMALL, testStore, text, turn } from "./_support.ts";

const SLAB = SMALL.slabBytes!;
/** Several pieces of 256 KiB, the last one not whole. */
const LARGE = 600_000;

const blobsOf = (place: Parameters<typeof filesOf>[0]) => filesOf(place, ".blob");

testStore(
  "put() of a stream stores what it brings, short or long, and returns its version",
  async (place) => {
    const sizes = [
      0,
      1,
      100,
      4095,
      4096,
      4097,
      SLAB - 200,
      SLAB - 1,
      SLAB,
      SLAB + 1,
      3 * SLAB,
      LARGE,
    ];
    const store = await place.open();
    for (const size of sizes) {
      const value = noise(size, size);
      const version = await store.put(`s${size}`, streamOf(value, 1 + Math.ceil(size / 7)));
      assert.equal((await store.getEntry(`s${size}`))!.version, version);
      await store.put(`b${size}`, new Blob([value]));
    }
    assert.equal(blobsOf(place).length, 2 * 5);
    const check = async (opened: Store) => {
      for (const size of sizes) {
        for (const key of [`s${size}`, `b${size}`]) {
          assertBytes(await opened.get(key), noise(size, size), key);
        }
      }
    };
    await check(store);
    {
      await using survivor = await killed(place).open();
      await check(survivor);
    }
    await store.close();
    await using again = await place.open();
    await check(again);
  },
);

testStore(
  "a stream holds its key's lock: puts to the key come after it, others go on",
  async (place) => {
    await using store = await place.open();
    await store.put("k", "old");
    const { stream, controller } = steered();
    const streamed = store.put("k", stream);
    controller.enqueue(noise(LARGE, 1));
    const later = store.put("k", "new");
    await store.put("another", "goes on");
    assert.equal(await store.getText("k"), "new", "what was called last is seen");
    controller.enqueue(noise(10, 2));
    controller.close();
    assert(await streamed < await later);
    assert.equal(await store.getText("k"), "new");
  },
);

testStore("conditions of a large value are decided before it is read", async (place) => {
  await using store = await place.open();
  const version = await store.put("k", "old");
  const { stream, cancelled } = steered();
  const error = await failsWith("CONFLICT", store.put("k", stream, { ifAbsent: true }));
  assert.equal(error.version, version);
  assert.equal(await cancelled, error);
  await failsWith("CONFLICT", store.put("k", noise(LARGE, 1), { ifVersion: version + 1 }));
  await store.put("k", streamOf(noise(LARGE, 2)), { ifVersion: version });
  assertBytes(await store.get("k"), noise(LARGE, 2), "k");
  assert.equal(blobsOf(place).length, 1);
});

testStore(
  "a stream that fails, or is aborted, leaves nothing, wherever it stands",
  async (place) => {
    await using store = await place.open();
    await store.put("k", "old");
    for (const brought of [0, 100, SLAB + 1, LARGE]) {
      const failing = steered();
      const own = new RangeError("the source's own error");
      const failed = store.put("k", failing.stream);
      if (brought > 0) failing.controller.enqueue(noise(brought, 1));
      failing.controller.error(own);
      await assert.rejects(failed, own);

      const aborted = steered();
      const signal = new AbortController();
      const put = store.put("k", aborted.stream, { signal: signal.signal });
      if (brought > 0) aborted.controller.enqueue(noise(brought, 1));
      signal.abort("enough");
      const error = await failsWith("ABORTED", put);
      assert.equal(await aborted.cancelled, error);
      assert.equal(error.cause, "enough");
      assert.equal(await store.getText("k"), "old");
    }
    assert.deepEqual(blobsOf(place), []);
    // The key is free again.
    await store.put("k", "new");
  },
);

testStore("abort at any moment of a large put: there is all of it, or nothing", async (place) => {
  await using store = await place.open();
  await store.put("k", "old");
  for (let ticks = 0; ticks < 12; ticks++) {
    const controller = new AbortController();
    const { signal } = controller;
    const value = noise(LARGE, ticks);
    const put = store.put("k", ticks % 2 ? streamOf(value) : value, { signal });
    put.catch(() => {});
    for (let i = 0; i < ticks * ticks; i++) await Promise.resolve();
    controller.abort();
    let done = true;
    try {
      await put;
    } catch {
      done = false;
    }
    if (done) assertBytes(await store.get("k"), value, "k");
    else assert.equal(await store.getText("k"), "old");
    await store.put("k", "old");
  }
  await store.close();
  assert.deepEqual(blobsOf(place), []);
});

testStore("a stream whose put is refused at once is cancelled", async (place) => {
  // A file that was the source stayed open.
  const store = await place.open();
  const aborted = steered();
  const signal = AbortSignal.abort();
  await failsWith("ABORTED", store.put("key", aborted.stream, { signal }));
  assert.equal((await aborted.cancelled as FlagstoneError).code, "ABORTED");
  const wrong = steered();
  await assert.rejects(store.put("", wrong.stream), ArgumentError);
  wrong.controller.close();
  await store.put("key", wrong.stream);
  await store.close();
  const late = steered();
  await failsWith("CLOSED", store.put("key", late.stream));
  assert.equal((await late.cancelled as FlagstoneError).code, "CLOSED");
  const locked = steered();
  const reader = locked.stream.getReader();
  await failsWith("CLOSED", store.put("key", locked.stream));
  locked.controller.enqueue(bytes("x"));
  assert.equal(text((await reader.read()).value), "x");
});

testStore("what is no stream of bytes is refused", async (place) => {
  await using store = await place.open();
  const locked = streamOf(bytes("x"));
  locked.getReader();
  await assert.rejects(store.put("k", locked), { code: "INVALID_ARGUMENT" });
  const texts = new ReadableStream({
    start: (controller) => controller.enqueue("text"),
  });
  await assert.rejects(store.put("k", texts as ReadableStream<Uint8Array>), {
    code: "INVALID_ARGUMENT",
  });
  const untouched = streamOf(bytes("x"));
  await assert.rejects(store.put("", untouched), { code: "INVALID_ARGUMENT" });
  assert.equal(untouched.locked, false);
  assert.equal(await store.has("k"), false);
});

testStore(
  "close() waits for no stream: it is refused, cancelled, and leaves nothing",
  async (place) => {
    const store = await place.open();
    const { stream, controller, cancelled } = steered();
    const put = store.put("k", stream);
    put.catch(() => {});
    controller.enqueue(noise(LARGE, 1));
    await store.put("other", "1");
    await store.flush();
    await store.close();
    await failsWith("CLOSED", put);
    assert.equal((await cancelled as { code: string }).code, "ABORTED");
    assert.deepEqual(blobsOf(place), []);
  },
);

testStore(
  "large puts count as waiting while they are written, and are refused beyond the limit",
  async (place) => {
    await using store = await place.open({ maxWaitingBytes: 3 * LARGE });
    const puts = [1, 2].map((i) => store.put(`k${i}`, noise(LARGE, i)));
    if (!isStepwise(place)) assert(store.stats().waitingBytes >= LARGE);
    const refused = store.put("k3", noise(LARGE, 3)).then(() => false, (error) => error.code);
    const wasRefused = await refused;
    assert(wasRefused === "BUSY" || isStepwise(place), `${wasRefused}`);
    await Promise.all(puts);
    assertBytes(await store.get("k2"), noise(LARGE, 2), "k2");
  },
);

testStore(
  "a stream put that is aborted while it waits gives nobody else's lock up",
  async (place) => {
    await using store = await place.open();
    await store.put("n", "0");
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const add = (wait?: Promise<void>) =>
      store.update("n", async (old) => {
        entered.resolve();
        await wait;
        return `${Number(text(old)) + 1}`;
      });
    const first = add(gate.promise);
    await entered.promise;
    const second = add();
    const aborter = new AbortController();
    const { signal } = aborter;
    const stream = store.put("n", ReadableStream.from([bytes("stream")]), { signal });
    const third = add();
    aborter.abort();
    await failsWith("ABORTED", stream);
    await turn();
    gate.resolve();
    await Promise.all([first, second, third]);
    assert.equal(await store.getText("n"), "3");
    // Nor does it keep one.
    await store.put("n", ReadableStream.from([bytes("stream")]));
    assert.equal(await store.getText("n"), "stream");
  },
);
