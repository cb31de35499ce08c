import { open } from "../../mod.ts";
import { type Command, parseCommand, parseDurability } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { type Io, printLine } from "../io.ts";
import { keyJson, parseKey } from "../keys.ts";
import { readAll } from "../read_all.ts";

/** `flagstone put`. */
export const put: Command = {
  name: "put",
  synopsis: "STORE KEY [FILE|-]",
  summary: "store the bytes of a file, or of standard input, under a key",
  details: `
Without FILE, or with "-", the value is read from standard input. STORE is created if it is missing.
Prints nothing; it is on the disk when the command ends.

Options:
  --hex              KEY is in hexadecimal: the bytes of the key.
  --durability WHEN  synced (default), written, or memory: what is waited for before closing.
  --json             Print {"key", "version", "size"}.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE", "KEY", "[FILE|-]"], {
      hex: { type: "boolean", default: false },
      durability: { type: "string", default: "synced" },
    });
    const key = parseKey(argument(1), values.hex);
    const durability = parseDurability(values.durability);
    const value = await valueOf(argument(2), io);
    await using store = await open(argument(0));
    const version = await store.put(key, value, { durability });
    if (values.json) {
      await printLine(io, JSON.stringify({ ...keyJson(key), version, size: value.length }));
    }
    return ExitCode.ok;
  },
};

async function valueOf(file: string, io: Io): Promise<Uint8Array> {
  return file === "" || file === "-" ? await readAll(io.stdin) : await Deno.readFile(file);
}
