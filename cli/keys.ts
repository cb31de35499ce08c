import type { Key } from "../mod.ts";
import { UsageError } from "./failures.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Control characters, which would garble a terminal or split a line. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** A key of the command line: text, or with `--hex` bytes in hexadecimal. */
export function parseKey(text: string, hex: boolean): Key {
  if (text === "") throw new UsageError("A key must not be empty.");
  if (!hex) return text;
  try {
    return Uint8Array.fromHex(text);
  } catch {
    throw new UsageError(
      `With --hex, keys are pairs of hexadecimal digits: ${JSON.stringify(text)}`,
    );
  }
}

/** The key as text if it is text, whether it was put as a string or as bytes. */
export function keyText(key: Key): string | undefined {
  if (typeof key === "string") return key;
  try {
    return decoder.decode(key);
  } catch {
    return undefined;
  }
}

/**
 * The key on one line, for people: text as it is, text with control characters as a JSON string,
 * other bytes as `0x…`.
 */
export function showKey(key: Key): string {
  const text = keyText(key);
  if (text === undefined) return `0x${bytesOf(key).toHex()}`;
  return CONTROL.test(text) ? JSON.stringify(text) : text;
}

/** The key in JSON, exactly: `{"key": text}`, or `{"keyHex": digits}` for bytes that are no text. */
export function keyJson(key: Key): { key: string } | { keyHex: string } {
  const text = keyText(key);
  return text === undefined ? { keyHex: bytesOf(key).toHex() } : { key: text };
}

function bytesOf(key: Key): Uint8Array {
  return typeof key === "string" ? new TextEncoder().encode(key) : key;
}
