import { closing } from "./_closing.ts";
import type { Fs } from "./types.ts";

/**
 * The one spelling of a path: "/" between names, no "." or doubled "/", ".." resolved by the
 * letters alone (symbolic links are not asked), no "/" at the end. The empty path stays empty;
 * a relative path that leads nowhere is ".".
 */
export function normalizePath(path: string): string {
  if (path === "") return "";
  const absolute = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.length > 0 && names[names.length - 1] !== "..") names.pop();
    else if (!absolute) names.push("..");
  }
  const joined = names.join("/");
  if (absolute) return `/${joined}`;
  return joined === "" ? "." : joined;
}

/** Joins with "/" and normalises; empty parts count for nothing. */
export function joinPath(...parts: string[]): string {
  return normalizePath(parts.filter((part) => part !== "").join("/"));
}

/** The directory that holds the name `path`: "/" for names at the root, "." for a bare name. */
export function dirName(path: string): string {
  const normal = normalizePath(path);
  const slash = normal.lastIndexOf("/");
  if (slash > 0) return normal.slice(0, slash);
  return slash === 0 ? "/" : ".";
}

/** The last name of `path`; "/" for the root. */
export function baseName(path: string): string {
  const normal = normalizePath(path);
  return normal === "/" ? "/" : normal.slice(normal.lastIndexOf("/") + 1);
}

/**
 * `path` as it is now on `fs`, wherever the program goes (see {@linkcode Fs.absolutePath}), in its one
 * spelling: for what lies below is joined by the letters, and must not be elsewhere than it.
 */
export function fixedPath(fs: Fs, path: string): string {
  return normalizePath(fs.absolutePath?.(path) ?? path);
}

/**
 * Makes the names in a directory durable: opens it, syncs it, closes it. Throws what those throw;
 * after a throw, the names changed since the last sync may be lost.
 */
export function syncDirectory(fs: Fs, dir: string): void {
  closing(fs.openDir(dir), (handle) => handle.sync());
}
