import assert from "node:assert/strict";
import { open } from "../../mod.ts";
import { ExitCode } from "../../cli/main.ts";
import { noise, run, withFolder } from "./_support.ts";

Deno.test("salvage() makes a damaged store one that opens, and tells what is lost", async () => {
  await withFolder(async (folder) => {
    const directory = `${folder}/store`;
    {
      await using store = await open(directory, { slabBytes: 64 * 1024, compaction: "manual" });
      for (let i = 0; i < 40; i++) {
        await store.put(`key ${i}`, noise(5000), { durability: "written" });
      }
    }
    const sound = await run(["salvage", directory]);
    assert.deepEqual([sound.exitCode, sound.text], [ExitCode.ok, "0 damaged files\n"]);
    const names = Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
    const path = `${directory}/${names.find((name) => name.endsWith(".seg"))}`;
    const content = Deno.readFileSync(path);
    content[20_000]! ^= 0xff;
    // The trailer too: so it cannot even be opened.
    content[content.length - 3]! ^= 0xff;
    Deno.writeFileSync(path, content);
    assert.equal((await run(["ls", directory])).exitCode, ExitCode.failed);
    const { exitCode, text, stderr } = await run(["salvage", directory]);
    assert.deepEqual([exitCode, stderr], [ExitCode.problems, ""]);
    assert(text.startsWith(`${path}: `), text);
    assert(
      text.includes(`set aside as ${path}.aside\n`) && text.includes("records kept in "),
      text,
    );
    assert(text.endsWith("which keys were lost is not known\n1 damaged file\n"), text);
    assert.deepEqual(Deno.readFileSync(`${path}.aside`), content);
    assert.equal((await run(["verify", directory])).exitCode, ExitCode.ok);
    const listed = (await run(["ls", directory])).text.trim().split("\n");
    assert.equal(listed.length, 39);
    assert.equal((await run(["salvage", `${folder}/missing`])).exitCode, ExitCode.failed);
  });
});

Deno.test("salvage() names lost keys where it can", async () => {
  await withFolder(async (folder) => {
    const directory = `${folder}/store`;
    {
      await using store = await open(directory, { slabBytes: 64 * 1024 });
      await store.put("large", noise(200_000));
      await store.put("small", "1");
    }
    const names = Array.from(Deno.readDirSync(directory), ({ name }) => name);
    const path = `${directory}/${names.find((name) => name.endsWith(".blob"))}`;
    Deno.truncateSync(path, 1000);
    const { exitCode, text } = await run(["salvage", directory, "--json"]);
    assert.equal(exitCode, ExitCode.problems);
    const { salvaged } = JSON.parse(text);
    assert.equal(salvaged.length, 1);
    assert.deepEqual(salvaged[0].lostKeys, [{ key: "large" }]);
    assert.equal((await run(["get", directory, "small"])).text.trim(), "1");
  });
});
