import { open } from "../../mod.ts";
import { type Command, parseCommand, parseDurability } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { type Io, printLine } from "../io.ts";
import { keyJson, parseKey } from "../keys.ts";

/** `flagstone put`. */
export const put: Command = {
  name: "put",
  synopsis: "STORE KEY [FILE|-]",
  summary: "store the bytes of a file, or of standard input, under a key",
  details: `
Without FILE, or with "-", the value is read from standard input. It may be of any length: it is not
held in memory. STORE is created if it is missing. Prints nothing; it is on the disk when the command
ends.

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
    let size = 0;
    const counted = new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        size += bytes.length;
        controller.enqueue(bytes);
      },
    });
    // A file that cannot be read must not leave an empty store behind.
    const source = await sourceOf(argument(2), io);
    await using store = await open(argument(0));
    const version = await store.put(key, source.pipeThrough(counted), { durability });
    if (values.json) {
      await printLine(io, JSON.stringify({ ...keyJson(key), version, size }));
    }
    return ExitCode.ok;
  },
};

async function sourceOf(path: string, io: Io): Promise<ReadableStream<Uint8Array>> {
  if (path === "" || path === "-") return io.stdin;
  const file = await Deno.open(path);
  if ((await file.stat()).isDirectory) {
    file.close();
    throw new Deno.errors.IsADirectory(`${path} is a directory`);
  }
  return file.readable;
}
