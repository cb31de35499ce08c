import { open, type StoreStats } from "../../mod.ts";
import { type Command, parseCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { alignRows, bytesText, countText, durationText } from "../format.ts";
import { printLine } from "../io.ts";

/** `flagstone stats`. */
export const stats: Command = {
  name: "stats",
  synopsis: "STORE",
  summary: "show how large a store is, and what opening it found",
  details: `
Options:
  --json  Print the figures of Store.stats().
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE"], {});
    await using store = await open(argument(0), { create: false, compaction: "manual" });
    const figures = store.stats();
    await printLine(io, values.json ? JSON.stringify(figures) : table(figures));
    return ExitCode.ok;
  },
};

function table(stats: StoreStats): string {
  const { keys, segments, segmentBytes, liveBytes, deadBytes, indexMemoryBytes, recovery } = stats;
  const { durationMs, logs, records, tornBytes, cut } = recovery;
  const where = cut === undefined ? "" : ` at ${cut.path}:${cut.offset}`;
  return alignRows([
    ["keys", countText(keys)],
    ["segments", `${countText(segments)}, ${bytesText(segmentBytes)}`],
    ["alive in them", bytesText(liveBytes)],
    ["dead in them", bytesText(deadBytes)],
    ["index in memory", bytesText(indexMemoryBytes)],
    ["opened in", durationText(durationMs)],
    ["replayed", `${countText(records)} records of ${countText(logs)} logs`],
    ["torn writes cut", `${bytesText(tornBytes)}${where}`],
  ]);
}
