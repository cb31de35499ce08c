import { FlagstoneError } from "../errors/mod.ts";

/** Looks, while something waits, whether the workers have moved at all since the last look. */
export class StallWatch {
  readonly #everyMs: () => number;
  readonly #moves: () => number;
  readonly #isWaiting: () => boolean;
  readonly #onStall: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seen = 0;

  /** `moves` counts what the workers do; `onStall` is called when something waits and nothing has moved for `everyMs`. */
  constructor(
    everyMs: () => number,
    moves: () => number,
    isWaiting: () => boolean,
    onStall: () => void,
  ) {
    this.#everyMs = everyMs;
    this.#moves = moves;
    this.#isWaiting = isWaiting;
    this.#onStall = onStall;
  }

  /** Starts to look, if something waits and nobody looks yet. Does not keep the program alive. */
  arm(): void {
    if (this.#timer !== undefined || !this.#isWaiting()) return;
    this.#seen = this.#moves();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#moves() !== this.#seen || !this.#isWaiting()) this.arm();
      else this.#onStall();
    }, this.#everyMs());
    Deno.unrefTimer(this.#timer);
  }

  /** Looks no more. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** What a write is told when the disk hangs. */
export function stalled(directory: string, timeoutMs: number): FlagstoneError {
  return new FlagstoneError(
    "STALLED",
    `Cannot write to ${directory}: the disk has made no progress for ${timeoutMs / 1000} s. What ` +
      `waits is in doubt; see to the disk, then open it again.`,
    { path: directory },
  );
}
