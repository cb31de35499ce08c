import assert from "node:assert/strict";

const DEMO = new URL("../../cli/demo/main.ts", import.meta.url).href;

/** Runs the demo in a process of its own. */
async function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-run",
      "--allow-env",
      DEMO,
      ...args,
    ],
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("demo loses nothing through three kills, and tells so", async () => {
  const folder = await Deno.makeTempDir();
  try {
    Deno.mkdirSync(`${folder}/sub`);
    for (let i = 0; i < 100; i++) {
      Deno.writeFileSync(`${folder}/sub/${i}`, new Uint8Array(i * 500).fill(i));
    }
    const options = ["--rounds", "3", "--seed", "5", "--max-delay", "150"];
    const { code, stdout, stderr } = await demo(folder, ...options);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^importing 100 files, /m);
    assert.match(stdout, /seed 5$/m);
    assert.match(stdout, /^files +100 of 100$/m);
    assert.match(stdout, /^kills +3: /m);
    assert.match(stdout, /^verify +0 problems in /m);
    assert.match(stdout, /^losses +0$/m);
    const store = /^into ([^,]+), /m.exec(stdout)?.[1] ?? "";
    assert.throws(() => Deno.statSync(store), Deno.errors.NotFound, "the store was removed");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("demo answers wrong usage with exit code 2", async () => {
  const wrong = await demo("--rounds", "some");
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--rounds must be a whole number/);
  const help = await demo("--help");
  assert.equal(help.code, 0);
  assert.match(help.stdout, /--max-delay N/);
});
