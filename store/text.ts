/** What was put is what is got: a text may begin with U+FEFF, which a decoder drops unless it is told not to. */
const exact = new TextDecoder("utf-8", { ignoreBOM: true });
/** JSON may not; where a file that begins with it was stored, it says how that is encoded. */
const unmarked = new TextDecoder();

/** A value as text; `undefined` if there is none. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : exact.decode(value);
}

/** A value parsed as JSON; `undefined` if there is none. Throws a SyntaxError. */
export function jsonOf(value: Uint8Array | undefined): unknown {
  return value === undefined ? undefined : JSON.parse(unmarked.decode(value));
}
