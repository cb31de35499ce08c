/**
 * What a call of each file system costs (wrappers: wrappers_bench.ts). Run with `deno bench --allow-read --allow-write bench/vfs_bench.ts`.
 *
 * Each iteration does 1000 calls, so the times in µs an iteration are ns a call. The files stay in
 * the page cache; nothing is synced unless the name says so.
 */
import { CrashFs, DenoFs, type File, type Fs, MemFs, syncDirectory } from "../vfs/mod.ts";

const CALLS = 1000;
const FILE_BYTES = 16 * 1024 * 1024;
const kib = new Uint8Array(1024).fill(7);
const page = new Uint8Array(4096).fill(7);

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

let files = 0;

/** A file that has its whole length, so that no call extends it. */
function prepare(fs: Fs, dir: string): File {
  const file = fs.create(`${dir}/bench${files++}`);
  const chunk = new Uint8Array(1 << 20).fill(1);
  for (let at = 0; at < FILE_BYTES; at += chunk.length) file.writeAt(chunk, at);
  file.sync();
  return file;
}

function benchWrites(group: string, name: string, file: File, bytes: Uint8Array, baseline = false) {
  let at = 0;
  Deno.bench({ group, name, baseline }, () => {
    for (let i = 0; i < CALLS; i++) {
      file.writeAt(bytes, at);
      at = (at + bytes.length) % FILE_BYTES;
    }
  });
}

function benchReads(group: string, name: string, file: File, bytes: Uint8Array, baseline = false) {
  const into = bytes.slice();
  let at = 0;
  Deno.bench({ group, name, baseline }, () => {
    for (let i = 0; i < CALLS; i++) {
      file.readAt(into, at);
      at = (at + 7919 * 1024) % (FILE_BYTES - into.length);
    }
  });
}

/** The least that a positional call through Deno can cost. */
function rawFile(): Deno.FsFile {
  const file = Deno.openSync(`${root}/raw`, { read: true, write: true, create: true });
  file.truncateSync(FILE_BYTES);
  const chunk = new Uint8Array(1 << 20).fill(1);
  for (let at = 0; at < FILE_BYTES; at += chunk.length) file.writeSync(chunk);
  return file;
}

{
  const raw = rawFile();
  let at = 0;
  Deno.bench({ group: "write 1 KiB, disk", name: "raw seekSync + writeSync" }, () => {
    for (let i = 0; i < CALLS; i++) {
      raw.seekSync(at, Deno.SeekMode.Start);
      raw.writeSync(kib);
      at = (at + kib.length) % FILE_BYTES;
    }
  });
  const into = kib.slice();
  Deno.bench({ group: "read 1 KiB, disk", name: "raw seekSync + readSync" }, () => {
    for (let i = 0; i < CALLS; i++) {
      raw.seekSync(at, Deno.SeekMode.Start);
      raw.readSync(into);
      at = (at + 7919 * 1024) % (FILE_BYTES - into.length);
    }
  });
}

const deno = new DenoFs();
for (const [calls, bytes] of [["1 KiB", kib], ["4 KiB", page]] as const) {
  benchWrites(`write ${calls}, disk`, "DenoFs", prepare(deno, root), bytes, true);
}
benchReads("read 1 KiB, disk", "DenoFs", prepare(deno, root), kib, true);

const memories: [name: string, fs: Fs][] = [
  ["MemFs", new MemFs()],
  ["MemFs, not strict", new MemFs({ strict: false })],
  ["CrashFs", new CrashFs()],
];
for (const [name, fs] of memories) {
  const baseline = name === "MemFs";
  const file = prepare(fs, "/");
  let at = 0;
  Deno.bench({ group: "write 1 KiB, memory", name, baseline }, () => {
    for (let i = 0; i < CALLS; i++) {
      file.writeAt(kib, at);
      at = (at + kib.length) % FILE_BYTES;
    }
    // CrashFs remembers every write until then.
    if (name === "CrashFs") file.syncData();
  });
  benchReads("read 1 KiB, memory", name, prepare(fs, "/"), kib, baseline);
  const synced = prepare(fs, "/");
  Deno.bench({ group: "write 100 B + sync, memory", name, baseline }, () => {
    for (let i = 0; i < CALLS; i++) {
      synced.writeAt(kib.subarray(0, 100), i * 100);
      synced.syncData();
    }
  });
}

const source = new MemFs();
for (let i = 0; i < 100; i++) {
  using file = source.create(`/${i}`);
  file.write(page);
  file.sync();
}
syncDirectory(source, "/");
Deno.bench({ group: "crash clone", name: "MemFs of 100 files", baseline: true }, () => {
  source.crashClone({ keep: "synced" });
});
const crashing = new CrashFs();
for (let i = 0; i < 100; i++) {
  using file = crashing.create(`/${i}`);
  file.write(page);
}
let seed = 0;
Deno.bench({ group: "crash clone", name: "CrashFs of 100 files, all unsynced" }, () => {
  crashing.crashClone({ seed: seed++ });
});
Deno.bench({ group: "small test", name: "a fresh MemFs, a file written, synced and read" }, () => {
  const fs = new MemFs();
  using file = fs.create("/a");
  file.write(kib);
  file.sync();
  file.readAt(new Uint8Array(10), 0);
});
