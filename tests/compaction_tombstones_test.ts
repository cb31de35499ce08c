/** Which deletes a compaction may drop: every state that a crash leaves is compared with a plain model. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Compaction, type CompactionJob, MOVE_WORDS, removeInOrder } from "../compaction/mod.ts";
import { FooterKeys } from "../compaction/footer_walk.ts";
import { RecordList } from "../compaction/record_list.ts";
import { TombstoneSearch } from "../compaction/tombstones.ts";
import { HashIndex, IndexReader, type KeyHash, KeyHasher, type Lookup } from "../index/mod.ts";
import { sealSegment, SegmentReader } from "../segment/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import {
  compactedName,
  EXPIRY_BYTES,
  fillRecord,
  kindAndFlags,
  logName,
  parseFileName,
  publishRecord,
  RecordFlag,
  RecordKind,
  recordSpace,
  SegmentImage,
  segmentName,
  writeFileHeader,
} from "../wal/mod.ts";
import { writeFile } from "./_support.ts";

const SECRET = new Uint8Array(16);
const STORE_ID = new Uint8Array(16);

/** `over`: a value that has expired, and in whose place nothing was written. */
interface Write {
  readonly key: number;
  readonly what: "put" | "delete" | "over";
}

/** Sequence of the newest put of each key that has a value. */
type State = Map<number, number>;

function keyWords(key: number): Int32Array {
  return new Int32Array([key + 1]);
}

/** Makes the sealed segment `segment` of `writes`; sequence numbers go on from `base`. */
function seal(fs: MemFs, segment: number, base: number, writes: readonly Write[]): number {
  const image = new SegmentImage(new ArrayBuffer(64 + (writes.length + 1) * 48));
  const capacityBytes = image.bytes.length;
  const salt = writeFileHeader(image, {
    segment,
    capacityBytes,
    storeId: STORE_ID,
    baseSequence: base,
  });
  let offset = 64;
  for (const { key, what } of writes) {
    const kind = what === "delete"
      ? kindAndFlags(RecordKind.delete, 0)
      : kindAndFlags(RecordKind.put, what === "over" ? RecordFlag.expires : 0);
    const value = what === "delete" ? undefined : new Uint8Array(8);
    const expiresAt = what === "over" ? 1 : 0;
    const length = fillRecord(
      image,
      offset,
      kind,
      base + offset,
      0,
      keyWords(key),
      4,
      value,
      salt,
      expiresAt,
    );
    publishRecord(image, offset, length);
    offset += recordSpace(4, (value?.length ?? 0) + (expiresAt === 0 ? 0 : EXPIRY_BYTES));
  }
  writeFile(fs, `/${logName(segment)}`, image.bytes.subarray(0, offset));
  sealSegment(fs, "/", segment, image, offset, salt);
  return base + offset;
}

/** What opening would make of the files. */
function recover(fs: MemFs): { state: State; index: HashIndex } {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  const newest = new Map<number, { sequence: number; isPut: boolean }>();
  for (const name of fs.list("/")) {
    const parsed = parseFileName(name)!;
    const id = parsed.kind === "compacted" ? -parsed.number : parsed.segment;
    using reader = SegmentReader.open(fs, `/${name}`);
    for (const block of reader.blocks) {
      for (const entry of reader.readBlock(block)) {
        const key = new DataView(entry.key.buffer).getInt32(0, true) - 1;
        const isPut = entry.kind === RecordKind.put;
        const isOver = (entry.flags & RecordFlag.expires) !== 0;
        hasher.hash(keyWords(key), 4);
        if (isPut) index.put(hasher, entry.sequence, id, entry.offset, entry.length, 0);
        else index.putTombstone(hasher, entry.sequence);
        const { sequence } = entry;
        if (sequence >= (newest.get(key)?.sequence ?? 0)) {
          newest.set(key, { sequence, isPut: isPut && !isOver });
        }
      }
    }
  }
  index.dropTombstones();
  for (const [key, { isPut }] of newest) {
    hasher.hash(keyWords(key), 4);
    if (!isPut) index.remove(hasher);
  }
  const alive = [...newest].filter(([, { isPut }]) => isPut);
  return { state: new Map(alive.map(([key, { sequence }]) => [key, sequence])), index };
}

function assertState(fs: MemFs, expected: State, when: string): void {
  const { state } = recover(fs);
  assert.deepEqual([...state].sort(), [...expected].sort(), when);
}

const writes = fc.array(
  fc.record({
    key: fc.integer({ min: 0, max: 4 }),
    what: fc.constantFrom("put" as const, "delete" as const, "over" as const),
  }),
  { minLength: 1, maxLength: 5 },
);
const compactions = fc.array(
  fc.record({
    // Which of the files there are, in an order by chance.
    order: fc.infiniteStream(fc.nat()).map((stream) => [...stream.take(16)]),
    sources: fc.integer({ min: 1, max: 4 }),
    searchOthers: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

Deno.test("no compaction of any files in any order brings a deleted key back, whatever moment it ends at", () => {
  let dropped = 0;
  let kept = 0;
  fc.assert(
    fc.property(fc.array(writes, { minLength: 1, maxLength: 6 }), compactions, (history, jobs) => {
      const fs = new MemFs();
      let base = 0;
      history.forEach((one, i) => base = seal(fs, i + 1, base, one));
      const { state: expected } = recover(fs);
      jobs.forEach(({ order, sources, searchOthers }, nth) => {
        const names = fs.list("/").map((name, i) => ({ name, at: order[i % 16]! }))
          .sort((a, b) => a.at - b.at).map(({ name }) => name);
        const file = (name: string) => {
          const parsed = parseFileName(name)!;
          const segment = parsed.kind === "compacted" ? -parsed.number : parsed.segment;
          return { segment, path: `/${name}` };
        };
        const chosen = names.slice(0, sources);
        const upTo = Math.max(...chosen.map((name) => parseFileName(name)!.segment));
        const job: CompactionJob = {
          directory: "/",
          storeId: STORE_ID,
          hashSecret: SECRET,
          sources: chosen.map(file),
          others: names.slice(sources).map(file),
          searchOthers,
          number: nth + 1,
          upTo,
          leaveFile: false,
          bytesPerSecond: 0,
        };
        const compaction = new Compaction(fs, job, new IndexReader(recover(fs).index.share()));
        while (compaction.step() !== "done");
        compaction.close();
        const { result } = compaction;
        dropped += result.droppedTombstones;
        kept += result.records - result.moves.length / MOVE_WORDS;
        assert.equal(
          result.file !== undefined,
          fs.list("/").includes(compactedName(upTo, nth + 1)),
        );
        assertState(fs, expected, `job ${nth}, before a source is removed`);
        for (const name of chosen) {
          removeInOrder(fs, "/", [name]);
          assertState(fs, expected, `job ${nth}, ${name} removed`);
        }
      });
    }),
    { numRuns: 2000 },
  );
  assert(dropped > 1000 && kept > 1000, `${dropped} dropped, ${kept} kept`);
});

Deno.test("a delete goes as soon as nothing older of its key is anywhere, and not before", () => {
  const compact = (order: readonly number[], searchOthers: boolean) => {
    const fs = new MemFs();
    const put = (key: number) => ({ key, what: "put" as const });
    const base = seal(fs, 1, 0, [put(1), put(2)]);
    const next = seal(fs, 2, base, [{ key: 1, what: "delete" }, put(3)]);
    seal(fs, 3, next, [put(4)]);
    const file = (segment: number) => ({ segment, path: `/${segmentName(segment)}` });
    const job = {
      directory: "/",
      storeId: STORE_ID,
      hashSecret: SECRET,
      sources: order.map(file),
      others: [1, 2, 3].filter((segment) => !order.includes(segment)).map(file),
      searchOthers,
      number: 1,
      upTo: Math.max(...order),
      leaveFile: false,
      bytesPerSecond: 0,
    };
    const compaction = new Compaction(fs, job, new IndexReader(recover(fs).index.share()));
    while (compaction.step() !== "done");
    compaction.close();
    return compaction.result.droppedTombstones;
  };
  assert.equal(compact([1, 2], false), 1, "its put is removed before it");
  assert.equal(compact([2, 1], false), 0, "its put is removed after it");
  assert.equal(compact([2, 3], false), 0, "its put stays");
  assert.equal(compact([2, 3], true), 0, "its put stays, and is found");
});

/** Whose writer is too busy to answer the n-th question. */
class BusyReader extends IndexReader {
  busyAt = 0;
  #asked = 0;

  override find(hash: KeyHash): Lookup {
    return this.#asked++ === this.busyAt ? "busy" : super.find(hash);
  }
}

Deno.test("what a busy writer does not answer is asked again: nothing dead is copied, nothing twice", () => {
  for (let busyAt = 0; busyAt < 3; busyAt++) {
    const fs = new MemFs();
    const puts = [1, 2, 3].map((key) => ({ key, what: "put" }) as const);
    const base = seal(fs, 1, 0, [...puts, { key: 4, what: "delete" }]);
    seal(fs, 2, base, [{ key: 1, what: "delete" }]);
    const { index } = recover(fs);
    const file = (segment: number) => ({ segment, path: `/${segmentName(segment)}` });
    const job = {
      ...{ directory: "/", storeId: STORE_ID, hashSecret: SECRET },
      ...{ sources: [file(1)], others: [file(2)], searchOthers: true, number: 1, upTo: 1 },
      ...{ leaveFile: false, bytesPerSecond: 0 },
    };
    const reader = new BusyReader(index.share());
    reader.busyAt = busyAt;
    const compaction = new Compaction(fs, job, reader);
    let behind = 0;
    for (let step = compaction.step(); step !== "done"; step = compaction.step()) {
      if (step === "behind") behind++;
      if (step === "behind") compaction.refresh(index.share());
    }
    compaction.close();
    assert.equal(behind, 1);
    assert.deepEqual([compaction.result.records, compaction.result.droppedTombstones], [2, 1]);
  }
});

Deno.test("what an evicted value becomes stays as long as another file has a copy of that very value", () => {
  const hasher = new KeyHasher(SECRET);
  hasher.hash(keyWords(1), 4);
  for (const copied of [1, 2]) {
    const fs = new MemFs();
    const end = seal(fs, 1, 0, [{ key: 1, what: "put" }]);
    // As a compaction leaves it that was cut off before it removed its sources: with the same numbers.
    assert.equal(seal(fs, 2, 0, [{ key: copied, what: "put" }]), end);
    const files = [1, 2].map((segment) => {
      const reader = SegmentReader.open(fs, `/${segmentName(segment)}`);
      return { base: 0, open: () => reader, done: () => {}, reader };
    });
    const evicted = new RecordList();
    const { sequence, offset, length } = files[0]!.reader.readBlock(
      files[0]!.reader.blocks[0]!,
    )[0]!;
    evicted.push(hasher, sequence, offset, length);
    let kept = 0;
    const search = new TombstoneSearch(
      new FooterKeys(SECRET),
      [evicted],
      files.slice(0, 1),
      files.slice(1),
      true,
      () => kept++,
    );
    while (search.step());
    search.close();
    for (const { reader } of files) reader.close();
    assert.deepEqual([kept, search.dropped], copied === 1 ? [1, 0] : [0, 1]);
  }
});
