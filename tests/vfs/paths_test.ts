import assert from "node:assert/strict";
import fc from "fast-check";
import { baseName, dirName, joinPath, MemFs, normalizePath, syncDirectory } from "../../vfs/mod.ts";
import { throwsCode, writeAll } from "./_support.ts";

Deno.test("normalizePath() gives each path one spelling", () => {
  const spellings = {
    "": "",
    "/": "/",
    "//": "/",
    ".": ".",
    "./": ".",
    "a": "a",
    "./a/": "a",
    "/a//b/./c/": "/a/b/c",
    "/a/../b": "/b",
    "/../../a": "/a",
    "a/..": ".",
    "../a": "../a",
    "a/../../b": "../b",
  };
  for (const [path, normal] of Object.entries(spellings)) assert.equal(normalizePath(path), normal);
});

Deno.test("joinPath(), dirName() and baseName() take paths together and apart", () => {
  assert.equal(joinPath("/a", "b", "../c"), "/a/c");
  assert.equal(joinPath("", "a"), "a");
  assert.equal(joinPath("/", "a"), "/a");
  const parts = { "/a/b": ["/a", "b"], "/a": ["/", "a"], "a": [".", "a"], "a/b/": ["a", "b"] };
  for (const [path, [dir, base]] of Object.entries(parts)) {
    assert.deepEqual([dirName(path), baseName(path)], [dir, base]);
  }
  assert.deepEqual([dirName("/"), baseName("/")], ["/", "/"]);
});

Deno.test("normalizePath() changes nothing twice, and dirName() and baseName() join again", () => {
  const name = fc.constantFrom("a", "b", ".", "..", "", "c.d");
  fc.assert(fc.property(fc.boolean(), fc.array(name, { maxLength: 6 }), (absolute, names) => {
    const normal = normalizePath((absolute ? "/" : "") + names.join("/"));
    assert.equal(normalizePath(normal), normal);
    if (normal !== "" && !normal.endsWith("..")) {
      assert.equal(joinPath(dirName(normal), baseName(normal)), normal);
    }
  }));
});

Deno.test("syncDirectory() makes names durable and leaves nothing open", () => {
  const fs = new MemFs();
  writeAll(fs, "/a", "");
  syncDirectory(fs, "/");
  assert.deepEqual(fs.crashClone({ keep: "synced" }).list("/"), ["a"]);
  assert.equal(fs.openHandles, 0);
  throwsCode("NOT_FOUND", () => syncDirectory(fs, "/missing"));
});
