import { FlagstoneError, open, type VerifyProblem, type VerifyReport } from "../../mod.ts";
import { type Command, parseCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { bytesText, plural } from "../format.ts";
import { type Io, LineWriter } from "../io.ts";

/** `flagstone verify`. */
export const verify: Command = {
  name: "verify",
  synopsis: "STORE",
  summary: "read every file of a store and check every checksum",
  details: `
Prints one problem a line, as path:offset: what was found. Exit code 4 if there is any, be it one
that keeps the store from being opened. Opening tidies up what a crash left; the check itself changes
nothing.

Options:
  --json  Print {"files", "bytes", "records", "indexEntries", "problems": [{"path", "offset", "message"}]}.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE"], {});
    const report = await verifyStore(argument(0));
    await print(report, values.json, io);
    return report.problems.length === 0 ? ExitCode.ok : ExitCode.problems;
  },
};

async function verifyStore(directory: string): Promise<VerifyReport> {
  try {
    await using store = await open(directory, { create: false, compaction: "manual" });
    return await store.verify();
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "CORRUPT") throw error;
    // Damage that open itself comes across is an answer to the question, not a failure to answer it.
    const { path = directory, offset = 0, message } = error;
    return {
      files: 0,
      bytes: 0,
      records: 0,
      indexEntries: 0,
      problems: [{ path, offset, message }],
    };
  }
}

async function print(report: VerifyReport, json: boolean, io: Io): Promise<void> {
  const lines = new LineWriter(io);
  if (json) await lines.line(JSON.stringify(report));
  else {
    for (const problem of report.problems) await lines.line(problemLine(problem));
    const { files, records, bytes, problems } = report;
    await lines.line(
      `${plural(problems.length, "problem")}; checked ${plural(files, "file")}, ` +
        `${plural(records, "record")}, ${bytesText(bytes)}`,
    );
  }
  await lines.flush();
}

function problemLine({ path, offset, message }: VerifyProblem): string {
  return `${path}:${offset}: ${message}`;
}
