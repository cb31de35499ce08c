import { bytesText, countText } from "./format.ts";
import type { Io } from "./io.ts";

const REDRAW_MS = 100;

/** Counts files and bytes, and shows them on one line of the terminal, if there is one. */
export class Progress {
  readonly #io: Io;
  readonly #verb: string;
  readonly #startedMs = performance.now();
  #files = 0;
  #bytes = 0;
  #drawnMs = 0;

  /** `verb` says what is being done: "imported". */
  constructor(io: Io, verb: string) {
    this.#io = io;
    this.#verb = verb;
  }

  /** Files so far. */
  get files(): number {
    return this.#files;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Milliseconds since this was made. */
  get durationMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Counts a file. */
  add(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
    const nowMs = performance.now();
    if (!this.#io.showsProgress || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#io.warn(
      `\r\x1b[K${this.#verb} ${countText(this.#files)} files, ${bytesText(this.#bytes)}`,
    );
  }

  /** Says something on a line of its own. */
  warn(text: string): void {
    this.clear();
    this.#io.warn(`${text}\n`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawnMs === 0) return;
    this.#drawnMs = 0;
    this.#io.warn("\r\x1b[K");
  }
}
