import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError } from "../../errors/mod.ts";
import type { Fs } from "../../vfs/mod.ts";

/** The bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes. */
export function text(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

/** Asserts that `action` throws a FlagstoneError with one of the codes, and with path and operation. */
export function throwsCode(code: ErrorCode | readonly ErrorCode[], action: () => unknown): void {
  try {
    action();
  } catch (error) {
    checkCode(code, error);
    return;
  }
  assert.fail(`nothing was thrown, expected ${code}`);
}

/** As {@linkcode throwsCode}, for a promise. */
export async function rejectsCode(
  code: ErrorCode | readonly ErrorCode[],
  promise: Promise<unknown>,
): Promise<void> {
  try {
    await promise;
  } catch (error) {
    checkCode(code, error);
    return;
  }
  assert.fail(`nothing was thrown, expected ${code}`);
}

function checkCode(code: ErrorCode | readonly ErrorCode[], error: unknown): void {
  if (!(error instanceof FlagstoneError)) throw error;
  const codes = typeof code === "string" ? [code] : code;
  assert.ok(codes.includes(error.code), `${error.code}, expected ${codes}: ${error.message}`);
  assert.notEqual(error.operation, undefined, "the error names no operation");
  assert.notEqual(error.path, undefined, "the error names no path");
}

/** The whole content of a file, read through `fs`. */
export function readAll(fs: Fs, path: string): Uint8Array {
  using file = fs.open(path);
  const content = new Uint8Array(file.stat().size);
  assert.equal(file.readAt(content, 0), content.length);
  return content;
}

/** Creates a file with a content. Nothing is synced. */
export function writeAll(fs: Fs, path: string, content: Uint8Array | string): void {
  using file = fs.create(path);
  file.write(typeof content === "string" ? bytes(content) : content);
}

/** Creates a file with a content, content and name synced. */
export function writeSynced(fs: Fs, path: string, content: Uint8Array | string): void {
  using file = fs.create(path);
  file.write(typeof content === "string" ? bytes(content) : content);
  file.sync();
  using dir = fs.openDir(path.slice(0, path.lastIndexOf("/")) || "/");
  dir.sync();
}

/** True if something has the name. */
export function exists(fs: Fs, path: string): boolean {
  try {
    fs.stat(path);
    return true;
  } catch (error) {
    if (error instanceof FlagstoneError && error.code === "NOT_FOUND") return false;
    throw error;
  }
}

/** The whole tree below `dir` as a plain object: text of a file, object of a directory. */
export type Tree = { readonly [name: string]: string | Tree };

/** Reads the tree below `dir`; file contents one character a byte. */
export function readTree(fs: Fs, dir: string): Tree {
  const tree: Record<string, string | Tree> = {};
  for (const name of fs.list(dir)) {
    const path = dir === "/" ? `/${name}` : `${dir}/${name}`;
    tree[name] = fs.stat(path).isDirectory ? readTree(fs, path) : latin1(readAll(fs, path));
  }
  return tree;
}

/** One character a byte. */
export function latin1(content: Uint8Array): string {
  let result = "";
  for (let at = 0; at < content.length; at += 4096) {
    result += String.fromCharCode(...content.subarray(at, at + 4096));
  }
  return result;
}

/** A random stream that a seed determines: numbers from 0 up to, not including, 1. */
export function randomBy(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
