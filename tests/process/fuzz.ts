/**
 * The model test for as long as one likes: `deno task fuzz --seconds=60 --seed=7 --real`. Every third
 * run opens its store with a bound, so that keys are evicted; with `--bounded`, all do.
 */
import fc from "fast-check";
import { parseArgs } from "node:util";
import { memoryDisk, realDisk } from "../_model_disk.ts";
import { LEAST_BOUND, ModelRun } from "../_model_run.ts";
import { anyCacheStep, anyStep } from "../_model_steps.ts";
import { inTempDir } from "../_support.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string", default: "60" },
    steps: { type: "string", default: "200" },
    seed: { type: "string" },
    real: { type: "boolean", default: false },
    bounded: { type: "boolean", default: false },
  },
});
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed}, ${flags.real ? "real files" : "memory"}, ${flags.seconds} s`);
let runs = 0;
const maxLength = Number(flags.steps);
const plain = fc.record({
  options: fc.constant({}),
  steps: fc.array(anyStep, { maxLength, size: "max" }),
});
const bounded = fc.record({
  options: fc.constant({ maxBytes: LEAST_BOUND }),
  steps: fc.array(anyCacheStep, { maxLength, size: "max" }),
});
const property = fc.asyncProperty(
  flags.bounded ? bounded : fc.oneof({ weight: 2, arbitrary: plain }, bounded),
  async ({ steps, options }) => {
    runs++;
    if (!flags.real) return await ModelRun.run(memoryDisk(), steps, options);
    await inTempDir((dir) => ModelRun.run(realDisk(dir), steps, options));
  },
);
const result = await fc.check(property, {
  seed,
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: Number(flags.seconds) * 1000,
  // A run takes a second at most; what never ends must be told, too.
  timeout: 60_000,
});
console.log(`${runs} runs`);
if (result.failed) {
  console.error(await fc.asyncDefaultReportMessage(result));
  console.error(result.errorInstance);
  Deno.exit(1);
}
