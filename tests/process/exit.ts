// What happens to whole programs. Needs --allow-run.
import assert from "node:assert/strict";
import { open } from "../../mod.ts";

const MOD = new URL("../../mod.ts", import.meta.url).href;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a program with `permissions`; it sees `dir` as `Deno.args[0]` and gets `open` and `FlagstoneError`. */
async function run(dir: string, program: string, permissions: readonly string[]): Promise<Outcome> {
  const script = `${dir}/program.ts`;
  const source = `import { FlagstoneError, open } from "${MOD}";\nconst dir = Deno.args[0];\n`;
  await Deno.writeTextFile(script, source + program);
  const startedMs = performance.now();
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", ...permissions, script, `${dir}/store`],
  }).output();
  return {
    code: output.code,
    stdout: new TextDecoder().decode(output.stdout),
    stderr: new TextDecoder().decode(output.stderr),
    ms: performance.now() - startedMs,
  };
}

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const ALL = ["--allow-read", "--allow-write"];

for (const durability of ["synced", "written", "memory"]) {
  Deno.test(`a program that forgets close() exits by itself and loses nothing, durability ${durability}`, () =>
    inTempDir(async (dir) => {
      const { code, stderr, ms } = await run(
        dir,
        `const store = await open(dir, { durability: "${durability}" });
         for (let i = 0; i < 1000; i++) await store.put("k" + i, "v" + i);
         console.log(performance.now());`,
        ALL,
      );
      assert.equal(code, 0, stderr);
      // Generous: the promise is 3 s after the last write, the rest is starting the program.
      assert(ms < 15_000, `${ms} ms`);
      await using store = await open(`${dir}/store`);
      for (let i = 0; i < 1000; i++) assert.equal(await store.getText(`k${i}`), `v${i}`);
      assert.equal(store.stats().recovery.tornBytes, 0);
    }));
}

Deno.test("a program that leaves by Deno.exit() loses nothing acknowledged", () =>
  inTempDir(async (dir) => {
    const { code } = await run(
      dir,
      `const store = await open(dir);
       await Promise.all(Array.from({ length: 500 }, (_, i) => store.put("k" + i, "v" + i)));
       Deno.exit(7);`,
      ALL,
    );
    assert.equal(code, 7);
    await using store = await open(`${dir}/store`);
    assert.equal(store.stats().keys, 500);
  }));

Deno.test("a second process is refused with LOCKED, and gets in when the first is gone", () =>
  inTempDir(async (dir) => {
    const program = `try { await using store = await open(dir); console.log("in"); }
       catch (error) { console.log(error instanceof FlagstoneError ? error.code : error); }`;
    {
      await using store = await open(`${dir}/store`);
      await store.put("a", "1");
      assert.equal((await run(dir, program, ALL)).stdout, "LOCKED\n");
    }
    assert.equal((await run(dir, program, ALL)).stdout, "in\n");
  }));

const TELL_CODE = `try {
    const store = await open(dir, { create: true });
    await store.put("a", "1");
    console.log("done");
    await store.close();
  } catch (error) { console.log(error instanceof FlagstoneError ? error.code : String(error)); }`;

Deno.test("a missing permission ends in PERMISSION, none hangs", () =>
  inTempDir(async (dir) => {
    assert.equal((await run(dir, TELL_CODE, ["--allow-read"])).stdout, "PERMISSION\n");
    assert.equal((await run(dir, TELL_CODE, ["--allow-write"])).stdout, "PERMISSION\n");
    assert.equal((await run(dir, TELL_CODE, [])).stdout, "PERMISSION\n");
  }));

Deno.test("a worker whose module may not be read ends in WORKER_DIED, and does not hang", () =>
  inTempDir(async (dir) => {
    const only = [`--allow-read=${dir}`, `--allow-write=${dir}`];
    const { stdout, stderr } = await run(dir, TELL_CODE, only);
    assert.equal(stdout, "WORKER_DIED\n", stderr);
  }));

Deno.test("a directory that the user may not write to ends in PERMISSION", () =>
  inTempDir(async (dir) => {
    const only = ["--allow-read", `--allow-write=${dir}/elsewhere`];
    assert.equal((await run(dir, TELL_CODE, only)).stdout, "PERMISSION\n");
  }));

for (
  const [what, write, found] of [
    [
      "of the log",
      "for (let i = 0; i < 50; i++) await store.put(`b${i}`, new Uint8Array(1024 * 1024));",
      "Cannot write to the store",
    ],
    [
      "of a large value",
      'await store.put("large", new Uint8Array(40 * 1024 * 1024));',
      "Cannot write a large value",
    ],
  ] as const
) {
  Deno.test(`a failure ${what} that nobody handles ends the program with a message, not a hang`, () =>
    inTempDir(async (dir) => {
      const { code, stderr } = await run(
        dir,
        `const store = await open(dir);
         await store.put("a", "1");
         await Deno.remove(dir, { recursive: true });
         ${write}`,
        ALL,
      );
      assert.equal(code, 1);
      assert(stderr.includes(found), stderr);
    }));
}
