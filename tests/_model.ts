import assert from "node:assert/strict";
import type { Key } from "../mod.ts";
import { compareBytes } from "../segment/mod.ts";

/** What a plain model of a store knows of one key. */
export interface ModelEntry {
  /** The key, as the last put gave it. */
  readonly key: Key;
  readonly value: Uint8Array;
  /** `undefined` while the put that made it has not been acknowledged. */
  version: number | undefined;
  /** 0: never. */
  readonly expiresAt: number;
}

const encoder = new TextEncoder();

/** The bytes of a key. */
export function keyBytes(key: Key): Uint8Array {
  return typeof key === "string" ? encoder.encode(key) : key;
}

/** A name that no other key has. */
export function nameOf(key: Key): string {
  return keyBytes(key).join();
}

/** The state of a store at one moment. Entries are shared between states. */
export class ModelState {
  readonly #entries: Map<string, ModelEntry>;

  constructor(entries: Iterable<readonly [string, ModelEntry]> = []) {
    this.#entries = new Map(entries);
  }

  /** A state that can be changed without changing this one. */
  copy(): ModelState {
    return new ModelState(this.#entries);
  }

  put(entry: ModelEntry): void {
    this.#entries.set(nameOf(entry.key), entry);
  }

  delete(key: Key): void {
    this.#entries.delete(nameOf(key));
  }

  /** The put of `entry` never was; `before` is what its key had then. */
  undo(entry: ModelEntry, before: ModelEntry | undefined): void {
    if (this.#entries.get(nameOf(entry.key)) !== entry) return;
    if (before === undefined) this.delete(entry.key);
    else this.put(before);
  }

  /** What a reader sees at `now`. */
  get(key: Key, now: number): ModelEntry | undefined {
    const entry = this.#entries.get(nameOf(key));
    return entry === undefined || isOver(entry, now) ? undefined : entry;
  }

  /** What a listing shows at `now`, in order. */
  list(now: number): ModelEntry[] {
    return [...this.#entries.values()].filter((entry) => !isOver(entry, now)).sort((a, b) =>
      compareBytes(keyBytes(a.key), keyBytes(b.key))
    );
  }
}

/** What a power loss may leave of a store: states, the oldest first; the last is the present one. */
export class ModelStates {
  #all = [new ModelState()];

  /** All of them. */
  get all(): readonly ModelState[] {
    return this.#all;
  }

  /** What is there now. */
  get present(): ModelState {
    return this.#all.at(-1)!;
  }

  /** Goes over to a new state. */
  change(change: (state: ModelState) => void): void {
    const next = this.present.copy();
    change(next);
    this.#all.push(next);
  }

  /** Everything so far survives. */
  durable(): void {
    this.#all = [this.present];
  }

  /** There is nothing but `state` any more. */
  become(state: ModelState): void {
    this.#all = [state];
  }

  /** `key` was seen to have gone: whatever crashes, it is not back. */
  gone(key: Key): void {
    for (const state of this.#all) state.delete(key);
  }

  /** The put of `entry` was refused after all; `before` is what its key had then. */
  undo(entry: ModelEntry, before: ModelEntry | undefined): void {
    for (const state of this.#all) state.undo(entry, before);
  }
}

function isOver({ expiresAt }: ModelEntry, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}

/** What is read of a key of the store. */
export interface FoundEntry {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly version: number;
  readonly expiresAt: number;
}

/** True if the store shows just what `state` has; a version that the model does not know may be any. */
export function isSame(state: readonly ModelEntry[], found: readonly FoundEntry[]): boolean {
  return state.length === found.length && state.every((entry, i) => isThat(entry, found[i]!));
}

/** True if the store shows nothing but what `state` has, whatever is missing. */
export function isPart(state: readonly ModelEntry[], found: readonly FoundEntry[]): boolean {
  const byName = new Map(state.map((entry) => [nameOf(entry.key), entry]));
  return found.every((one) => {
    const entry = byName.get(nameOf(one.key));
    return entry !== undefined && isThat(entry, one);
  });
}

function isThat(entry: ModelEntry, found: FoundEntry): boolean {
  return compareBytes(keyBytes(entry.key), keyBytes(found.key)) === 0 &&
    typeof entry.key === typeof found.key &&
    (entry.version === undefined || entry.version === found.version) &&
    entry.expiresAt === found.expiresAt && compareBytes(entry.value, found.value) === 0;
}

/** As {@linkcode isSame}, in words. */
export function assertSame(
  state: readonly ModelEntry[],
  found: readonly FoundEntry[],
  where: string,
): void {
  if (isSame(state, found)) return;
  assert.fail(`${where}: the store has\n${shown(found)}\nthe model has\n${shown(state)}`);
}

/** Entries in words. */
export function shown(entries: readonly (ModelEntry | FoundEntry)[]): string {
  return entries.map(({ key, value, version, expiresAt }) => {
    const name = typeof key === "string" ? JSON.stringify(key.slice(0, 8)) : `<${key}>`;
    return `  ${name} v${version} ${value.length} B ${value.slice(0, 4)} until ${expiresAt}`;
  }).join("\n");
}
