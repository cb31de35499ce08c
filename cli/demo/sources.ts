import { walkFiles } from "../walk.ts";
import type { SourceFile } from "./protocol.ts";

/** Files looked at, at most: a walk through a huge cache would take longer than the demo. */
const MAX_WALKED_FILES = 100_000;

/** Most bytes of a file: the demo reads files at once. */
const MAX_FILE_BYTES = 1024 * 1024 * 1024;

/** A folder to import. */
export interface SourceFolder {
  /** Put in front of its keys. */
  readonly name: string;
  /** Where it is. */
  readonly path: string;
}

/** Files to import, and what was left out. */
export interface Sources {
  /** The folders that were walked. */
  readonly folders: readonly SourceFolder[];
  /** What to import. */
  readonly files: readonly SourceFile[];
  /** Bytes of those. */
  readonly bytes: number;
  /** Files that did not fit under the limit, and their bytes. */
  readonly leftOut: { readonly files: number; readonly bytes: number };
  /** Symbolic links, devices, and what cannot be read. */
  readonly skipped: number;
  /** True if there is more than was looked at. */
  readonly hasMore: boolean;
}

/**
 * The folders that a machine has which runs this: the checkout, npm's cache with the Deno that npx
 * downloaded, and Deno's own cache.
 */
export function defaultFolders(): SourceFolder[] {
  const candidates: SourceFolder[] = [
    ...checkout(),
    ...npmCaches().map((path) => ({ name: "npm", path })),
    ...denoDirs().map((path) => ({ name: "deno", path })),
  ];
  const folders: SourceFolder[] = [];
  for (const { name, path } of candidates) {
    const real = realFolder(path);
    const known = real === undefined ||
      folders.some((folder) => folder.name === name || contains(folder.path, real));
    if (!known) folders.push({ name, path: real });
  }
  return folders;
}

/** Walks folders and takes what fits in `maxBytes`. Throws if a folder cannot be read. */
export function collectFiles(folders: readonly SourceFolder[], maxBytes: number): Sources {
  const files: SourceFile[] = [];
  const leftOut = { files: 0, bytes: 0 };
  let bytes = 0;
  let skipped = 0;
  let walked = 0;
  const news = { irregular: () => void skipped++, unreadable: () => void skipped++ };
  for (const { name, path } of folders) {
    for (const file of walkFiles(path, news)) {
      if (walked++ >= MAX_WALKED_FILES) break;
      if (file.size > MAX_FILE_BYTES || bytes + file.size > maxBytes) {
        leftOut.files++;
        leftOut.bytes += file.size;
        continue;
      }
      bytes += file.size;
      files.push({ key: `${name}/${file.relative}`, path: file.path, size: file.size });
    }
  }
  return { folders, files, bytes, leftOut, skipped, hasMore: walked > MAX_WALKED_FILES };
}

function checkout(): SourceFolder[] {
  const root = new URL("../../", import.meta.url);
  return root.protocol === "file:" ? [{ name: "checkout", path: pathOf(root) }] : [];
}

function pathOf(url: URL): string {
  const path = decodeURIComponent(url.pathname).replace(/\/$/, "");
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

function npmCaches(): string[] {
  const exec = Deno.execPath().replaceAll("\\", "/");
  const npx = exec.indexOf("/_npx/");
  return existing([
    Deno.env.get("npm_config_cache"),
    npx === -1 ? undefined : exec.slice(0, npx),
    below(Deno.env.get("HOME"), ".npm"),
    below(Deno.env.get("LOCALAPPDATA"), "npm-cache"),
  ]);
}

function denoDirs(): string[] {
  return existing([
    Deno.env.get("DENO_DIR"),
    below(Deno.env.get("XDG_CACHE_HOME"), "deno"),
    below(Deno.env.get("HOME"), ".cache/deno"),
    below(Deno.env.get("HOME"), "Library/Caches/deno"),
    below(Deno.env.get("LOCALAPPDATA"), "deno"),
  ]);
}

function below(folder: string | undefined, name: string): string | undefined {
  return folder === undefined || folder === "" ? undefined : `${folder}/${name}`;
}

function existing(paths: readonly (string | undefined)[]): string[] {
  return paths.filter((path) => path !== undefined && realFolder(path) !== undefined) as string[];
}

function realFolder(path: string): string | undefined {
  try {
    const real = Deno.realPathSync(path);
    return Deno.statSync(real).isDirectory ? real : undefined;
  } catch {
    return undefined;
  }
}

function contains(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`) || path.startsWith(`${folder}\\`);
}
