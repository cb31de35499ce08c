import { open, type RecoveryReport, type SalvagedFile } from "../../mod.ts";
import { type Command, parseCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { bytesText, plural } from "../format.ts";
import { LineWriter } from "../io.ts";
import { keyJson, showKey } from "../keys.ts";

/** `flagstone salvage`. */
export const salvage: Command = {
  name: "salvage",
  synopsis: "STORE",
  summary: "make a damaged store one that opens; keep what can be read, tell what is lost",
  details: `
Reads every file whole. A damaged one is set aside under another name, "….aside", and never deleted;
what can be read of it goes to a new one. Of a key whose newest value is lost, an older one may be back.
Make a copy of the directory before, if you can. Exit code 4 if anything was damaged.

Options:
  --json  Print {"salvaged": [{"path", "message", "movedTo", "replacement", "keptRecords",
          "lostBytes", "lostKeys"}], "tornBytes"}; "lostKeys" has {"key"} or {"keyHex"}, and is missing where nobody can say.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE"], {});
    const report = await salvageStore(argument(0));
    const lines = new LineWriter(io);
    if (values.json) await lines.line(JSON.stringify(asJson(report)));
    else {
      for (const file of report.salvaged) {
        for (const line of linesOf(file)) await lines.line(line);
      }
      await lines.line(`${plural(report.salvaged.length, "damaged file")}`);
    }
    await lines.flush();
    return report.salvaged.length === 0 ? ExitCode.ok : ExitCode.problems;
  },
};

async function salvageStore(directory: string): Promise<RecoveryReport> {
  await using store = await open(directory, {
    create: false,
    compaction: "manual",
    onCorruption: "salvage",
  });
  return store.stats().recovery;
}

function asJson({ salvaged, tornBytes }: RecoveryReport): unknown {
  const files = salvaged.map((file) => ({ ...file, lostKeys: file.lostKeys?.map(keyJson) }));
  return { salvaged: files, tornBytes };
}

function linesOf(file: SalvagedFile): string[] {
  const { path, message, movedTo, replacement, keptRecords, lostBytes, lostKeys } = file;
  const lines = [`${path}: ${message}`];
  if (movedTo !== undefined) lines.push(`  set aside as ${movedTo}`);
  if (replacement !== undefined) {
    lines.push(`  ${plural(keptRecords, "record")} kept in ${replacement}`);
  }
  if (lostBytes > 0) lines.push(`  ${bytesText(lostBytes)} cannot be read`);
  if (lostKeys === undefined) lines.push("  which keys were lost is not known");
  else for (const key of lostKeys) lines.push(`  lost: ${showKey(key)}`);
  return lines;
}
