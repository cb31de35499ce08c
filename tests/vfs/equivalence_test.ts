import assert from "node:assert/strict";
import { FlagstoneError } from "../../errors/mod.ts";
import { CrashFs, DenoFs, type File, type Fs, type Lock, MemFs, VirtualFs } from "../../vfs/mod.ts";
import { latin1, randomBy, readTree } from "./_support.ts";

/** A file system, its directory, and what this run opened in it; two runs of the same steps must agree. */
class Run {
  readonly fs: Fs;
  readonly root: string;
  readonly files: (File | undefined)[] = [];
  readonly locks: (Lock | undefined)[] = [];

  constructor(fs: Fs, root: string) {
    this.fs = fs;
    this.root = root;
    fs.mkdirAll(root);
  }

  /** What a step gives, or the code of its error. */
  do(step: (run: Run) => unknown): unknown {
    try {
      return step(this) ?? "well";
    } catch (error) {
      if (error instanceof FlagstoneError) return `throws ${error.code}`;
      throw error;
    }
  }

  close(): void {
    for (const open of [...this.files, ...this.locks]) open?.close();
  }
}

const NAMES = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/f", "f", "f/a", "f/g"];
const HANDLES = 8;

/** A random step, and its text. */
function makeStep(random: () => number): { text: string; step: (run: Run) => unknown } {
  const below = (count: number) => Math.floor(random() * count);
  const name = () => NAMES[below(NAMES.length)] ?? "a";
  const [first, second, slot] = [name(), name(), below(HANDLES)];
  const offset = below(3) === 0 ? below(20_000) : below(50);
  const length = below(3) === 0 ? below(9000) : below(40);
  const fill = below(256);
  const path = (run: Run, of: string) => `${run.root}/${of}`;
  const open = (run: Run, file: File) => {
    run.files[slot]?.close();
    run.files[slot] = file;
    return [file.stat().size, file.path.slice(run.root.length)];
  };
  const content = () => new Uint8Array(length).fill(fill);
  const readWith = (read: (into: Uint8Array) => number | undefined) => {
    const into = new Uint8Array(length);
    const count = read(into);
    return [count, latin1(into)];
  };
  const steps: [weight: number, text: string, step: (run: Run) => unknown][] = [
    [6, `create ${first}`, (run) => open(run, run.fs.create(path(run, first)))],
    [3, `open ${first}`, (run) => open(run, run.fs.open(path(run, first)))],
    [6, `openReadWrite ${first}`, (run) => open(run, run.fs.openReadWrite(path(run, first)))],
    [2, `openDir ${first}`, (run) => run.fs.openDir(path(run, first)).close()],
    [3, `link ${first} ${second}`, (run) => run.fs.link(path(run, first), path(run, second))],
    [3, `remove ${first}`, (run) => run.fs.remove(path(run, first))],
    [1, `removeAll ${first}`, (run) => run.fs.removeAll(path(run, first))],
    [6, `rename ${first} ${second}`, (run) => run.fs.rename(path(run, first), path(run, second))],
    [2, `reuse ${first} ${second}`, (run) => {
      return open(run, run.fs.reuseForWrite(path(run, first), path(run, second)));
    }],
    [4, `mkdirAll ${first}`, (run) => run.fs.mkdirAll(path(run, first))],
    [2, `list ${first}`, (run) => run.fs.list(path(run, first))],
    [3, `stat ${first}`, (run) => {
      const { size, isFile, isDirectory, links } = run.fs.stat(path(run, first));
      return [size, isFile, isDirectory, isFile ? links : 0];
    }],
    [1, `lock ${first}`, (run) => {
      run.locks[slot]?.close();
      run.locks[slot] = undefined;
      run.locks[slot] = run.fs.lock(path(run, first));
    }],
    [1, `unlock ${slot}`, (run) => run.locks[slot]?.close()],
    [5, `write ${slot} ${length}`, (run) => run.files[slot]?.write(content())],
    [
      8,
      `writeAt ${slot} ${offset} ${length}`,
      (run) => run.files[slot]?.writeAt(content(), offset),
    ],
    [2, `writeVectorAt ${slot} ${offset} ${length}`, (run) => {
      return run.files[slot]?.writeVectorAt([content(), new Uint8Array(1), content()], offset);
    }],
    [4, `read ${slot} ${length}`, (run) => readWith((into) => run.files[slot]?.read(into))],
    [6, `readAt ${slot} ${offset} ${length}`, (run) => {
      return readWith((into) => run.files[slot]?.readAt(into, offset));
    }],
    [3, `truncate ${slot} ${offset}`, (run) => run.files[slot]?.truncate(offset)],
    [2, `punchHole ${slot} ${offset} ${length}`, (run) => punch(run.files[slot], offset, length)],
    [2, `fileStat ${slot}`, (run) => run.files[slot]?.stat().size],
    [2, `close ${slot}`, (run) => run.files[slot]?.close()],
  ];
  let at = random() * steps.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, text, step] of steps) if ((at -= weight) < 0) return { text, step };
  return { text: "nothing", step: () => {} };
}

/** Punches a hole, or writes the zeros where the system cannot. */
function punch(file: File | undefined, offset: number, length: number): void {
  try {
    file?.punchHole(offset, length);
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "UNSUPPORTED") throw error;
    const end = Math.min(offset + length, file?.stat().size ?? 0);
    if (end > offset) file?.writeAt(new Uint8Array(end - offset), offset);
  }
}

/** Drives all runs with the same steps; every result and, now and then, every tree must be the same. */
function compare(seed: number, count: number, runs: readonly Run[]): void {
  const random = randomBy(seed);
  const done: string[] = [];
  const [reference, ...others] = runs;
  for (let i = 0; i < count; i++) {
    const { text, step } = makeStep(random);
    const expected = reference?.do(step);
    done.push(`${text}: ${JSON.stringify(expected)?.slice(0, 60)}`);
    const story = () => `seed ${seed}, step ${i}:\n${done.slice(-30).join("\n")}`;
    for (const run of others) {
      const found = run.do(step);
      const same = JSON.stringify(found) === JSON.stringify(expected);
      if (!same) assert.fail(`${run.fs.name} gives ${JSON.stringify(found)}: ${story()}`);
    }
    if (i % 250 > 0 && i < count - 1) continue;
    const tree = reference && JSON.stringify(readTree(reference.fs, reference.root));
    for (const run of others) {
      assert.ok(JSON.stringify(readTree(run.fs, run.root)) === tree, `${run.fs.name}: ${story()}`);
    }
  }
}

Deno.test("DenoFs, MemFs, CrashFs and VirtualFs agree on 10,000 random operations", () => {
  const root = Deno.makeTempDirSync();
  const crash = new CrashFs();
  const virtual = new VirtualFs(new MemFs(), { maxOpen: 3 });
  const runs = [
    new Run(new DenoFs(), root),
    new Run(new MemFs(), "/r"),
    new Run(new MemFs({ strict: false }), "/r"),
    new Run(crash, "/r"),
    new Run(virtual, "/r"),
  ];
  try {
    compare(2026, 10_000, runs);
  } finally {
    for (const run of runs) run.close();
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("MemFs, CrashFs over MemFs and VirtualFs agree for many seeds", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const runs = [
      new Run(new MemFs(), "/r"),
      new Run(new CrashFs({ over: new MemFs() }), "/r"),
      new Run(new VirtualFs(new MemFs(), { maxOpen: 1 }), "/r"),
    ];
    compare(seed, 300, runs);
    for (const run of runs) run.close();
  }
});

Deno.test("CrashFs over MemFs: what survives when all does is what was visible", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const fs = new CrashFs();
    const run = new Run(fs, "/r");
    const random = randomBy(seed);
    for (let i = 0; i < 200; i++) run.do(makeStep(random).step);
    const survived = fs.crashClone({ seed, keepData: 1, keepNames: 1, names: "journalled" });
    assert.deepEqual(readTree(survived, "/"), readTree(fs, "/"), `seed ${seed}`);
    run.close();
  }
});
