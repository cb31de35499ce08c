import { MemFs } from "./mem_fs.ts";
import type { File } from "./types.ts";

/** A file for reading that holds a copy of `content` and is in no file system: for code that takes a {@linkcode File}. */
export function memFile(content: Uint8Array): File {
  const fs = new MemFs({ strict: false });
  using file = fs.create("/memory");
  file.write(content);
  return fs.open("/memory");
}
