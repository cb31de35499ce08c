import { ExitCode, type Io, main, OutputClosedError } from "../../cli/main.ts";

/** What a command did. */
export interface Ran {
  readonly exitCode: ExitCode;
  readonly stdout: Uint8Array;
  /** Standard output as text. */
  readonly text: string;
  readonly stderr: string;
}

/** Circumstances of a command. */
export interface Circumstances {
  readonly stdin?: Uint8Array;
  readonly showsProgress?: boolean;
  /** After so many writes nobody reads standard output any more. */
  readonly readerLeavesAfter?: number;
}

/** Runs a command in this process. */
export async function run(
  args: readonly string[],
  circumstances: Circumstances = {},
): Promise<Ran> {
  const { stdin = new Uint8Array(), showsProgress = false, readerLeavesAfter = Infinity } =
    circumstances;
  const out: Uint8Array[] = [];
  let stderr = "";
  const io: Io = {
    stdin: new Blob([stdin.slice()]).stream(),
    write(bytes) {
      if (out.length >= readerLeavesAfter) return Promise.reject(new OutputClosedError());
      out.push(bytes.slice());
      return Promise.resolve();
    },
    warn: (text) => void (stderr += text),
    showsProgress,
  };
  const exitCode = await main(args, io);
  const stdout = new Uint8Array(await new Blob(out.map((piece) => piece.slice())).arrayBuffer());
  return { exitCode, stdout, text: new TextDecoder().decode(stdout), stderr };
}

/** Runs `body` with a folder of its own. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes files, their folders made. */
export function writeFiles(folder: string, files: Readonly<Record<string, Uint8Array>>): void {
  for (const [relative, value] of Object.entries(files)) {
    const path = `${folder}/${relative}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, value);
  }
}

/** The files below a folder, by their path. */
export function readFiles(folder: string, prefix = ""): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) Object.assign(files, readFiles(`${folder}/${name}`, `${prefix}${name}/`));
    else files[`${prefix}${name}`] = Deno.readFileSync(`${folder}/${name}`);
  }
  return files;
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes that no compression and no accident makes equal. */
export function noise(size: number): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(value.subarray(at, at + 65_536));
  }
  return value;
}
