import { setImmediate } from "node:timers";

/** First capacity of a queue: a power of two. */
const FIRST_CAPACITY = 1024;
/** Promises of so much of the log are kept in one turn of the event loop. */
const TURN_BYTES = 512 * 1024;
/** Who has called so many writes that wait for nothing, in one turn, does not await each: then none has to wait. */
const MOST_WAITING = 1024;

/**
 * Promises of writes that wait for a watermark, in log order: one queue for `written`, one for
 * `synced`. A ring of arrays, so that a write costs its promise and nothing else.
 *
 * Who hears that a write is done writes again, at once, and as much, as a rule. So after some bytes the
 * others of a group hear in the next turn of the event loop, and timers have theirs in between.
 */
export class AckQueue {
  #ends = new Float64Array(FIRST_CAPACITY);
  #values: (number | boolean)[] = new Array(FIRST_CAPACITY).fill(0);
  #resolves: ((value: never) => void)[] = [];
  #rejects: ((reason: unknown) => void)[] = [];
  #mask = FIRST_CAPACITY - 1;
  #head = 0;
  #tail = 0;
  #resolve!: (value: never) => void;
  #reject!: (reason: unknown) => void;
  /** Promises up to here may be kept. */
  #watermark = 0;
  /** The end of the last one that was kept. */
  #keptEnd = 0;
  /** Bytes of those that were kept since a turn ended, or longer. */
  #keptBytes = 0;
  #awaitsTurn = false;
  #isFlooded = false;
  readonly #capture = (
    resolve: (value: never) => void,
    reject: (reason: unknown) => void,
  ): void => {
    this.#resolve = resolve;
    this.#reject = reject;
  };

  /** How many wait. */
  get length(): number {
    return this.#tail - this.#head;
  }

  /** A promise of `value`, to be kept once the watermark reaches `end`. Ends must come in ascending order. */
  push<T extends number | boolean>(end: number, value: T): Promise<T> {
    if (this.#tail - this.#head > this.#mask) this.#grow();
    const promise = new Promise<T>(this.#capture);
    const at = this.#tail++ & this.#mask;
    this.#ends[at] = end;
    this.#values[at] = value;
    this.#resolves[at] = this.#resolve;
    this.#rejects[at] = this.#reject;
    return promise;
  }

  /** A promise of `value`, for a write up to `end` that waits for no watermark: kept at once, or in the next turn. */
  pass<T extends number | boolean>(end: number, value: T): Promise<T> {
    if (this.#isFlooded) return Promise.resolve(value);
    if (this.#head === this.#tail && this.#keptBytes < TURN_BYTES) {
      this.#count(end);
      if (this.#keptBytes >= TURN_BYTES / 2) this.#askForTurn();
      return Promise.resolve(value);
    }
    this.#watermark = end;
    this.#askForTurn();
    if (this.length < MOST_WAITING) return this.push(end, value);
    this.#isFlooded = true;
    while (this.#head < this.#tail) this.#keep();
    return Promise.resolve(value);
  }

  /** Keeps the promises up to `watermark`; if they are about much, some of them in later turns. */
  settle(watermark: number): void {
    this.#watermark = Math.max(this.#watermark, watermark);
    while (this.#isNextReached() && this.#keptBytes < TURN_BYTES) {
      this.#count(this.#ends[this.#head & this.#mask]!);
      this.#keep();
    }
    if (this.#keptBytes >= TURN_BYTES / 2) this.#askForTurn();
  }

  /** Breaks all promises, but those for which all is well already. */
  rejectAll(reason: unknown): void {
    while (this.#isNextReached()) this.#keep();
    while (this.#head < this.#tail) this.#rejects[this.#head++ & this.#mask]!(reason);
  }

  /** Keeps all promises, though nothing came of them: numbers become 0, and what is none stays. */
  waive(): void {
    while (this.#isNextReached()) this.#keep();
    while (this.#head < this.#tail) {
      const at = this.#head++ & this.#mask;
      const value = this.#values[at]!;
      this.#resolves[at]!((typeof value === "number" ? 0 : value) as never);
    }
  }

  #count(end: number): void {
    this.#keptBytes += end - this.#keptEnd;
    this.#keptEnd = end;
  }

  #askForTurn(): void {
    if (this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#awaitsTurn = this.#isFlooded = false;
    this.#keptBytes = 0;
    this.settle(this.#watermark);
  };

  #isNextReached(): boolean {
    return this.#head < this.#tail && this.#ends[this.#head & this.#mask]! <= this.#watermark;
  }

  #keep(): void {
    const at = this.#head++ & this.#mask;
    this.#resolves[at]!(this.#values[at] as never);
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const ends = new Float64Array(capacity);
    const values: (number | boolean)[] = new Array(capacity).fill(0);
    const resolves: ((value: never) => void)[] = [];
    const rejects: ((reason: unknown) => void)[] = [];
    for (let i = this.#head; i < this.#tail; i++) {
      const from = i & this.#mask;
      const to = i & (capacity - 1);
      ends[to] = this.#ends[from]!;
      values[to] = this.#values[from]!;
      resolves[to] = this.#resolves[from]!;
      rejects[to] = this.#rejects[from]!;
    }
    this.#ends = ends;
    this.#values = values;
    this.#resolves = resolves;
    this.#rejects = rejects;
    this.#mask = capacity - 1;
  }
}
