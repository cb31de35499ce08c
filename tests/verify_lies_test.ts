/** verify() of what has right checksums, and does not say what the records say; and of all that there is. */
import assert from "node:assert/strict";
import { HashIndex } from "../index/mod.ts";
import type { Store, VerifyReport } from "../mod.ts";
import { type SegmentEntry, SegmentReader } from "../segment/mod.ts";
import { LiveBytes } from "../store/live_bytes.ts";
import { MemFs } from "../vfs/mod.ts";
import { noise, placeOn, testStore } from "./_support.ts";

const MANUAL = { compaction: "manual" } as const;

/** A store with a segment that has values of every kind, some of which are overwritten later. */
async function openFilled(): Promise<Store> {
  const store = await placeOn(new MemFs(), "/store").open(MANUAL);
  for (let i = 0; i < 10; i++) await store.put(`key ${i}`, noise(3000, i));
  await store.put("expires", noise(3000, 1), { expireIn: 1e9 });
  for (let i = 0; store.stats().segments === 0; i++) await store.put("filler", noise(3000, i));
  return store;
}

const lies: [string, (entry: SegmentEntry) => Partial<SegmentEntry>][] = [
  ["another key", ({ key }) => ({ key: key.map((byte) => byte ^ 1) })],
  ["a longer key", ({ key }) => ({ key: new Uint8Array([...key, 0]) })],
  ["another offset", ({ offset }) => ({ offset: offset + 8 })],
  ["another length", ({ length }) => ({ length: length - 1 })],
  ["another number", ({ sequence }) => ({ sequence: sequence + 1 })],
  ["another time", ({ expiresAt }) => ({ expiresAt: expiresAt + 1 })],
];

Deno.test("verify() tells of entries of a footer that are not those of records", async () => {
  const { readBlock } = SegmentReader.prototype;
  await using store = await openFilled();
  assert.deepEqual((await store.verify()).problems, []);
  const verifyWith = async (lie: (entries: SegmentEntry[]) => SegmentEntry[]) => {
    SegmentReader.prototype.readBlock = function (block) {
      return lie(readBlock.call(this, block));
    };
    try {
      return (await store.verify()).problems;
    } finally {
      SegmentReader.prototype.readBlock = readBlock;
    }
  };
  for (const [what, lie] of lies) {
    const problems = await verifyWith((entries) =>
      entries.map((entry, i) => i === 0 ? { ...entry, ...lie(entry) } : entry)
    );
    assert.equal(problems.length, 1, what);
    assert(problems[0]!.path.endsWith(".seg") && problems[0]!.message.includes("entry 0"), what);
  }
  const missing = await verifyWith((entries) => entries.slice(0, -1));
  assert.match(missing.map(({ message }) => message).join(), /entries for/);
});

Deno.test("verify() tells of an index that is not up to date, or knows its records wrongly", async () => {
  type Put = Parameters<HashIndex["put"]>;
  const { put } = HashIndex.prototype;
  const lies: [string, (first: Put, second: Put) => Put][] = [
    ["the version before", (first) => first],
    ["another length", (_, [hash, sequence, segment, offset, length, flags]) => {
      return [hash, sequence, segment, offset, length + 8, flags];
    }],
    ["other flags", (_, [hash, sequence, segment, offset, length, flags]) => {
      return [hash, sequence, segment, offset, length, flags ^ 2];
    }],
  ];
  for (const [what, lie] of lies) {
    const puts: { index: HashIndex; args: Put }[] = [];
    HashIndex.prototype.put = function (hash, ...rest) {
      const { h1, h2, h3 } = hash;
      puts.push({ index: this, args: [{ ...hash, h1, h2, h3 }, ...rest] });
      return put.call(this, hash, ...rest);
    };
    try {
      await using store = await placeOn(new MemFs(), "/store").open(MANUAL);
      await store.put("key", "1");
      await store.put("key", "2");
      assert.deepEqual((await store.verify()).problems, []);
      const [{ args: first }, { index, args: second }] = puts.slice(-2) as [
        typeof puts[number],
        typeof puts[number],
      ];
      index.remove(second[0]);
      put.apply(index, lie(first, second));
      assert((await store.verify()).problems.length > 0, what);
    } finally {
      HashIndex.prototype.put = put;
    }
  }
});

Deno.test("verify() tells of an index that has a value although its delete is newer", async () => {
  type Put = Parameters<HashIndex["put"]>;
  const { put } = HashIndex.prototype;
  let found: { index: HashIndex; args: Put } | undefined;
  HashIndex.prototype.put = function (hash, ...rest) {
    const { h1, h2, h3 } = hash;
    found ??= { index: this, args: [{ ...hash, h1, h2, h3 }, ...rest] };
    return put.call(this, hash, ...rest);
  };
  try {
    await using store = await openFilled();
    // It is in a segment, and its delete in the log.
    await store.delete("key 1");
    assert.deepEqual((await store.verify()).problems, []);
    const { index, args: [hash, ...rest] } = found!;
    await store.delete("key 0");
    index.put(hash, ...rest);
    const { problems } = await store.verify();
    assert.match(problems.map(({ message }) => message).join(), /of a newer record/);
  } finally {
    HashIndex.prototype.put = put;
  }
});

Deno.test("verify() tells of dead bytes that were not counted: a compaction would take them for live", async () => {
  const { lost } = LiveBytes.prototype;
  await using store = await openFilled();
  LiveBytes.prototype.lost = () => {};
  try {
    await store.put("key 5", "newer");
  } finally {
    LiveBytes.prototype.lost = lost;
  }
  const { problems } = await store.verify();
  assert.match(problems.map(({ message }) => message).join(), /dead/);
});

testStore(
  "verify() reads what was accepted before it was called, durable yet or not",
  async (place) => {
    await using store = await place.open(MANUAL);
    const puts = 100;
    const check = ({ records, problems }: VerifyReport, least: number) => {
      assert(records >= least, `${records} records`);
      assert.deepEqual(problems, []);
    };
    await store.put("key", "1", { durability: "memory" });
    check(await store.verify(), 1);
    // Several logs, which become segments meanwhile.
    for (let i = 0; i < puts; i++) {
      await store.put(`key ${i}`, noise(3000, i), { durability: "memory" });
    }
    check(await store.verify(), 1 + puts);
    await store.compact();
    check(await store.verify(), puts);
  },
);

Deno.test("verify() of large values of several parts, one of which is deleted meanwhile", async () => {
  await using store = await placeOn(new MemFs(), "/store").open(MANUAL);
  for (const [i, key] of ["a", "b", "c"].entries()) {
    await store.put(key, new Uint8Array(5_000_000).fill(i));
  }
  let deleting: Promise<boolean> | undefined;
  const { problems } = await store.verify({
    onProgress: ({ bytes }) => {
      // In the midst of the first one.
      if (bytes > 4_000_000) deleting ??= store.delete("c", { durability: "memory" });
    },
  });
  assert.equal(await deleting, true);
  assert.deepEqual(problems, []);
});
