import { ArgumentError, FlagstoneError, open, type Store, type WriteOptions } from "../../mod.ts";
import { type Command, parseCommand, parseCount, parseDurability } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { failureOf } from "../failures.ts";
import { bytesText, durationText, plural, rateText } from "../format.ts";
import { InFlight } from "../in_flight.ts";
import { printLine } from "../io.ts";
import {
  DEFAULT_CONCURRENCY,
  MAX_BYTES_IN_FLIGHT,
  STREAM_MEMORY_BYTES,
  STREAMED_BYTES,
} from "../limits.ts";
import { Progress } from "../progress.ts";
import { type WalkedFile, walkFiles } from "../walk.ts";

/** `flagstone import`. */
export const importFolder: Command = {
  name: "import",
  synopsis: "STORE DIR [--prefix P] [--concurrency N] [--durability WHEN]",
  summary: "store every file of a folder",
  details: `
The key of a file is its path below DIR, with "/" between names; its value is its bytes. Keys that
are there already get the new value. STORE is created if it is missing.

Symbolic links, sockets and devices are skipped and counted. Files that cannot be read are left out
and named on standard error; exit code 5 tells that there were any. Files of any size are imported:
large ones are not held in memory.

Options:
  --prefix P         Put P in front of every key.
  --concurrency N    Files under way at once; ${DEFAULT_CONCURRENCY} by default.
  --durability WHEN  synced (default), written, or memory: what each file waits for. Everything is
                     on the disk when the command ends.
  --json             Print {"files", "bytes", "irregular", "leftOut", "durationMs"}.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE", "DIR"], {
      prefix: { type: "string", default: "" },
      concurrency: { type: "string", default: String(DEFAULT_CONCURRENCY) },
      durability: { type: "string", default: "synced" },
    });
    const concurrency = parseCount(values.concurrency, "--concurrency", 1);
    const durability = parseDurability(values.durability);
    const folder = argument(1);
    Deno.readDirSync(folder); // A mistyped DIR must not leave an empty store behind.

    const progress = new Progress(io, "imported");
    let job: ImportJob;
    {
      await using store = await open(argument(0));
      job = new ImportJob(store, values.prefix, { durability }, progress);
      await job.run(folder, concurrency);
    }
    progress.clear();
    const { files, bytes, durationMs } = progress;
    const { irregular, leftOut } = job;
    await printLine(
      io,
      values.json
        ? JSON.stringify({ files, bytes, irregular, leftOut, durationMs })
        : `imported ${plural(files, "file")}, ${bytesText(bytes)} in ${durationText(durationMs)} ` +
          `(${rateText(bytes, durationMs)}); skipped ${irregular} that are no regular files, ` +
          `left out ${leftOut}`,
    );
    return leftOut === 0 ? ExitCode.ok : ExitCode.incomplete;
  },
};

/** One import: walks, reads and puts, many files at once. */
class ImportJob {
  /** Symbolic links, sockets and devices. */
  irregular = 0;
  /** Files and folders that should have been imported and were not. */
  leftOut = 0;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #options: WriteOptions;
  readonly #progress: Progress;

  constructor(store: Store, prefix: string, options: WriteOptions, progress: Progress) {
    this.#store = store;
    this.#prefix = prefix;
    this.#options = options;
    this.#progress = progress;
  }

  async run(folder: string, concurrency: number): Promise<void> {
    const storePath = Deno.realPathSync(this.#store.directory);
    const inFlight = new InFlight(concurrency, MAX_BYTES_IN_FLIGHT);
    const files = walkFiles(folder, {
      irregular: () => void this.irregular++,
      unreadable: (path, reason) => this.#leaveOut(path, reason),
      leaveOut: (path) => this.#isStore(path, storePath),
    });
    try {
      for (const file of files) {
        const memory = file.size > STREAMED_BYTES ? STREAM_MEMORY_BYTES : file.size;
        await inFlight.start(memory, () => this.#import(file));
      }
      await inFlight.end();
    } finally {
      await inFlight.settled();
      this.#progress.clear();
    }
  }

  async #import(file: WalkedFile): Promise<void> {
    const key = `${this.#prefix}${file.relative}`;
    try {
      if (file.size > STREAMED_BYTES) {
        const { readable } = await Deno.open(file.path);
        await this.#store.put(key, readable, this.#options);
      } else {
        const value = await Deno.readFile(file.path);
        await this.#store.put(key, value, this.#options);
      }
    } catch (error) {
      // What the store says is not of this file alone.
      if (error instanceof FlagstoneError || error instanceof ArgumentError) throw error;
      return this.#leaveOut(file.path, failureOf(error).message);
    }
    this.#progress.add(file.size);
  }

  #isStore(path: string, storePath: string): boolean {
    if (Deno.realPathSync(path) !== storePath) return false;
    this.#progress.warn(`left out: ${path}: it is the store`);
    return true;
  }

  #leaveOut(path: string, reason: string): void {
    this.leftOut++;
    this.#progress.warn(`left out: ${path}: ${reason}`);
  }
}
