import assert from "node:assert/strict";
import { open } from "../../mod.ts";
import { ExitCode } from "../../cli/main.ts";
import { noise, run, withFolder } from "./_support.ts";

/** A store with sealed segments. Returns the path of the first. */
async function fill(directory: string): Promise<string> {
  {
    await using store = await open(directory, { slabBytes: 64 * 1024 });
    for (let i = 0; i < 60; i++) {
      await store.put(`key ${i}`, noise(5000), { durability: "written" });
    }
  }
  const names = Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
  const first = names.find((name) => name.endsWith(".seg"));
  assert(first !== undefined);
  return `${directory}/${first}`;
}

function flipByte(path: string, offset: number): void {
  const content = Deno.readFileSync(path);
  const at = offset < 0 ? content.length + offset : offset;
  content[at] = (content[at] ?? 0) ^ 0xff;
  Deno.writeFileSync(path, content);
}

Deno.test("verify() of a sound store is exit code 0", async () => {
  await withFolder(async (folder) => {
    await fill(`${folder}/store`);
    const plain = await run(["verify", `${folder}/store`]);
    assert.deepEqual([plain.exitCode, plain.stderr], [ExitCode.ok, ""]);
    assert.match(plain.text, /^0 problems; checked \d+ files, /);
    const { files, records, problems } = JSON.parse(
      (await run(["verify", `${folder}/store`, "--json"])).text,
    );
    assert(files > 1 && records >= 60);
    assert.deepEqual(problems, []);
  });
});

Deno.test("verify() of a damaged record is exit code 4 and names file and offset", async () => {
  await withFolder(async (folder) => {
    const segment = await fill(`${folder}/store`);
    flipByte(segment, 20_000);
    const plain = await run(["verify", `${folder}/store`]);
    assert.equal(plain.exitCode, ExitCode.problems);
    assert(plain.text.startsWith(`${segment}:`), plain.text);
    assert.match(plain.text, /:\d+: a record does not match its checksum\n1 problem; /);
    const json = await run(["verify", `${folder}/store`, "--json"]);
    assert.equal(json.exitCode, ExitCode.problems);
    const [problem] = JSON.parse(json.text).problems;
    assert.equal(problem.path, segment);
    assert(problem.offset > 0 && problem.offset <= 20_000);
  });
});

Deno.test("verify() of damage that keeps the store from opening is exit code 4 too", async () => {
  await withFolder(async (folder) => {
    const segment = await fill(`${folder}/store`);
    flipByte(segment, -10);
    const { exitCode, text } = await run(["verify", `${folder}/store`, "--json"]);
    assert.equal(exitCode, ExitCode.problems);
    const [problem] = JSON.parse(text).problems;
    assert.equal(problem.path, segment);
    // Other commands fail.
    const ls = await run(["ls", `${folder}/store`]);
    assert.equal(ls.exitCode, ExitCode.failed);
    assert.match(ls.stderr, /^CORRUPT: /);
  });
});
