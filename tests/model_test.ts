/**
 * Any steps, in any order, against a plain model: writes of every kind, expiry by a simulated clock,
 * listings, rotation, checkpoints, clears, reopening, and the loss of power; and all of that in a store
 * with a bound, from which keys are evicted. The same steps each time, so that a failure is by the change that it came with; new ones: `deno task fuzz --seconds=60`.
 */
import fc from "fast-check";
import { memoryDisk, realDisk } from "./_model_disk.ts";
import { LEAST_BOUND, ModelRun } from "./_model_run.ts";
import { anyCacheStep, anyStep } from "./_model_steps.ts";
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

const cacheStepsUpTo = (maxLength: number) => fc.array(anyCacheStep, { maxLength, size: "max" });

Deno.test("a store with maxBytes has the newest value or none, in memory, also when the power is lost", async () => {
  await fc.assert(
    fc.asyncProperty(
      cacheStepsUpTo(60),
      (steps) => ModelRun.run(memoryDisk(), steps, { maxBytes: LEAST_BOUND }),
    ),
    { seed: 3, numRuns: 400, interruptAfterTimeLimit: 8000 },
  );
});

Deno.test("a store with maxBytes has the newest value or none, on real files, also when the power is lost", async () => {
  await fc.assert(
    fc.asyncProperty(
      cacheStepsUpTo(30),
      (steps) => inTempDir((dir) => ModelRun.run(realDisk(dir), steps, { maxBytes: LEAST_BOUND })),
    ),
    { seed: 4, numRuns: 60, interruptAfterTimeLimit: 6000 },
  );
});
