import { open } from "../../mod.ts";
import { type Command, parseCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { printLine } from "../io.ts";
import { keyJson, parseKey, showKey } from "../keys.ts";

/** `flagstone get`. */
export const get: Command = {
  name: "get",
  synopsis: "STORE KEY",
  summary: "write the value of a key to standard output",
  details: `
The bytes are written as they are, without a newline at the end; a large value is not held in memory,
but for --json. Exit code 3 if there is no such key.

Options:
  --hex   KEY is in hexadecimal: the bytes of the key.
  --json  Print {"key", "size", "base64"}, or {"key", "found": false}.
`,

  async run(args, io) {
    const { values, argument } = parseCommand(args, ["STORE", "KEY"], {
      hex: { type: "boolean", default: false },
    });
    const key = parseKey(argument(1), values.hex);
    await using store = await open(argument(0), { create: false, compaction: "manual" });
    const stream = store.stream(key);
    if (stream === undefined) {
      if (values.json) await printLine(io, JSON.stringify({ ...keyJson(key), found: false }));
      io.warn(`There is no key ${showKey(key)} in ${store.directory}.\n`);
      return ExitCode.notFound;
    }
    if (values.json) {
      const value = await new Response(stream).bytes();
      const base64 = value.toBase64();
      await printLine(io, JSON.stringify({ ...keyJson(key), size: value.length, base64 }));
    } else {
      for await (const bytes of stream) await io.write(bytes);
    }
    return ExitCode.ok;
  },
};
