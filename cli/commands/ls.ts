import { type ListEntry, type ListOptions, open } from "../../mod.ts";
import { type Command, parseCommand, parseCount } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { LineWriter } from "../io.ts";
import { keyJson, parseKey, showKey } from "../keys.ts";

/** `flagstone ls`. */
export const ls: Command = {
  name: "ls",
  synopsis: "STORE [PREFIX] [--start KEY] [--end KEY] [--limit N] [--reverse] [-l]",
  summary: "list keys in the order of their bytes",
  details: `
One key a line. A key with control characters is shown as a JSON string, one that is no UTF-8 as
0x and its bytes in hexadecimal; --json is exact.

Options:
  --start KEY    Only keys from KEY on, KEY included.
  --end KEY      Only keys before KEY.
  --limit N      At most N keys.
  --reverse      Descending order.
  -l, --long     Size in bytes and version before each key.
  --hex          PREFIX, --start and --end are in hexadecimal.
  --json         One object a line: {"key", "version", "size"}, with "keyHex" in place of "key" for
                 a key that is no UTF-8.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE", "[PREFIX]"], {
      start: { type: "string" },
      end: { type: "string" },
      limit: { type: "string" },
      reverse: { type: "boolean", default: false },
      long: { type: "boolean", short: "l", default: false },
      hex: { type: "boolean", default: false },
    });
    const { start, end, limit, hex } = values;
    const prefix = argument(1);
    const options: ListOptions = {
      reverse: values.reverse,
      ...(prefix === "" ? {} : { prefix: parseKey(prefix, hex) }),
      ...(start === undefined ? {} : { start: parseKey(start, hex) }),
      ...(end === undefined ? {} : { end: parseKey(end, hex) }),
      ...(limit === undefined ? {} : { limit: parseCount(limit, "--limit", 0) }),
    };
    const show = values.json ? jsonLine : values.long ? longLine : shortLine;
    await using store = await open(argument(0), { create: false, compaction: "manual" });
    const lines = new LineWriter(io);
    for await (const entry of store.list(options)) await lines.line(show(entry));
    await lines.flush();
    return ExitCode.ok;
  },
};

function jsonLine({ key, version, size }: ListEntry): string {
  return JSON.stringify({ ...keyJson(key), version, size });
}

function longLine({ key, version, size }: ListEntry): string {
  return `${String(size).padStart(12)} ${String(version).padStart(14)}  ${showKey(key)}`;
}

function shortLine({ key }: ListEntry): string {
  return showKey(key);
}
