import assert from "node:assert/strict";
import { open } from "../../mod.ts";
import { ExitCode } from "../../cli/main.ts";
import { bytes, noise, readFiles, run, withFolder, writeFiles } from "./_support.ts";

const FILES: Readonly<Record<string, Uint8Array>> = {
  "empty": new Uint8Array(),
  "one": bytes("1"),
  "snow ☃/näme": bytes("text"),
  "deep/er/and/deeper/file.bin": noise(70_000),
  "large": noise(3_000_000),
  " space ": bytes(" "),
  ".hidden/.file": bytes("dot"),
};

Deno.test("import() and export() give back a folder byte for byte", async () => {
  await withFolder(async (folder) => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`many/${i % 7}/${i}`, noise(i * 11)]),
    );
    writeFiles(`${folder}/in`, { ...FILES, ...many });
    const imported = await run(["import", `${folder}/store`, `${folder}/in`, "--json"]);
    assert.equal(imported.exitCode, ExitCode.ok, imported.stderr);
    const { files, irregular, leftOut } = JSON.parse(imported.text);
    assert.deepEqual([files, irregular, leftOut], [Object.keys(FILES).length + 300, 0, 0]);
    const exported = await run(["export", `${folder}/store`, `${folder}/new/out`, "--json"]);
    assert.equal(exported.exitCode, ExitCode.ok, exported.stderr);
    assert.deepEqual(JSON.parse(exported.text).files, files);
    assert.deepEqual(readFiles(`${folder}/new/out`), { ...FILES, ...many });
  });
});

Deno.test("import(), export(), put() and get() of files that are streamed", async () => {
  await withFolder(async (folder) => {
    const large = { "a/larger than a slab": noise(20_000_000), "fits a slab": noise(9_000_000) };
    writeFiles(`${folder}/in`, { ...FILES, ...large });
    const store = `${folder}/store`;
    const imported = await run(["import", store, `${folder}/in`]);
    assert.equal(imported.exitCode, ExitCode.ok, imported.stderr);
    assert.equal((await run(["export", store, `${folder}/out`])).exitCode, ExitCode.ok);
    assert.deepEqual(readFiles(`${folder}/out`), { ...FILES, ...large });
    const [name] = Object.keys(large);
    await run(["put", store, "k", `${folder}/in/${name}`]);
    const got = await run(["get", store, "k"]);
    assert.deepEqual(got.stdout, large["a/larger than a slab"]);
    const left = await run(["get", store, "k"], { readerLeavesAfter: 1 });
    assert.equal(left.exitCode, ExitCode.ok);
  });
});

Deno.test("export() of a value that is damaged ends with an error, and leaves no part of it", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    writeFiles(`${folder}/in`, { large: noise(20_000_000) });
    await run(["import", store, `${folder}/in`]);
    const blob = [...Deno.readDirSync(store)].find(({ name }) => name.endsWith(".blob"))!;
    using file = Deno.openSync(`${store}/${blob.name}`, { write: true });
    file.seekSync(19_000_000, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(100));
    const { exitCode, stderr } = await run(["export", store, `${folder}/out`]);
    assert.equal(exitCode, ExitCode.failed);
    assert.match(stderr, /^CORRUPT: /);
    assert.deepEqual(readFiles(`${folder}/out`), {});
    const verified = await run(["verify", store]);
    assert.equal(verified.exitCode, ExitCode.problems);
    assert.match(verified.text, /\.blob:\d+: /);
  });
});

Deno.test("export() to a disk that is full leaves no part of a file, and the next one writes it", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    writeFiles(`${folder}/in`, { "small": bytes("1"), "large": noise(20_000_000) });
    assert.equal((await run(["import", store, `${folder}/in`])).exitCode, ExitCode.ok);
    const args = ["export", store, `${folder}/out`];
    const { write } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.write = async function (part) {
      const info = await this.stat();
      if (info.size > 4_000_000) throw new Error("No space left on device (os error 28)");
      return await write.call(this, part.subarray(0, 1_000_000));
    };
    try {
      const { exitCode, stderr } = await run(args);
      assert.equal(exitCode, ExitCode.incomplete);
      assert.match(stderr, /large: No space left/);
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    assert.deepEqual(Object.keys(readFiles(`${folder}/out`)), ["small"]);
    await run(args);
    assert.deepEqual(readFiles(`${folder}/out`), readFiles(`${folder}/in`));
  });
});

Deno.test("import() and export() with --prefix are each other's reverse", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    writeFiles(`${folder}/in`, FILES);
    await run(["import", store, `${folder}/in`, "--prefix", "p/", "--concurrency", "1"]);
    await run(["put", store, "other"]);
    const listed = await run(["ls", store]);
    assert(listed.text.includes("p/deep/er/and/deeper/file.bin\n"));
    const args = ["export", store, `${folder}/out`, "--prefix", "p/", "--concurrency", "1"];
    assert.equal((await run(args)).exitCode, ExitCode.ok);
    assert.deepEqual(readFiles(`${folder}/out`), FILES);
  });
});

Deno.test("import() of a folder that is missing, or a file, makes no store", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/file`, "");
    const missing = await run(["import", `${folder}/store`, `${folder}/missing`]);
    assert.equal(missing.exitCode, ExitCode.failed);
    assert.match(missing.stderr, /^NOT_FOUND: /);
    const file = await run(["import", `${folder}/store`, `${folder}/file`]);
    assert.equal(file.exitCode, ExitCode.failed);
    assert.match(file.stderr, /^NOT_A_DIRECTORY: /);
    assert.deepEqual(Object.keys(readFiles(folder)), ["file"]);
  });
});

Deno.test({
  name: "import() skips links",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFolder(async (folder) => {
      writeFiles(`${folder}/in`, { "sub/file": bytes("1") });
      Deno.symlinkSync("sub/file", `${folder}/in/link`);
      Deno.symlinkSync("sub", `${folder}/in/folder link`);
      Deno.symlinkSync("nowhere", `${folder}/in/broken`);
      const { exitCode, text, stderr } = await run([
        "import",
        `${folder}/store`,
        `${folder}/in`,
        "--json",
      ]);
      assert.equal(exitCode, ExitCode.ok);
      const { files, irregular, leftOut } = JSON.parse(text);
      assert.deepEqual([files, irregular, leftOut], [1, 3, 0]);
      assert.equal(stderr, "");
    });
  },
});

Deno.test("import() leaves the store itself out", async () => {
  await withFolder(async (folder) => {
    writeFiles(folder, { "in/file": bytes("1") });
    const { exitCode, text, stderr } = await run(["import", `${folder}/in/store`, `${folder}/in`]);
    assert.equal(exitCode, ExitCode.ok);
    assert.match(text, /^imported 1 file, /);
    assert.match(stderr, /it is the store/);
  });
});

Deno.test("import() overwrites, and shows progress on a terminal only", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    writeFiles(`${folder}/in`, { file: bytes("old") });
    assert.equal((await run(["import", store, `${folder}/in`])).stderr, "");
    writeFiles(`${folder}/in`, { file: bytes("new") });
    const again = await run(["import", store, `${folder}/in`], { showsProgress: true });
    assert.match(again.stderr, /imported 1 files/);
    assert(again.stderr.endsWith("\r\x1b[K"), "the line is taken away at the end");
    assert.equal((await run(["get", store, "file"])).text, "new");
  });
});

Deno.test("export() refuses keys that would leave the folder, and goes on", async () => {
  await withFolder(async (folder) => {
    const bad = ["../up", "a/../../up", "/absolute", "nul\0", "a//b", "./dot", "trailing/", ".."];
    {
      await using store = await open(`${folder}/store`);
      for (const key of [...bad, "good", new Uint8Array([0xff])]) await store.put(key, "x");
    }
    const { exitCode, text, stderr } = await run([
      "export",
      `${folder}/store`,
      `${folder}/a/b/out`,
      "--json",
    ]);
    assert.equal(exitCode, ExitCode.incomplete);
    const { files, leftOut } = JSON.parse(text);
    assert.deepEqual([files, leftOut], [1, bad.length + 1]);
    assert.equal(stderr.trimEnd().split("\n").length, leftOut);
    assert.match(stderr, /^left out: 0xff: it is no UTF-8$/m);
    assert.deepEqual(Object.keys(readFiles(`${folder}/a`)), ["b/out/good"]);
  });
});

Deno.test({
  name: "export() does not follow a link out of the folder",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFolder(async (folder) => {
      {
        await using store = await open(`${folder}/store`);
        for (const key of ["link/file", "link/new/file", "file"]) await store.put(key, "x");
      }
      writeFiles(folder, { "elsewhere/kept": bytes("kept"), "out/kept": bytes("kept") });
      Deno.symlinkSync(`${folder}/elsewhere`, `${folder}/out/link`);
      Deno.symlinkSync(`${folder}/elsewhere/kept`, `${folder}/out/file`);
      const args = ["export", `${folder}/store`, `${folder}/out`, "--overwrite"];
      const { exitCode } = await run(args);
      assert.equal(exitCode, ExitCode.incomplete);
      assert.deepEqual(readFiles(`${folder}/elsewhere`), { kept: bytes("kept") });
      assert(Deno.lstatSync(`${folder}/out/file`).isFile, "the link was replaced by the file");
    });
  },
});

Deno.test("export() leaves files that exist alone unless told to --overwrite", async () => {
  await withFolder(async (folder) => {
    const args = ["export", `${folder}/store`, `${folder}/out`];
    await run(["put", `${folder}/store`, "file"], { stdin: bytes("new") });
    writeFiles(`${folder}/out`, { file: bytes("old and longer") });
    const kept = await run(args);
    assert.equal(kept.exitCode, ExitCode.incomplete);
    assert.deepEqual(readFiles(`${folder}/out`), { file: bytes("old and longer") });
    assert.equal((await run([...args, "--overwrite"])).exitCode, ExitCode.ok);
    assert.deepEqual(readFiles(`${folder}/out`), { file: bytes("new") });
  });
});

Deno.test("export() counts keys that are a file and a folder at once", async () => {
  await withFolder(async (folder) => {
    {
      await using store = await open(`${folder}/store`);
      for (const key of ["a", "a/b"]) await store.put(key, key);
    }
    const args = ["export", `${folder}/store`, `${folder}/out`, "--json", "--concurrency", "1"];
    const { exitCode, text } = await run(args);
    assert.equal(exitCode, ExitCode.incomplete);
    assert.deepEqual(JSON.parse(text).leftOut, 1);
  });
});
