import assert from "node:assert/strict";
import { ExitCode } from "../../cli/main.ts";
import { bytes, run, withFolder } from "./_support.ts";

const COMMANDS = ["import", "export", "put", "get", "ls", "stats", "verify", "salvage", "compact"];

Deno.test("main() shows all commands and exit codes with --help", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { exitCode, text, stderr } = await run(args);
    assert.equal(exitCode, ExitCode.ok);
    assert.equal(stderr, "");
    for (const name of COMMANDS) assert.match(text, new RegExp(`^  ${name} `, "m"));
    assert.match(text, /^Exit codes:$/m);
  }
});

Deno.test("main() shows a command's help with --help, wherever it stands", async () => {
  for (const name of COMMANDS) {
    for (const args of [[name, "--help"], [name, "store", "-h"], ["help", name]]) {
      const { exitCode, text } = await run(args);
      assert.equal(exitCode, ExitCode.ok);
      assert.match(text, new RegExp(`^Usage: flagstone ${name} STORE`, "m"));
      assert.match(text, /^ {2}--json /m);
    }
  }
});

Deno.test("main() answers wrong usage with exit code 2 and touches nothing", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    const wrong = [
      [],
      ["frobnicate", store],
      ["--store", store],
      ...COMMANDS.map((name) => [name]),
      ...COMMANDS.map((name) => [name, store, "a", "b", "c"]),
      ...COMMANDS.map((name) => [name, store, "a", "--frobnicate"]),
      ["get", store],
      ["put", store],
      ["import", store],
      ["export", store],
      ["get", store, "--hex", "xyz"],
      ["put", store, "--hex", "abc"],
      ["put", store, "k", "--durability", "soon"],
      ["put", store, ""],
      ["import", store, folder, "--concurrency", "0"],
      ["import", store, folder, "--durability", "never"],
      ["export", store, folder, "--concurrency", "many"],
      ["ls", store, "--limit", "-1"],
      ["ls", store, "--limit", "1.5"],
      ["ls", store, "--start"],
      ["ls", ""],
    ];
    for (const args of wrong) {
      const { exitCode, text, stderr } = await run(args);
      const what = JSON.stringify(args);
      assert(!exists(store), what);
      assert.equal(exitCode, ExitCode.usage, `${what}: ${stderr}`);
      assert.equal(text, "", what);
      assert.notEqual(stderr, "", what);
    }
  });
});

Deno.test("main() answers a store error with exit code 1 and code: message", async () => {
  await withFolder(async (folder) => {
    for (const name of ["get", "ls", "stats", "verify", "export"]) {
      const rest = name === "get" ? ["key"] : name === "export" ? [`${folder}/out`] : [];
      const { exitCode, text, stderr } = await run([name, `${folder}/missing`, ...rest]);
      assert.equal(exitCode, ExitCode.failed, name);
      assert.equal(text, "", name);
      assert.match(stderr, /^NOT_FOUND: /, name);
    }
    Deno.mkdirSync(`${folder}/other`);
    Deno.writeTextFileSync(`${folder}/other/file`, "no store");
    const { exitCode, stderr } = await run(["put", `${folder}/other`, "key"]);
    assert.equal(exitCode, ExitCode.failed);
    assert.match(stderr, /^NOT_A_STORE: /);
  });
});

Deno.test("main() ends quietly with exit code 0 when nobody reads standard output any more", async () => {
  await withFolder(async (folder) => {
    const store = `${folder}/store`;
    await run(["put", store, "key"], { stdin: bytes("value") });
    for (const args of [["ls", store], ["get", store, "key"], ["stats", store], ["--help"]]) {
      const { exitCode, stderr } = await run(args, { readerLeavesAfter: 0 });
      assert.equal(exitCode, ExitCode.ok);
      assert.equal(stderr, "");
    }
    // The store was closed all the same: it can be opened.
    assert.equal((await run(["get", store, "key"])).text, "value");
  });
});

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
