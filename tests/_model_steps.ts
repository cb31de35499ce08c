import fc from "fast-check";
import type { Durability, Key } from "../mod.ts";

/** Keys that sort in ways worth testing: prefixes of each other, bytes and strings, a long one. */
export const KEYS: readonly Key[] = [
  "a",
  "ab",
  "abc",
  "b",
  "é",
  "z".repeat(3000),
  Uint8Array.of(0),
  Uint8Array.of(0xff, 0xff),
  Uint8Array.of(97, 0),
];

/** What a write asks of its key. */
export type Asked = "nothing" | "absent" | "current" | "stale";

/** A put, taken out of its call. */
export interface Put {
  readonly key: number;
  readonly size: number;
  readonly seed: number;
  readonly compress: boolean;
  /** Ms; 0: never. */
  readonly expireIn: number;
  readonly asked: Asked;
}

/** One thing that a test does to a store, and to its model. */
export type Step =
  | { type: "put"; put: Put; durability: Durability }
  | { type: "delete"; key: number; asked: Exclude<Asked, "absent">; durability: Durability }
  | { type: "batch"; operations: readonly (Put | number)[]; durability: Durability }
  | { type: "update"; put: Put; remove: boolean; durability: Durability }
  | { type: "burst"; puts: readonly Put[]; durability: Durability }
  | { type: "fill"; from: number; keys: number; size: number; reads: number }
  | { type: "read"; key: number }
  | {
    type: "list";
    prefix?: number;
    start?: number;
    end?: number;
    reverse: boolean;
    limit?: number;
  }
  | { type: "tick"; ms: number }
  | { type: "flush" | "rotate" | "clear" | "checkpoint" | "verify" | "compact" | "compacting" }
  | { type: "snapshot" | "look" | "dispose"; nth: number }
  | { type: "reopen"; image: boolean }
  | { type: "crash"; seed: number };

const key = fc.nat(KEYS.length - 1);
const durability = fc.constantFrom<Durability>("synced", "written", "memory");
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(200) },
  { weight: 3, arbitrary: fc.integer({ min: 1000, max: 9000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 30_000, 65_000, 70_000) },
);
const put: fc.Arbitrary<Put> = fc.record({
  key,
  size,
  seed: fc.nat(999),
  compress: fc.boolean(),
  expireIn: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 60 })),
  asked: fc.oneof(
    { weight: 5, arbitrary: fc.constant<Asked>("nothing") },
    fc.constantFrom<Asked>("absent", "current", "stale"),
  ),
});
const plain = put.map((one): Put => ({ ...one, asked: "nothing" }));
const small = plain.map((one): Put => ({ ...one, size: one.size % 3000 }));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** Any step. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant("put" as const), put, durability }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("delete" as const),
      key,
      asked: fc.constantFrom("nothing" as const, "nothing", "current", "stale"),
      durability,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("batch" as const),
      operations: fc.array(fc.oneof(put, key), { maxLength: 5 }),
      durability,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("update" as const),
      put: plain,
      remove: fc.boolean(),
      durability,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("burst" as const),
      puts: fc.array(small, { minLength: 1, maxLength: 8 }),
      durability,
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("read" as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("list" as const),
      prefix: maybe(key),
      start: maybe(key),
      end: maybe(key),
      reverse: fc.boolean(),
      limit: maybe(fc.nat(5)),
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("tick" as const),
      ms: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constantFrom("flush" as const, "rotate", "rotate", "clear", "checkpoint", "verify"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom("compact" as const, "compacting", "rotate") }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constantFrom("snapshot" as const, "look", "look", "dispose"),
      nth: fc.nat(2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("reopen" as const), image: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("crash" as const), seed: fc.nat(99_999) }),
  },
);

/** Any step, and often so many writes that a store with a bound must let something go. */
export const anyCacheStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: anyStep.map(inOrder) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("fill" as const),
      from: fc.nat(39),
      keys: fc.integer({ min: 1, max: 12 }),
      size: fc.integer({ min: 10_000, max: 20_000 }),
      reads: fc.nat(10),
    }),
  },
);

/** Of writes that wait for room, a second one of a key comes after those of other keys: here is none. */
function inOrder(step: Step): Step {
  if (step.type !== "burst") return step;
  return { ...step, puts: [...new Map(step.puts.map((put) => [put.key, put])).values()] };
}
