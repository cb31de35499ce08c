/**
 * One large value as a stream, there and back, on real files, with what it takes of memory and of the
 * event loop, beside what the machine itself writes and reads:
 * `deno run --allow-read --allow-write bench/blob_bench.ts [GiB] [directory]`. 6 GiB take a minute.
 */
import { crc32 } from "node:zlib";
import { open } from "../mod.ts";

const MIB = 1024 * 1024;
/** What a source brings at a time. */
const CHUNK_BYTES = MIB;
/** The file that the machine itself writes and reads, in pieces of this size. */
const RAW_PIECE_BYTES = 16 * MIB;
const SAMPLE_MS = 20;

const chunk = new Uint8Array(CHUNK_BYTES);
for (let at = 0; at < chunk.length; at += 65_536) {
  crypto.getRandomValues(chunk.subarray(at, at + 65_536));
}

/** The most that was seen while something ran. */
class Peaks {
  heapBytes = 0;
  externalBytes = 0;
  rssBytes = 0;
  lateMs = 0;
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  end(): string {
    clearInterval(this.#timer);
    this.#sample();
    const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
    return `peaks: heap ${mib(this.heapBytes)}, buffers ${mib(this.externalBytes)}, rss ${
      mib(this.rssBytes)
    }, event loop late by ${Math.round(this.lateMs)} ms`;
  }

  #sample(): void {
    const { heapUsed, external, rss } = Deno.memoryUsage();
    this.heapBytes = Math.max(this.heapBytes, heapUsed);
    this.externalBytes = Math.max(this.externalBytes, external);
    this.rssBytes = Math.max(this.rssBytes, rss);
    const now = performance.now();
    this.lateMs = Math.max(this.lateMs, now - this.#last - SAMPLE_MS);
    this.#last = now;
  }
}

/** A stream of `chunks` times the chunk. */
function source(chunks: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent++ === chunks) controller.close();
      else controller.enqueue(chunk);
    },
  }, { highWaterMark: 1 });
}

async function measure(what: string, bytes: number, work: () => Promise<void>): Promise<number> {
  const peaks = new Peaks();
  const startedMs = performance.now();
  await work();
  const rate = bytes / 1e6 / ((performance.now() - startedMs) / 1000);
  console.log(`${what.padEnd(34)} ${Math.round(rate).toString().padStart(6)} MB/s  ${peaks.end()}`);
  return rate;
}

async function main(gib: number, root: string): Promise<void> {
  const chunks = Math.round(gib * 1024);
  const bytes = chunks * CHUNK_BYTES;
  let checksum = 0;
  for (let i = 0; i < chunks; i++) checksum = crc32(chunk, checksum);

  const rawPath = `${root}/raw`;
  const piece = new Uint8Array(RAW_PIECE_BYTES);
  for (let at = 0; at < piece.length; at += CHUNK_BYTES) piece.set(chunk, at);
  const rawWrite = () =>
    measure("the machine: write, fdatasync", bytes, async () => {
      using file = await Deno.open(rawPath, { write: true, create: true, truncate: true });
      for (let at = 0; at < bytes; at += piece.length) {
        file.writeSync(piece.subarray(0, bytes - at));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      file.syncDataSync();
    });
  const before = await rawWrite();
  const rawRead = await measure("the machine: read", bytes, async () => {
    using file = await Deno.open(rawPath);
    while (file.readSync(piece) !== null) await new Promise((resolve) => setTimeout(resolve, 0));
  });
  await Deno.remove(rawPath);

  {
    await using store = await open(`${root}/store`);
    const put = await measure(`put of a stream of ${gib} GiB`, bytes, async () => {
      await store.put("large", source(chunks));
    });
    const read = await measure("stream", bytes, async () => {
      let found = 0;
      for await (const part of store.stream("large")!) found = crc32(part, found);
      if (found !== checksum) throw new Error("it is not what was put");
    });
    const reader = store.stream("large")!.getReader({ mode: "byob" });
    let into = new Uint8Array(4 * MIB);
    await measure("stream, into the reader's memory", bytes, async () => {
      for (;;) {
        const { done, value } = await reader.read(into);
        if (done) break;
        into = new Uint8Array(value.buffer);
      }
    });
    await store.delete("large");
    const after = await rawWrite();
    const raw = (before + after) / 2;
    console.log(`put: ${(put / raw).toFixed(2)} of what the machine writes`);
    console.log(`stream: ${(read / rawRead).toFixed(2)} of what the machine reads`);
  }
}

const root = await Deno.makeTempDir(Deno.args[1] === undefined ? {} : { dir: Deno.args[1] });
try {
  await main(Number(Deno.args[0] ?? 6), root);
} finally {
  await Deno.remove(root, { recursive: true });
}
