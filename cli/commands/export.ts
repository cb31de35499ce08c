import { FlagstoneError, type ListEntry, open, type Store } from "../../mod.ts";
import { type Command, parseCommand, parseCount } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { failureOf } from "../failures.ts";
import { bytesText, durationText, plural, rateText } from "../format.ts";
import { InFlight } from "../in_flight.ts";
import { printLine } from "../io.ts";
import { keyText, showKey } from "../keys.ts";
import {
  DEFAULT_CONCURRENCY,
  MAX_BYTES_IN_FLIGHT,
  STREAM_MEMORY_BYTES,
  STREAMED_BYTES,
} from "../limits.ts";
import { Progress } from "../progress.ts";
import { refuseRelativePath } from "../relative_path.ts";

/** `flagstone export`. */
export const exportFolder: Command = {
  name: "export",
  synopsis: "STORE DIR [--prefix P] [--overwrite] [--concurrency N]",
  summary: "write every value to a file",
  details: `
The reverse of import: the file of a key is DIR/KEY. DIR is created if it is missing.

Keys that are no path below DIR are left out: absolute ones, those with "..", ".", an empty name or
a NUL, and those that are no UTF-8. So are files that exist already (but see --overwrite), folders
that a symbolic link leads out of DIR, and keys that the file system refuses, such as a/b next to
a. Each is named on standard error; exit code 5 tells that there were any.

Options:
  --prefix P       Only keys that begin with P, and without it: undoes import --prefix P.
  --overwrite      Replace files that exist.
  --concurrency N  Files under way at once; ${DEFAULT_CONCURRENCY} by default.
  --json           Print {"files", "bytes", "leftOut", "durationMs"}.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE", "DIR"], {
      prefix: { type: "string", default: "" },
      overwrite: { type: "boolean", default: false },
      concurrency: { type: "string", default: String(DEFAULT_CONCURRENCY) },
    });
    const { prefix, overwrite } = values;
    const concurrency = parseCount(values.concurrency, "--concurrency", 1);
    await using store = await open(argument(0), { create: false, compaction: "manual" });
    const progress = new Progress(io, "exported");
    const job = new ExportJob(store, argument(1), { prefix, overwrite }, progress);
    await job.run(concurrency);
    const { files, bytes, durationMs } = progress;
    const { leftOut } = job;
    await printLine(
      io,
      values.json
        ? JSON.stringify({ files, bytes, leftOut, durationMs })
        : `exported ${plural(files, "file")}, ${bytesText(bytes)} in ${durationText(durationMs)} ` +
          `(${rateText(bytes, durationMs)}); left out ${leftOut}`,
    );
    return leftOut === 0 ? ExitCode.ok : ExitCode.incomplete;
  },
};

/** One export: lists, reads and writes, many files at once. */
class ExportJob {
  /** Keys that were not exported. */
  leftOut = 0;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #overwrite: boolean;
  readonly #progress: Progress;
  readonly #root: string;
  /** Folders that are known to lie in the root. */
  readonly #folders = new Set<string>();

  constructor(
    store: Store,
    directory: string,
    options: { readonly prefix: string; readonly overwrite: boolean },
    progress: Progress,
  ) {
    this.#store = store;
    this.#prefix = options.prefix;
    this.#overwrite = options.overwrite;
    this.#progress = progress;
    Deno.mkdirSync(directory, { recursive: true });
    this.#root = Deno.realPathSync(directory);
  }

  async run(concurrency: number): Promise<void> {
    const inFlight = new InFlight(concurrency, MAX_BYTES_IN_FLIGHT);
    try {
      for await (const entry of this.#store.list({ prefix: this.#prefix })) {
        const memory = entry.size > STREAMED_BYTES ? STREAM_MEMORY_BYTES : entry.size;
        await inFlight.start(memory, () => this.#export(entry));
      }
      await inFlight.end();
    } finally {
      await inFlight.settled();
      this.#progress.clear();
    }
  }

  async #export({ key, size }: ListEntry): Promise<void> {
    const relative = keyText(key)?.slice(this.#prefix.length);
    const refusal = relative === undefined
      ? "it is no UTF-8"
      : refuseRelativePath(relative, Deno.build.os);
    if (relative === undefined || refusal !== undefined) {
      return this.#leaveOut(showKey(key), refusal ?? "");
    }
    const value = size > STREAMED_BYTES ? this.#store.stream(key) : await this.#store.get(key);
    if (value === undefined) return; // Deleted since it was listed.
    try {
      const path = this.#place(relative);
      if (path === undefined) {
        return this.#leaveOut(showKey(key), "a symbolic link leads out of the folder");
      }
      if (this.#overwrite) unlink(path);
      await writeNew(path, value);
    } catch (error) {
      // A value that cannot be read is not of this file alone.
      if (error instanceof FlagstoneError) throw error;
      return this.#leaveOut(showKey(key), failureOf(error).message);
    }
    this.#progress.add(size);
  }

  /** Where a file goes, its folder made; `undefined` if that would be outside of the root. */
  #place(relative: string): string | undefined {
    const path = `${this.#root}/${relative}`;
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (folder === this.#root || this.#folders.has(folder)) return path;
    // Name by name, so that nothing is made behind a link that leads outside.
    const names = folder.slice(this.#root.length + 1).split("/");
    let at = this.#root;
    for (const name of names) {
      at = `${at}/${name}`;
      if (this.#folders.has(at)) continue;
      if (!this.#makeFolder(at)) return undefined;
      this.#folders.add(at);
    }
    return path;
  }

  #makeFolder(path: string): boolean {
    try {
      Deno.mkdirSync(path);
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const real = Deno.realPathSync(path);
    const separator = Deno.build.os === "windows" ? "\\" : "/";
    const inside = this.#root.endsWith(separator) ? this.#root : `${this.#root}${separator}`;
    return real === this.#root || real.startsWith(inside);
  }

  #leaveOut(key: string, reason: string): void {
    this.leftOut++;
    this.#progress.warn(`left out: ${key}: ${reason}`);
  }
}

/** Makes a file of `value`, all of it or none: a part would be taken for the whole, also by the next export. */
async function writeNew(
  path: string,
  value: Uint8Array | ReadableStream<Uint8Array>,
): Promise<void> {
  const file = await Deno.open(path, { write: true, createNew: true });
  try {
    for await (const part of value instanceof Uint8Array ? [value] : value) {
      for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
    }
  } catch (error) {
    unlink(path);
    throw error;
  } finally {
    file.close();
  }
}

/** Removes a file or link, so that the new file is written to this name and not through a link. */
function unlink(path: string): void {
  try {
    if (!Deno.lstatSync(path).isDirectory) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
