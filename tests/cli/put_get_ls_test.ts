import assert from "node:assert/strict";
import { open } from "../../mod.ts";
import { ExitCode } from "../../cli/main.ts";
import { bytes, noise, run, withFolder } from "./_support.ts";

Deno.test("put() stores standard input or a file, get() writes the same bytes", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    const value = noise(300_000);
    Deno.writeFileSync(`${folder}/file`, value);
    const puts = [
      { args: [], stdin: value },
      { args: ["-"], stdin: value },
      { args: [`${folder}/file`], stdin: bytes("not this") },
      { args: ["-", "--durability", "memory"], stdin: value },
    ];
    for (const [i, { args, stdin }] of puts.entries()) {
      const done = await run(["put", store, `key ${i}`, ...args], { stdin });
      assert.deepEqual([done.exitCode, done.text, done.stderr], [ExitCode.ok, "", ""]);
      assert.deepEqual((await run(["get", store, `key ${i}`])).stdout, value);
    }
    const empty = await run(["put", store, "empty"]);
    assert.equal(empty.exitCode, ExitCode.ok);
    const got = await run(["get", store, "empty"]);
    assert.deepEqual([got.exitCode, got.stdout.length], [ExitCode.ok, 0]);
  });
});

Deno.test("put() of a file that is missing is exit code 1, and makes no store", async () => {
  await withFolder(async (folder) => {
    const { exitCode, stderr } = await run(["put", `${folder}/store`, "key", `${folder}/none`]);
    assert.equal(exitCode, ExitCode.failed);
    assert.match(stderr, /^NOT_FOUND: /);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  });
});

Deno.test("get() of a missing key is exit code 3", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    await run(["put", store, "here"]);
    const plain = await run(["get", store, "not here"]);
    assert.deepEqual([plain.exitCode, plain.text], [ExitCode.notFound, ""]);
    assert.match(plain.stderr, /not here/);
    const json = await run(["get", store, "not here", "--json"]);
    assert.equal(json.exitCode, ExitCode.notFound);
    assert.deepEqual(JSON.parse(json.text), { key: "not here", found: false });
  });
});

Deno.test("put() and get() with --json and --hex", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    const put = await run(["put", store, "ff00", "--hex", "--json"], { stdin: bytes("abc") });
    const { version, ...rest } = JSON.parse(put.text);
    assert.deepEqual(rest, { keyHex: "ff00", size: 3 });
    assert(Number.isSafeInteger(version));
    const got = await run(["get", store, "ff00", "--hex", "--json"]);
    assert.deepEqual(JSON.parse(got.text), { keyHex: "ff00", size: 3, base64: btoa("abc") });
    // Bytes that are text are the same key as the text.
    await run(["put", store, "6162", "--hex"], { stdin: bytes("x") });
    const same = await run(["get", store, "ab", "--json"]);
    assert.deepEqual(JSON.parse(same.text), { key: "ab", size: 1, base64: btoa("x") });
  });
});

Deno.test("put() takes a key that begins with - after --", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    const put = await run(["put", store, "--", "--help"], { stdin: bytes("v") });
    assert.equal(put.exitCode, ExitCode.ok);
    assert.equal((await run(["get", store, "--", "--help"])).text, "v");
  });
});

Deno.test("ls() lists by prefix, range, limit and direction", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    {
      await using opened = await open(store);
      for (const key of ["a/1", "a/2", "b/1", "b/2", "c"]) await opened.put(key, key);
    }
    const lists: [args: string[], keys: string[]][] = [
      [[], ["a/1", "a/2", "b/1", "b/2", "c"]],
      [["b/"], ["b/1", "b/2"]],
      [["--start", "a/2", "--end", "b/2"], ["a/2", "b/1"]],
      [["--reverse", "--limit", "2"], ["c", "b/2"]],
      [["a", "--start", "a/2"], ["a/2"]],
      [["622f", "--hex"], ["b/1", "b/2"]],
      [["--limit", "0"], []],
      [["nothing"], []],
    ];
    for (const [args, keys] of lists) {
      const { exitCode, text } = await run(["ls", store, ...args]);
      assert.equal(exitCode, ExitCode.ok);
      assert.deepEqual(text.split("\n").filter((line) => line !== ""), keys, args.join(" "));
    }
    const long = await run(["ls", store, "-l", "c"]);
    assert.match(long.text, /^ +1 +\d+ {2}c\n$/);
  });
});

Deno.test("ls() keeps every key on one line, and is exact with --json", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    const keys = ["line\nbreak", "\x1b[31mred", "snow ☃", new Uint8Array([0xff, 0xfe, 0])];
    {
      await using opened = await open(store);
      for (const key of keys) await opened.put(key, "12345");
    }
    const plain = await run(["ls", store]);
    assert.deepEqual(plain.text, '"\\u001b[31mred"\n"line\\nbreak"\nsnow ☃\n0xfffe00\n');
    const json = await run(["ls", store, "--json"]);
    const lines = json.text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ key, keyHex, size }) => [key ?? keyHex, size]), [
      ["\x1b[31mred", 5],
      ["line\nbreak", 5],
      ["snow ☃", 5],
      ["fffe00", 5],
    ]);
    assert(lines.every(({ version }) => Number.isSafeInteger(version)));
  });
});

Deno.test("stats() prints figures, for people and as JSON", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    await run(["put", store, "key"], { stdin: bytes("value") });
    const plain = await run(["stats", store]);
    assert.equal(plain.exitCode, ExitCode.ok);
    assert.match(plain.text, /^keys +1$/m);
    const { keys, recovery } = JSON.parse((await run(["stats", store, "--json"])).text);
    assert.equal(keys, 1);
    assert.equal(recovery.tornBytes, 0);
  });
});
