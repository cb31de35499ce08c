import assert from "node:assert/strict";
import { open } from "../../mod.ts";
import { ExitCode } from "../../cli/main.ts";
import { noise, run, withFolder } from "./_support.ts";

Deno.test("compact() gives space back, stats() tells what is alive and what is dead", async () => {
  await withFolder(async (folder) => {
    const directory = `${folder}/store`;
    {
      await using store = await open(directory, { slabBytes: 64 * 1024, compaction: "manual" });
      for (let i = 0; i < 200; i++) {
        await store.put(`key ${i % 40}`, noise(5000), { durability: "written" });
      }
    }
    const figures = async () => JSON.parse((await run(["stats", directory, "--json"])).text);
    const before = await figures();
    assert(before.deadBytes > 3 * before.liveBytes);
    assert.match((await run(["stats", directory])).text, /^dead in them +\d+\.\d kB$/m);
    const { exitCode, text, stderr } = await run(["compact", directory]);
    assert.deepEqual([exitCode, stderr], [ExitCode.ok, ""]);
    assert.match(text, /^freed \d+\.\d kB: \d+ segments replaced by \d+, \d+ records copied; /);
    const after = await figures();
    assert(
      after.deadBytes < after.liveBytes / 10,
      `${after.deadBytes} dead, ${after.liveBytes} alive`,
    );
    const again = JSON.parse((await run(["compact", directory, "--json"])).text);
    assert.equal(again.freedBytes, 0);
    assert.equal((await run(["compact", `${folder}/missing`])).exitCode, ExitCode.failed);
  });
});
