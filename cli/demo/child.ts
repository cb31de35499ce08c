/**
 * The process that is killed: opens the store, imports files with many puts at once, and says on
 * standard output what it does: that it will put a file, and that the put was acknowledged.
 */
import { createHash } from "node:crypto";
import { open, type Store } from "../../mod.ts";
import { failureOf } from "../failures.ts";
import { InFlight } from "../in_flight.ts";
import { readAll } from "../read_all.ts";
import { type ChildJob, type ChildLine, formatLine } from "./protocol.ts";

/** Enough for small files to go on while a large one is read. */
const MAX_BYTES_IN_FLIGHT = 128 * 1024 * 1024;

const encoder = new TextEncoder();

/** A line is in the pipe when this returns, and then outlives this process. */
function say(line: ChildLine): void {
  const bytes = encoder.encode(`${formatLine(line)}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

class Importer {
  readonly #store: Store;
  readonly #job: ChildJob;
  #puts = 0;

  constructor(store: Store, job: ChildJob) {
    this.#store = store;
    this.#job = job;
  }

  async run(): Promise<void> {
    const { concurrency, endless, files } = this.#job;
    const inFlight = new InFlight(concurrency, MAX_BYTES_IN_FLIGHT);
    for (let again = files.length > 0; again;) {
      const before = this.#puts;
      for (const file of files) await inFlight.start(file.size, () => this.#import(file));
      if (!endless || this.#puts === before) await inFlight.end();
      // A pass that could read nothing would be repeated for ever.
      again = endless && this.#puts > before;
    }
  }

  async #import(file: ChildJob["files"][number]): Promise<void> {
    const { index, path, key } = file;
    let value: Uint8Array;
    try {
      value = await Deno.readFile(path);
    } catch (error) {
      return say({ type: "skip", index, reason: failureOf(error).message });
    }
    const put = this.#puts++;
    const sha256 = createHash("sha256").update(value).digest("hex");
    say({ type: "put", put, index, size: value.length, sha256 });
    const { durability } = this.#job;
    const version = await this.#store.put(key, value, { durability });
    say({ type: "ack", put, version });
  }
}

if (import.meta.main) {
  const job: ChildJob = JSON.parse(new TextDecoder().decode(await readAll(Deno.stdin.readable)));
  say({ type: "opening" });
  await using store = await open(job.store);
  say({ type: "open", recovery: store.stats().recovery });
  await new Importer(store, job).run();
}
