import assert from "node:assert/strict";
import fc from "fast-check";
import { MemFs } from "../vfs/mod.ts";
import type { LogStore } from "../wal/log_store.ts";
import { MemoryLogStore } from "../wal/memory_log_store.ts";
import { conformanceCases, fails } from "./_log_store_conformance.ts";
import {
  bytesFrom,
  contentOf,
  everyPlace,
  fileKinds,
  type LogStorePlace,
  memoryPlace,
  placeOf,
} from "./_log_store_places.ts";

for (const [name, withPlace] of everyPlace()) {
  Deno.test(`LogStore conformance [${name}]`, async (t) => {
    for (const { name, run } of conformanceCases) await t.step(name, () => withPlace(run));
  });
}

type Step =
  | {
    readonly kind: "write";
    readonly at: number;
    readonly sizes: number[];
    readonly value: number;
  }
  | { readonly kind: "truncate" | "truncateBefore"; readonly at: number }
  | { readonly kind: "sync" | "reopen" };

const at = fc.integer({ min: 0, max: 1000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      at,
      sizes: fc.array(fc.nat(12), { maxLength: 4 }),
      value: fc.nat(255),
    }),
  },
  fc.record({ kind: fc.constantFrom("truncate" as const, "truncateBefore" as const), at }),
  fc.record({ kind: fc.constantFrom("sync" as const, "reopen" as const) }),
);

/** Does the steps to a store and to an array, and compares the two after each. */
function agree(place: LogStorePlace, steps: readonly Step[], dropsExactly: boolean): void {
  let store: LogStore = place.create();
  let model: number[] = [];
  let head = 0;
  try {
    for (const step of steps) {
      if (step.kind === "write") {
        // Up to a few bytes behind the end; mostly within.
        const position = head + Math.floor((model.length + 6 - head) * step.at / 1000);
        const parts = step.sizes.map((size) => bytesFrom(step.value + size, size));
        const joined = parts.flatMap((part) => [...part]);
        if (joined.length > 0) { while (model.length < position) model.push(0); }
        for (const [i, byte] of joined.entries()) model[position + i] = byte;
        store.writeVectorAt(parts, position);
      } else if (step.kind === "truncate") {
        // Near the end, as logs are cut.
        const length = model.length - Math.floor((model.length - head) * (step.at / 1000) ** 3);
        model = model.slice(0, length);
        store.truncate(length);
      } else if (step.kind === "truncateBefore") {
        const position = Math.floor(model.length * step.at / 1000);
        const real = store.truncateBefore(position);
        assert(real >= head && real <= Math.max(head, position), `the head is ${real}`);
        if (dropsExactly) assert.equal(real, Math.max(head, position));
        head = real;
      } else if (step.kind === "sync") {
        store.sync();
      } else {
        store = place.reopen(store);
      }
      assert.deepEqual([store.head, store.length], [head, model.length]);
      assert.deepEqual([...contentOf(store)], model.slice(head));
    }
  } finally {
    store.close();
  }
}

for (const kind of fileKinds) {
  Deno.test(`LogStore does to its bytes what one does to an array [${kind.name}]`, () => {
    const steps = fc.array(step, { maxLength: 40, size: "max" });
    fc.assert(fc.property(steps, (steps) => {
      agree(placeOf(kind, new MemFs(), "/d"), steps, kind.dropsExactly);
    }));
  });
}

Deno.test("MemoryLogStore does to its bytes what one does to an array", () => {
  const steps = fc.array(step, { maxLength: 60, size: "max" });
  fc.assert(fc.property(steps, (steps) => agree(memoryPlace, steps, true)));
});

Deno.test("MemoryLogStore.from() copies, clone() is deep both ways", () => {
  const given = bytesFrom(0, 10);
  const store = MemoryLogStore.from(given);
  given.fill(0);
  assert.deepEqual(contentOf(store), bytesFrom(0, 10));
  store.truncateBefore(2);
  const copy = store.clone();
  store.writeAt(new Uint8Array([77]), 4);
  copy.writeAt(new Uint8Array([88]), 5);
  copy.truncateBefore(4);
  assert.deepEqual([...contentOf(store)], [3, 4, 77, 6, 7, 8, 9, 10]);
  assert.deepEqual([...contentOf(copy)], [5, 88, 7, 8, 9, 10]);
  store.close();
  assert.equal(copy.length, 10);
  fails("CLOSED", () => store.clone());
});

Deno.test("MemoryLogStore has a capacity, counted from its head; W10: beyond it no write succeeds again", () => {
  const store = new MemoryLogStore({ capacityBytes: 10, reserveBytes: 10 });
  store.writeAt(bytesFrom(0, 10), 0);
  store.truncateBefore(4);
  store.writeAt(bytesFrom(10, 4), 10);
  const error = fails("WRITE_FAILED", () => store.writeAt(bytesFrom(0, 1), 14));
  fails("NO_SPACE", () => {
    throw error.cause;
  });
  assert.equal(fails("WRITE_FAILED", () => store.writeAt(bytesFrom(0, 1), 5)), error);
  assert.equal(fails("WRITE_FAILED", () => store.sync()), error);
  assert.deepEqual(contentOf(store), bytesFrom(4, 10));
});
