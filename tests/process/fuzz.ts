/** The model test for as long as one likes: `deno task fuzz --seconds=60 --seed=7 --real`. */
import fc from "fast-check";
import { parseArgs } from "node:util";
import { memoryDisk, realDisk } from "../_model_disk.ts";
import { ModelRun } from "../_model_run.ts";
import { anyStep } from "../_model_steps.ts";
import { inTempDir } from "../_support.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string", default: "60" },
    steps: { type: "string", default: "200" },
    seed: { type: "string" },
    real: { type: "boolean", default: false },
  },
});
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed}, ${flags.real ? "real files" : "memory"}, ${flags.seconds} s`);
let runs = 0;
const property = fc.asyncProperty(
  fc.array(anyStep, { maxLength: Number(flags.steps), size: "max" }),
  async (steps) => {
    runs++;
    if (!flags.real) return await ModelRun.run(memoryDisk(), steps);
    await inTempDir((dir) => ModelRun.run(realDisk(dir), steps));
  },
);
const result = await fc.check(property, {
  seed,
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: Number(flags.seconds) * 1000,
});
console.log(`${runs} runs`);
if (result.failed && !result.interrupted) {
  console.error(await fc.asyncDefaultReportMessage(result));
  console.error(result.errorInstance);
  Deno.exit(1);
}
