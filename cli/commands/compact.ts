import { type CompactReport, open } from "../../mod.ts";
import { type Command, parseCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { bytesText, countText, plural } from "../format.ts";
import { printLine } from "../io.ts";

/** `flagstone compact`. */
export const compact: Command = {
  name: "compact",
  synopsis: "STORE",
  summary: "give the space of overwritten and deleted values back",
  details: `
Copies what is alive out of the segments of which a twentieth or more is dead, then removes them. May
be interrupted at any time: nothing is lost, and the next run goes on.

Options:
  --json  Print what was done, as Store.compact() tells it.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE"], {});
    await using store = await open(argument(0), { create: false, compaction: "manual" });
    const onProgress = ({ removedFiles, freedBytes }: CompactReport) => {
      if (!io.showsProgress) return;
      io.warn(
        `\r\x1b[K${plural(removedFiles, "segment")} replaced, ${bytesText(freedBytes)} freed`,
      );
    };
    const report = await store.compact({ onProgress });
    if (io.showsProgress) io.warn("\r\x1b[K");
    const { liveBytes, segmentBytes } = store.stats();
    await printLine(
      io,
      values.json ? JSON.stringify(report) : summary(report, segmentBytes, liveBytes),
    );
    return ExitCode.ok;
  },
};

function summary(report: CompactReport, segmentBytes: number, liveBytes: number): string {
  const { removedFiles, madeFiles, freedBytes, copiedRecords } = report;
  if (removedFiles === 0) return "nothing to compact";
  return `freed ${bytesText(freedBytes)}: ${plural(removedFiles, "segment")} replaced by ` +
    `${countText(madeFiles)}, ${plural(copiedRecords, "record")} copied; ` +
    `${bytesText(segmentBytes)} left, ${bytesText(liveBytes)} of them alive`;
}
