import assert from "node:assert/strict";
import fc from "fast-check";
import { CrashFs, type Fs, MemFs, syncDirectory } from "../../vfs/mod.ts";
import { BLOCK, brief, Model, type Step } from "./_crash_model.ts";
import { latin1, readAll } from "./_support.ts";

function runOn(fs: Fs, step: Step): void {
  switch (step.do) {
    case "create":
      fs.create(step.name).close();
      break;
    case "syncDir":
      syncDirectory(fs, step.dir);
      break;
    case "rename":
      fs.rename(step.name, step.to);
      break;
    case "link":
      fs.link(step.name, step.to);
      break;
    case "remove":
      fs.remove(step.name);
      break;
    default: {
      using file = fs.openReadWrite(step.name);
      if (step.do === "write") {
        file.writeAt(new Uint8Array(BLOCK).fill(step.fill.charCodeAt(0)), step.block * BLOCK);
      } else if (step.do === "truncate") file.truncate(step.size);
      else if (step.do === "punch") file.punchHole(step.block * BLOCK, BLOCK);
      else file.sync();
    }
  }
}

function stateOf(fs: Fs): string {
  const parts: string[] = [];
  for (const dir of ["/", "/d"]) {
    for (const name of fs.list(dir)) {
      const path = dir === "/" ? `/${name}` : `${dir}/${name}`;
      const info = fs.stat(path);
      if (info.isFile) parts.push(`${path}*${info.links}=${brief(latin1(readAll(fs, path)))}`);
    }
  }
  return parts.sort((a, b) => a < b ? -1 : 1).join(" ");
}

/** A file system with the directory /d, synced. */
function prepared(): CrashFs {
  const fs = new CrashFs();
  fs.mkdirAll("/d");
  syncDirectory(fs, "/");
  return fs;
}

function compare(steps: readonly Step[]): void {
  const fs = prepared();
  const model = new Model();
  const done: Step[] = [];
  for (const step of steps) {
    const needsName = step.do !== "create" && step.do !== "syncDir";
    if (needsName && !model.names.has(step.name)) continue;
    if (step.do === "link" && model.names.has(step.to)) continue;
    model.run(step);
    runOn(fs, step);
    done.push(step);
  }
  const expected = model.crashes();
  const found = new Set<string>();
  for (const state of fs.everyCrash()) {
    const text = stateOf(state);
    assert.ok(!found.has(text), `a state came twice: ${text}`);
    found.add(text);
  }
  assert.deepEqual([...found].sort(), [...expected].sort(), JSON.stringify(done));
}

Deno.test("CrashFs.everyCrash() gives exactly the states of the model, for chosen histories", () => {
  const histories: Step[][] = [
    [],
    [{ do: "create", name: "/a" }],
    [{ do: "create", name: "/a" }, { do: "write", name: "/a", block: 0, fill: "x" }],
    [
      { do: "create", name: "/a" },
      { do: "write", name: "/a", block: 1, fill: "x" },
      { do: "sync", name: "/a" },
      { do: "syncDir", dir: "/" },
      { do: "truncate", name: "/a", size: 5000 },
      { do: "truncate", name: "/a", size: 9000 },
      { do: "write", name: "/a", block: 2, fill: "y" },
    ],
    [
      { do: "create", name: "/a" },
      { do: "write", name: "/a", block: 0, fill: "x" },
      { do: "write", name: "/a", block: 1, fill: "x" },
      { do: "sync", name: "/a" },
      { do: "syncDir", dir: "/" },
      { do: "punch", name: "/a", block: 0 },
      { do: "write", name: "/a", block: 0, fill: "y" },
      { do: "punch", name: "/a", block: 1 },
    ],
    [
      { do: "create", name: "/a" },
      { do: "syncDir", dir: "/" },
      { do: "rename", name: "/a", to: "/d/b" },
      { do: "create", name: "/a" },
      { do: "rename", name: "/a", to: "/d/b" },
      { do: "rename", name: "/d/b", to: "/c" },
    ],
    [
      { do: "create", name: "/a" },
      { do: "rename", name: "/a", to: "/b" },
      { do: "create", name: "/a" },
      { do: "rename", name: "/a", to: "/d/b" },
      { do: "syncDir", dir: "/d" },
    ],
  ];
  for (const history of histories) compare(history);
});

Deno.test("CrashFs.everyCrash() gives exactly the states of the model, for random histories", () => {
  const name = fc.constantFrom("/a", "/b", "/d/a");
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("create" as const), name }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("write" as const),
        name,
        block: fc.integer({ min: 0, max: 1 }),
        fill: fc.constantFrom("x", "y", "z"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("truncate" as const),
        name,
        size: fc.constantFrom(0, 3000, 4096, 6000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("punch" as const),
        name,
        block: fc.integer({ min: 0, max: 1 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("sync" as const), name }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("syncDir" as const),
        dir: fc.constantFrom("/", "/d"),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("rename" as const), name, to: name }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("link" as const), name, to: name }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), name }) },
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 4, maxLength: 9 }), (steps) => compare(steps)),
    { numRuns: 1500 },
  );
});

Deno.test("CrashFs.everyCrash() refuses a history that is too long", () => {
  const fs = new CrashFs();
  for (let i = 0; i < 10; i++) fs.create(`/${i}`).close();
  assert.throws(() => [...fs.everyCrash({ limit: 100 })], /more than 100 combinations/);
});

Deno.test("CrashFs.crashClone() gives one of the states of everyCrash(), and each of them by some seed", () => {
  const fs = prepared();
  using a = fs.create("/a");
  a.writeAt(new Uint8Array(2 * BLOCK).fill(120), 0);
  fs.rename("/a", "/d/b");
  a.writeAt(new Uint8Array(BLOCK).fill(121), 0);
  const every = new Set([...fs.everyCrash()].map(stateOf));
  const seen = new Set<string>();
  for (let seed = 0; seed < 3000; seed++) {
    const state = stateOf(fs.crashClone({ seed, unitBytes: 4096 }));
    assert.ok(every.has(state), `seed ${seed}: ${state}`);
    seen.add(state);
  }
  assert.deepEqual([...seen].sort(), [...every].sort());
});

Deno.test("MemFs.crashClone({ keep: 'synced' }) is one of the states of everyCrash()", () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(5)), (choices) => {
      const crash = prepared();
      const mem = new MemFs();
      mem.mkdirAll("/d");
      syncDirectory(mem, "/");
      const names = ["/a", "/d/b"];
      for (let i = 0; i < 6; i++) {
        const name = names[(choices.next().value ?? 0) % 2] ?? "/a";
        const what = choices.next().value ?? 0;
        for (const fs of [crash, mem]) {
          using file = fs.openReadWrite(name);
          if (what < 3) file.writeAt(new Uint8Array(100).fill(97 + i), what * 50);
          else if (what === 3) file.sync();
          else syncDirectory(fs, what === 4 ? "/" : "/d");
        }
      }
      const worst = stateOf(mem.crashClone({ keep: "synced" }));
      const every = [...crash.everyCrash()].map(stateOf);
      assert.ok(every.includes(worst), worst);
    }),
    { numRuns: 100 },
  );
});
