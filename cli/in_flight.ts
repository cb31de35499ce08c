/**
 * Bounds work under way, by number and by bytes. Work with more bytes than the bound goes alone.
 *
 * ```ts
 * import { InFlight } from "./in_flight.ts";
 * const inFlight = new InFlight(64, 64 * 1024 * 1024);
 * for (const path of ["deno.json", "mod.ts"]) {
 *   await inFlight.start(Deno.statSync(path).size, async () => {
 *     await Deno.readFile(path);
 *   });
 * }
 * await inFlight.end();
 * ```
 */
export class InFlight {
  readonly #maxTasks: number;
  readonly #maxBytes: number;
  #tasks = 0;
  #bytes = 0;
  #failed = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  /** At most `maxTasks` at once, of `maxBytes` in all. */
  constructor(maxTasks: number, maxBytes: number) {
    this.#maxTasks = maxTasks;
    this.#maxBytes = maxBytes;
  }

  /** Waits for room, then starts `task`. Throws what an earlier task threw; then nothing is started. */
  async start(bytes: number, task: () => Promise<void>): Promise<void> {
    await this.#until(() => this.#tasks < this.#maxTasks && this.#fits(bytes));
    this.#tasks++;
    this.#bytes += bytes;
    void this.#run(bytes, task);
  }

  /** Waits for all. Throws what the first failed one threw. */
  async end(): Promise<void> {
    await this.settled();
    if (this.#failed) throw this.#failure;
  }

  /** Waits for all, failed or not. */
  async settled(): Promise<void> {
    while (this.#tasks > 0) await this.#next();
  }

  #fits(bytes: number): boolean {
    return this.#tasks === 0 || this.#bytes + bytes <= this.#maxBytes;
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!this.#failed && !ready()) await this.#next();
    if (this.#failed) throw this.#failure;
  }

  async #next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
  }

  async #run(bytes: number, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!this.#failed) this.#failure = error;
      this.#failed = true;
    }
    this.#tasks--;
    this.#bytes -= bytes;
    this.#wake?.();
  }
}
