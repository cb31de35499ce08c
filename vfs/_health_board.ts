import { allOperations, type FsOperationKind } from "./operations.ts";

/** Slots for calls: the first for the one that blocks the thread, the others for those that do not. */
const SLOTS = 32;
const WORDS_PER_SLOT = 4;
const CALL = 0; // number of the call; even: nothing is going on
const KIND = 1;
const PATH = 2;
const KIBIBYTES = 3;

/** Path 0 is of the call that is no file's; the last is shared by all files that found no other free. */
const PATHS = 1024;
const PATH_BYTES = 124;
const PATHS_AT = SLOTS * WORDS_PER_SLOT * 4;
const PATH_ROOM = PATH_BYTES + 4;

/** The number by which an operation is noted. */
export function kindNumber(kind: FsOperationKind): number {
  return allOperations.indexOf(kind);
}

/**
 * Which calls of a file system are going on, in memory that several threads share. One thread
 * writes; a call inside a call (a wrapper around a wrapper) stands for itself until it is over.
 */
export class HealthBoard {
  static readonly slots = SLOTS;
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #freeSlots: number[] = [];
  readonly #freePaths: number[] = [];
  #calls = 0;

  constructor(memory = new SharedArrayBuffer(PATHS_AT + PATHS * PATH_ROOM)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    for (let slot = SLOTS - 1; slot > 0; slot--) this.#freeSlots.push(slot);
    for (let path = PATHS - 2; path > 0; path--) this.#freePaths.push(path);
  }

  /** Writes the path of an open file down; the number is good for {@linkcode begin}. */
  addPath(path: string): number {
    const number = this.#freePaths.pop() ?? PATHS - 1;
    this.#setPath(number, path);
    return number;
  }

  /** The file is closed. */
  dropPath(number: number): void {
    if (number !== PATHS - 1) this.#freePaths.push(number);
  }

  #setPath(number: number, path: string): void {
    const at = PATHS_AT + number * PATH_ROOM;
    // The end of a path tells more than its beginning.
    const text = new TextEncoder().encode(path).slice(-PATH_BYTES);
    this.#bytes.set(text, at + 4);
    this.#words[at / 4] = text.length;
  }

  /** Notes that a call begins; what is returned goes to {@linkcode end}. */
  begin(slot: number, kind: number, path: number, bytes: number): number {
    const words = this.#words;
    const at = slot * WORDS_PER_SLOT;
    const before = words[at + CALL] ?? 0;
    words[at + KIND] = kind;
    words[at + PATH] = path;
    words[at + KIBIBYTES] = Math.ceil(bytes / 1024);
    this.#calls = (this.#calls + 2) & 0x7ffffffe;
    Atomics.store(words, at + CALL, this.#calls + 1);
    return before;
  }

  /**
   * Notes that a call is over. Not atomic: nothing is published by it, and who sees it a moment late
   * times the call a moment too long. It saves the processor a wait for all earlier stores.
   */
  end(slot: number, before: number): void {
    this.#words[slot * WORDS_PER_SLOT + CALL] = before;
  }

  /** Does something about a path, noted as going on. */
  runPath<T>(kind: FsOperationKind, path: string, action: () => T): T {
    this.#setPath(0, path);
    const before = this.begin(0, kindNumber(kind), 0, 0);
    try {
      return action();
    } finally {
      this.end(0, before);
    }
  }

  /** A slot for a call that does not block; undefined if all are taken. */
  takeSlot(): number | undefined {
    return this.#freeSlots.pop();
  }

  giveSlot(slot: number): void {
    this.#freeSlots.push(slot);
  }

  /** Watcher: the number of the call in a slot; undefined if nothing is going on. */
  callOf(slot: number): number | undefined {
    const call = Atomics.load(this.#words, slot * WORDS_PER_SLOT + CALL);
    return (call & 1) === 0 ? undefined : call;
  }

  /** Watcher: what the call in a slot is about. */
  detailsOf(slot: number): { operation: FsOperationKind; path: string; bytes: number } {
    const at = slot * WORDS_PER_SLOT;
    const path = PATHS_AT + (this.#words[at + PATH] ?? 0) * PATH_ROOM;
    const length = this.#words[path / 4] ?? 0;
    return {
      operation: allOperations[this.#words[at + KIND] ?? 0] ?? "stat",
      path: new TextDecoder().decode(this.#bytes.slice(path + 4, path + 4 + length)),
      bytes: (this.#words[at + KIBIBYTES] ?? 0) * 1024,
    };
  }
}
