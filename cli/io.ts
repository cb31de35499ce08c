import { OutputClosedError } from "./failures.ts";

/** What a command reads and writes; tests bring their own. */
export interface Io {
  /** Standard input. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** Writes all of `bytes` to standard output. Throws {@linkcode OutputClosedError} if nobody reads. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes to standard error; never throws. */
  warn(text: string): void;
  /** Whether standard error is a terminal: then progress is shown there. */
  readonly showsProgress: boolean;
}

/** The standard streams of this process. */
export function processIo(): Io {
  const encoder = new TextEncoder();
  return {
    get stdin() {
      return Deno.stdin.readable;
    },
    async write(bytes) {
      try {
        for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosedError();
        throw error;
      }
    },
    warn(text) {
      const bytes = encoder.encode(text);
      try {
        for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
      } catch {
        // Nobody listens; there is no other place to complain.
      }
    },
    showsProgress: Deno.stderr.isTerminal(),
  };
}

/** Lines for standard output, gathered: a write for each would cost more than the listing. */
export class LineWriter {
  static readonly #PIECE_LENGTH = 64 * 1024;
  readonly #io: Io;
  readonly #encoder = new TextEncoder();
  #text = "";

  /** Writes to `io`. */
  constructor(io: Io) {
    this.#io = io;
  }

  /** Adds a line. */
  async line(text: string): Promise<void> {
    this.#text += `${text}\n`;
    if (this.#text.length >= LineWriter.#PIECE_LENGTH) await this.flush();
  }

  /** Writes what was gathered. */
  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") await this.#io.write(this.#encoder.encode(text));
  }
}

/** Writes one line to standard output. */
export async function printLine(io: Io, text: string): Promise<void> {
  await io.write(new TextEncoder().encode(`${text}\n`));
}
