import assert from "node:assert/strict";

/** Who may import whom: the table of ARCHITECTURE.md. A folder may always import itself and errors/. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  vfs: [],
  index: [],
  codec: [],
  wal: ["vfs"],
  segment: ["wal", "vfs"],
  blobs: ["wal", "vfs"],
  memtable: ["wal", "vfs"],
  workers: ["wal", "segment", "vfs"],
  compaction: ["wal", "segment", "index", "vfs"],
  log: ["memtable", "wal", "workers", "vfs"],
  store: [
    "blobs",
    "codec",
    "compaction",
    "log",
    "memtable",
    "index",
    "wal",
    "segment",
    "workers",
    "vfs",
  ],
  testing: ["vfs", "store"],
  "mod.ts": ["codec", "store"],
  cli: ["mod.ts"],
};

const ROOT = new URL("../", import.meta.url);
const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"(\.[^"]+)"/g;

interface Edge {
  readonly from: string;
  readonly to: string;
}

function* sources(folder: string): Generator<string> {
  const url = new URL(folder, ROOT);
  if (folder.endsWith(".ts")) return yield folder;
  for (const entry of Deno.readDirSync(url)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (path.endsWith(".ts")) yield path;
  }
}

function importsOf(path: string): Edge[] {
  const url = new URL(path, ROOT);
  const edges: Edge[] = [];
  for (const match of Deno.readTextFileSync(url).matchAll(IMPORT)) {
    const target = new URL(match[1]!, url).href;
    assert(target.startsWith(ROOT.href), `${path} imports ${target}, outside the project`);
    edges.push({ from: path, to: target.slice(ROOT.href.length) });
  }
  return edges;
}

function allImports(): Edge[] {
  return Object.keys(MAY_IMPORT).flatMap((folder) => [...sources(folder)].flatMap(importsOf));
}

function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path;
}

Deno.test("every import is allowed by the table of who may import whom", () => {
  const edges = allImports();
  assert(edges.length > 50, "the pattern finds the imports at all");
  const wrong = edges.filter(({ from, to }) => {
    const [room, target] = [roomOf(from), roomOf(to)];
    return room !== target && target !== "errors" && !MAY_IMPORT[room]!.includes(target);
  });
  assert.deepEqual(wrong, []);
});

Deno.test("a folder is entered through its mod.ts only", () => {
  const wrong = allImports().filter(({ from, to }) =>
    roomOf(from) !== roomOf(to) && to.includes("/") && !to.endsWith("/mod.ts")
  );
  assert.deepEqual(wrong, []);
});

Deno.test("no file imports itself through others", () => {
  const targets = Map.groupBy(allImports(), (edge) => edge.from);
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    assert(!trail.includes(path), `import cycle: ${[...trail, path].join(" -> ")}`);
    if (done.has(path)) return;
    for (const { to } of targets.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
});

Deno.test("every folder of the table is there, and every folder of code is in the table", () => {
  const beside = new Set(["tests", "docs", "tools", "bench", "examples", "node_modules", "data"]);
  const folders = [...Deno.readDirSync(ROOT)]
    .filter((entry) => entry.isDirectory && !entry.name.startsWith(".") && !beside.has(entry.name))
    .map((entry) => entry.name);
  for (const folder of folders) assert(folder in MAY_IMPORT, `${folder}/ is not in the table`);
});
