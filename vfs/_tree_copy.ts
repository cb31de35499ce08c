import { copyAcross } from "./copy.ts";
import { joinPath } from "./paths.ts";
import type { File, Fs } from "./types.ts";

const CHUNK_BYTES = 1 << 20;

/** Copies the tree below `root` to the same path of another file system; hard links stay links. Syncs nothing. */
export function copyTree(from: Fs, to: Fs, root: string): void {
  copyOrThrow(from, to, root, false);
}

/** Makes the tree below `root` in `to` the one in `from`, and syncs it. */
export function replaceTree(from: Fs, to: Fs, root: string): void {
  if (root === "/") { for (const name of to.list(root)) to.removeAll(`/${name}`); }
  else to.removeAll(root);
  copyOrThrow(from, to, root, true);
}

/** A text that two trees share exactly if they have the same names, lengths and contents. */
export function treeKey(fs: Fs, dir: string): string {
  const parts: string[] = [];
  for (const name of fs.list(dir)) {
    const path = joinPath(dir, name);
    const info = fs.stat(path);
    if (info.isDirectory) {
      parts.push(`${JSON.stringify(name)}:{${treeKey(fs, path)}}`);
      continue;
    }
    using file = fs.open(path);
    parts.push(`${JSON.stringify(name)}:${info.links}:${info.size}:${contentKey(file)}`);
  }
  return parts.join(",");
}

function copyOrThrow(from: Fs, to: Fs, root: string, sync: boolean): void {
  // What is missing is told by what asks for it.
  if (!copyAcross(from, root, to, root, { sync })) from.stat(root);
}

/** A hash of the content: two lanes of 32 bits, each a multiply and xor for every byte. */
function contentKey(file: File): string {
  const { size } = file.stat();
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size));
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let at = 0; at < size; at += chunk.length) {
    const count = file.readAt(chunk, at);
    for (let i = 0; i < count; i++) {
      const byte = chunk[i] ?? 0;
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul(high ^ byte, 0x85ebca6b) + 1 | 0;
      high ^= high >>> 13;
    }
  }
  return `${(low >>> 0).toString(16)}-${(high >>> 0).toString(16)}`;
}
