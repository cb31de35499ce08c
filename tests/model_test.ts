/**
 * Any steps, in any order, against a plain model: writes of every kind, expiry by a simulated clock,
 * listings, rotation, checkpoints, clears, reopening, and the loss of power. The same steps each time,
 * so that a failure is by the change that it came with; new ones: `deno task fuzz --seconds=60`.
 */
import fc from "fast-check";
import { memoryDisk, realDisk } from "./_model_disk.ts";
import { ModelRun } from "./_model_run.ts";
import { anyStep } from "./_model_steps.ts";
import { inTempDir } from "./_support.ts";

const stepsUpTo = (maxLength: number) => fc.array(anyStep, { maxLength, size: "max" });

Deno.test("a store does what its model does, in memory, also when the power is lost", async () => {
  await fc.assert(fc.asyncProperty(stepsUpTo(60), (steps) => ModelRun.run(memoryDisk(), steps)), {
    seed: 1,
    numRuns: 2000,
    interruptAfterTimeLimit: 12_000,
  });
});

Deno.test("a store does what its model does, on real files, also when the power is lost", async () => {
  await fc.assert(
    fc.asyncProperty(
      stepsUpTo(20),
      (steps) => inTempDir((dir) => ModelRun.run(realDisk(dir), steps)),
    ),
    { seed: 2, numRuns: 200, interruptAfterTimeLimit: 6000 },
  );
});
