import assert from "node:assert/strict";
import { ArgumentError, FlagstoneError } from "../errors/mod.ts";
import { type LogStore, MAX_LOG_LENGTH } from "../wal/log_store.ts";
import { bytesFrom, contentOf, type LogStorePlace } from "./_log_store_places.ts";

/** One promise of the contract of `LogStore`. */
interface ConformanceCase {
  readonly name: string;
  readonly run: (place: LogStorePlace) => void;
}

/** Asserts that a call is refused as a wrong argument, and that the store is as it was. */
export function refused(store: LogStore, argument: string, call: () => unknown): void {
  const before = [store.head, store.length];
  const isIt = (error: unknown) => error instanceof ArgumentError && error.argument === argument;
  assert.throws(call, isIt);
  assert.deepEqual([store.head, store.length], before);
}

/** Asserts that a call fails with a code; returns the error. */
export function fails(code: string, call: () => unknown): FlagstoneError {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof FlagstoneError, `expected ${code}, got ${error}`);
  assert.equal(error.code, code, error.message);
  return error;
}

function equal(store: LogStore, expected: ArrayLike<number>): void {
  assert.deepEqual([...contentOf(store)], Array.from(expected));
}

/** What every log store must do; `place` is a new one for each case. */
export const conformanceCases: readonly ConformanceCase[] = [
  {
    name: "a new log is empty",
    run(place) {
      using store = place.create();
      assert.deepEqual([store.head, store.length, store.readAt(new Uint8Array(4), 0)], [0, 0, 0]);
    },
  },
  {
    name: "writeAt() goes over what is there and makes the log longer",
    run(place) {
      using store = place.create();
      store.writeAt(bytesFrom(0, 20), 0);
      store.writeAt(new Uint8Array([200, 201, 202]), 18);
      store.writeAt(new Uint8Array([210]), 5);
      equal(store, [...bytesFrom(0, 5), 210, ...bytesFrom(6, 12), 200, 201, 202]);
    },
  },
  {
    name: "writeAt() leaves zeros in a gap, writeAt() of nothing leaves none",
    run(place) {
      using store = place.create();
      store.writeAt(new Uint8Array(), 30);
      assert.equal(store.length, 0);
      store.writeAt(new Uint8Array([9, 8]), 30);
      equal(store, [...new Uint8Array(30), 9, 8]);
      store.writeAt(new Uint8Array([7]), 3);
      equal(store, [0, 0, 0, 7, ...new Uint8Array(26), 9, 8]);
    },
  },
  {
    name: "writeVectorAt() writes parts one after another",
    run(place) {
      using store = place.create();
      const parts = [bytesFrom(0, 3), new Uint8Array(), bytesFrom(3, 15), bytesFrom(18, 1)];
      store.writeVectorAt(parts, 2);
      store.writeVectorAt([], 90);
      equal(store, [0, 0, ...bytesFrom(0, 19)]);
    },
  },
  {
    name: "readAt() is short only at the end",
    run(place) {
      using store = place.create();
      store.writeAt(bytesFrom(0, 20), 0);
      const into = new Uint8Array(16).fill(250);
      assert.equal(store.readAt(into, 4), 16);
      assert.deepEqual(into, bytesFrom(4, 16));
      into.fill(250);
      assert.equal(store.readAt(into, 15), 5);
      assert.deepEqual([...into], [...bytesFrom(15, 5), ...new Uint8Array(11).fill(250)]);
      assert.equal(store.readAt(into, 20), 0);
      assert.equal(store.readAt(into, MAX_LOG_LENGTH), 0);
      assert.equal(store.readAt(new Uint8Array(), 3), 0);
    },
  },
  {
    name: "truncate() cuts, and what is written beyond the cut has zeros before it",
    run(place) {
      let store = place.create();
      store.writeAt(bytesFrom(0, 40), 0);
      store.truncate(40);
      equal(store, bytesFrom(0, 40));
      store.truncate(13);
      equal(store, bytesFrom(0, 13));
      store.writeAt(new Uint8Array([99]), 30);
      equal(store, [...bytesFrom(0, 13), ...new Uint8Array(17), 99]);
      store = place.reopen(store);
      equal(store, [...bytesFrom(0, 13), ...new Uint8Array(17), 99]);
      store.truncate(0);
      equal(store, []);
      store = place.reopen(store);
      equal(store, []);
      store.close();
    },
  },
  {
    name: "length and content are exact after close() and open",
    run(place) {
      let store = place.create();
      for (let length = 0; length < 40; length += 3) {
        store.writeAt(bytesFrom(length, 3), length);
        if (length % 2 === 0) store.sync();
        store = place.reopen(store);
        assert.deepEqual([store.head, store.length], [0, length + 3]);
        equal(store, bytesFrom(0, length + 3));
      }
      store.close();
    },
  },
  {
    name: "truncateBefore() keeps positions, and the head never goes down",
    run(place) {
      let store = place.create();
      store.writeAt(bytesFrom(0, 100), 0);
      const head = store.truncateBefore(90);
      assert(head <= 90 && head === store.head, `${head}`);
      equal(store, bytesFrom(head, 100 - head));
      assert.equal(store.truncateBefore(3), head);
      store.writeAt(bytesFrom(100, 20), 100);
      store = place.reopen(store);
      assert.deepEqual([store.head, store.length], [head, 120]);
      equal(store, bytesFrom(head, 120 - head));
      // Everything: every store can do that.
      assert.equal(store.truncateBefore(120), 120);
      assert.deepEqual([store.head, store.length], [120, 120]);
      store = place.reopen(store);
      assert.deepEqual([store.head, store.length], [120, 120]);
      store.writeAt(bytesFrom(5, 30), 125);
      store = place.reopen(store);
      equal(store, [0, 0, 0, 0, 0, ...bytesFrom(5, 30)]);
      store.truncate(120);
      store.writeAt(bytesFrom(7, 2), 120);
      equal(store, bytesFrom(7, 2));
      store.close();
    },
  },
  {
    name: "wrong arguments are refused and change nothing",
    run(place) {
      using store = place.create();
      store.writeAt(bytesFrom(0, 60), 0);
      store.truncateBefore(60);
      store.writeAt(bytesFrom(60, 10), 60);
      const one = new Uint8Array(1);
      for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53, "7", undefined, 10n]) {
        const position = wrong as number;
        refused(store, "position", () => store.writeAt(one, position));
        refused(store, "position", () => store.readAt(one, position));
        refused(store, "position", () => store.truncateBefore(position));
        refused(store, "length", () => store.truncate(position));
      }
      for (const value of ["text", [1, 2], undefined, new ArrayBuffer(3)] as unknown[]) {
        const wrong = value as Uint8Array;
        refused(store, "bytes", () => store.writeAt(wrong, 60));
        refused(store, "into", () => store.readAt(wrong, 60));
        refused(store, "parts", () => store.writeVectorAt([one, wrong], 60));
      }
      refused(store, "parts", () => store.writeVectorAt(one as unknown as Uint8Array[], 60));
      refused(store, "position", () => store.writeAt(one, 59));
      refused(store, "position", () => store.readAt(one, 59));
      refused(store, "length", () => store.truncate(59));
      refused(store, "length", () => store.truncate(71));
      refused(store, "position", () => store.truncateBefore(71));
      equal(store, bytesFrom(60, 10));
    },
  },
  {
    name: "W14: a position never passes 2^53",
    run(place) {
      using store = place.create();
      for (const position of [MAX_LOG_LENGTH, MAX_LOG_LENGTH + 1, Number.MAX_SAFE_INTEGER]) {
        refused(store, "position", () => store.writeAt(new Uint8Array(1), position));
      }
      refused(store, "position", () => store.writeAt(new Uint8Array(9), MAX_LOG_LENGTH - 8));
      assert.equal(store.readAt(new Uint8Array(1), MAX_LOG_LENGTH), 0);
    },
  },
  {
    name: "after close() every call throws CLOSED, and close() is idempotent",
    run(place) {
      const store = place.create();
      store.writeAt(bytesFrom(0, 9), 0);
      store.close();
      store.close();
      const one = new Uint8Array(1);
      fails("CLOSED", () => store.writeAt(one, 0));
      fails("CLOSED", () => store.writeVectorAt([one], 0));
      fails("CLOSED", () => store.readAt(one, 0));
      fails("CLOSED", () => store.truncate(0));
      fails("CLOSED", () => store.truncateBefore(0));
      fails("CLOSED", () => store.sync());
    },
  },
];
