/** `store.stream`: any part of any value, verified, as somebody asks for it. */
import assert from "node:assert/strict";
import type { Store, StreamOptions } from "../mod.ts";
import { assertBytes } from "./_killed.ts";
import { failsWith, filesOf, noise, SMALL, testStore, turn } from "./_support.ts";

const SLAB = SMALL.slabBytes!;
const PIECE = 256 * 1024;
/** Several blocks that are read at a time, and a piece that is not whole. */
const LARGE = 5 * PIECE + 1234;

/** All that a stream brings. */
async function all(
  stream: ReadableStream<Uint8Array> | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  assert(stream !== undefined);
  return await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
}

/** All that a stream brings, into pieces of `bytes` of the reader's own memory. */
async function allByob(stream: ReadableStream<Uint8Array>, bytes: number): Promise<Uint8Array> {
  const reader = stream.getReader({ mode: "byob" });
  const found: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(bytes));
    if (done) return new Uint8Array(await new Blob(found as Uint8Array<ArrayBuffer>[]).bytes());
    assert(value.length > 0 && value.length <= bytes);
    found.push(value.slice());
  }
}

async function checkParts(store: Store, key: string, value: Uint8Array): Promise<void> {
  const { length } = value;
  const edges = [0, 1, 100, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE, length - 1, length]
    .filter((edge) => edge >= 0 && edge <= length);
  for (const offset of edges) {
    for (const end of edges.filter((edge) => edge >= offset)) {
      const found = await all(store.stream(key, { offset, length: end - offset }));
      assertBytes(found, value.subarray(offset, end), `${key}, from ${offset} to ${end}`);
    }
    const rest = await all(store.stream(key, { offset }));
    assertBytes(rest, value.subarray(offset), `${key} from ${offset}`);
  }
}

testStore(
  "stream() brings every part of every value, from slab, segment and file",
  async (place) => {
    const values = new Map([0, 1, 100, SLAB - 200, LARGE].map((n) => [`${n}`, noise(n, n)]));
    {
      await using store = await place.open();
      for (const [key, value] of values) await store.put(key, value);
      for (const [key, value] of values) assertBytes(await all(store.stream(key)), value, key);
    }
    await using store = await place.open();
    // Out of the slab.
    for (let i = 0; i < 12; i++) await store.put("filler", noise(30_000, i));
    for (const [key, value] of values) await checkParts(store, key, value);
    assert.equal(store.stream("missing"), undefined);
  },
);

testStore("stream() serves readers with memory of their own", async (place) => {
  await using store = await place.open();
  for (const size of [0, 1, 1000, LARGE]) {
    const value = noise(size, size);
    await store.put("k", value);
    for (const bytes of [1000, 70_001, 4_000_000]) {
      assertBytes(await allByob(store.stream("k")!, bytes), value, `${size} in ${bytes}`);
    }
    if (size < 10) continue;
    const part = store.stream("k", { offset: 7, length: size - 9 })!;
    assertBytes(await allByob(part, 333_333), value.subarray(7, size - 2), `a part of ${size}`);
  }
});

testStore("stream() gives compressed values as they were put", async (place) => {
  await using store = await place.open({ compression: "zstd" });
  const value = new Uint8Array(LARGE).fill(7);
  await store.put("k", value);
  await checkParts(store, "k", value);
});

testStore(
  "stream() refuses what is not within the value, before anything is read",
  async (place) => {
    await using store = await place.open();
    await store.put("short", "12345");
    await store.put("long", noise(LARGE, 1));
    for (const [key, size] of [["short", 5], ["long", LARGE], ["missing", Infinity]] as const) {
      const wrong: [string, unknown][] = [
        ["options.offset", { offset: size + 1 }],
        ["options.offset", { offset: -1 }],
        ["options.offset", { offset: 1.5 }],
        ["options.length", { length: size + 1 }],
        ["options.length", { offset: 2, length: size - 1 }],
        ["options.signal", { signal: "now" }],
        ["options.lenght", { lenght: 1 }],
        ["options", 7],
      ];
      for (const [argument, options] of wrong) {
        assert.throws(() => store.stream(key, options as StreamOptions), {
          code: "INVALID_ARGUMENT",
          argument,
        });
      }
    }
    assert.throws(() => store.stream(""), { code: "INVALID_ARGUMENT" });
  },
);

testStore(
  "a stream goes on to its end with the old value, whatever happens to the key",
  async (place) => {
    for (const change of ["overwrite", "delete", "clear", "remove the file"]) {
      await using store = await place.open();
      const value = noise(LARGE, 1);
      await store.put("k", value);
      const reader = store.stream("k")!.getReader();
      const first = (await reader.read()).value!;
      const unread = store.stream("k", { offset: PIECE });
      if (change === "overwrite") await store.put("k", noise(LARGE, 2));
      if (change === "delete") await store.delete("k");
      if (change === "clear") await store.clear();
      if (change === "remove the file") {
        // Of one that nobody has begun to read, nothing could be read any more.
        await unread!.cancel();
        if (place.fs.name === "virtual") continue;
        for (const name of filesOf(place, ".blob")) place.fs.remove(`${place.dir}/${name}`);
      }
      let length = first.length;
      const found = [first];
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        found.push(value);
        length += value.length;
      }
      assert.equal(length, LARGE);
      assertBytes(await new Blob(found).bytes(), value, change);
      if (change !== "remove the file") {
        assertBytes(await all(unread), value.subarray(PIECE), `${change}, not begun before`);
        await store.flush();
      }
      await store.clear();
    }
  },
);

testStore("the file of an overwritten value goes when its last stream has ended", async (place) => {
  await using store = await place.open();
  await store.put("k", noise(LARGE, 1));
  const streams = [1, 2, 3].map(() => store.stream("k")!);
  const readers = streams.map((stream) => stream.getReader());
  for (const reader of readers) await reader.read();
  await store.put("k", "new");
  await store.flush();
  assert.equal(filesOf(place, ".blob").length, 1);
  await readers[0]!.cancel();
  while (!(await readers[1]!.read()).done);
  assert.equal(store.stats().blobFiles, 1);
  await readers[2]!.cancel();
  assert.equal(store.stats().blobFiles, 0);
  await store.close();
  assert.deepEqual(filesOf(place, ".blob"), []);
});

testStore("stream() sees a large put that is under way", async (place) => {
  await using store = await place.open();
  const value = noise(LARGE, 1);
  const put = store.put("k", value);
  assertBytes(await all(store.stream("k", { offset: 5 })), value.subarray(5), "k");
  await put;
});

testStore("streams end with the signal, and with the store", async (place) => {
  const store = await place.open();
  await store.put("k", noise(LARGE, 1));
  const controller = new AbortController();
  const { signal } = controller;
  const reader = store.stream("k", { signal })!.getReader();
  await reader.read();
  controller.abort("enough");
  const error = await failsWith("ABORTED", reader.read());
  assert.equal(error.cause, "enough");
  await failsWith("ABORTED", store.stream("k", { signal })!.getReader().read());
  const open = store.stream("k")!.getReader();
  await open.read();
  await store.close();
  await failsWith("CLOSED", open.read());
  assert.throws(() => store.stream("k"), { code: "CLOSED" });
});

testStore("stream() reads no more than is asked for", async (place) => {
  await using store = await place.open();
  await store.put("k", noise(LARGE, 1));
  let reads = 0;
  const { open } = place.fs;
  place.fs.open = (path) => {
    reads += path.endsWith(".blob") ? 1 : 0;
    return open.call(place.fs, path);
  };
  const stream = store.stream("k")!;
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assert.equal(reads, 0);
  await stream.cancel();
  place.fs.open = open;
});

testStore("a stream of a damaged value that nobody reads is nobody's failure", async (place) => {
  {
    await using store = await place.open();
    await store.put("k", noise(40_000, 1));
  }
  const path = `${place.dir}/${filesOf(place, ".seg")[0]}`;
  {
    using file = place.fs.openReadWrite(path);
    file.writeAt(Uint8Array.of(1, 2, 3), 20_000);
  }
  await using store = await place.open();
  const unread = store.stream("k")!;
  const read = store.stream("k")!.getReader();
  // An unhandled rejection would end the program by now.
  await turn();
  await turn();
  await unread.cancel();
  await failsWith("CORRUPT", read.read());
});

testStore("a stream that has ended leaves no listener at its signal", async (place) => {
  await using store = await place.open();
  await store.put("k", noise(1000, 1));
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<AbortSignal["addEventListener"]>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<AbortSignal["removeEventListener"]>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  for (let i = 0; i < 10; i++) await all(store.stream("k", { signal }));
  await store.stream("k", { signal })!.cancel();
  assert.equal(listeners, 0);
});
