import { ArgumentError } from "../errors/mod.ts";
import { UNKNOWN_SEQUENCES } from "../wal/mod.ts";

/**
 * Throws `ArgumentError` if slabs have more bytes in all than sequence numbers are skipped after a
 * crash: some of them might be given twice. `argument` names the option that says how long one is.
 */
export function checkSlabs(slabs: number, slabBytes: number, argument: string): void {
  if (slabs * slabBytes <= UNKNOWN_SEQUENCES) return;
  const most = UNKNOWN_SEQUENCES / 1024 ** 3;
  throw new ArgumentError(
    argument,
    `${slabs} slabs of ${slabBytes} bytes are too much: all slabs may have ${most} GiB at most. ` +
      `Make slabs fewer, or ${argument} smaller`,
  );
}
