/** A count with separators: `12,345`. */
export function countText(count: number): string {
  return count.toLocaleString("en-US");
}

/** A number of bytes for people: `17 B`, `4.2 kB`, `1.5 GB`; units are powers of 1000. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  let unit = "B";
  for (const larger of ["kB", "MB", "GB", "TB", "PB"]) {
    if (value < 999.95) break;
    value /= 1000;
    unit = larger;
  }
  return `${value.toFixed(1)} ${unit}`;
}

/** A duration for people: `0.3 ms`, `42 ms`, `1.7 s`. */
export function durationText(durationMs: number): string {
  if (durationMs >= 1000) return `${(durationMs / 1000).toFixed(1)} s`;
  return durationMs >= 10 ? `${durationMs.toFixed(0)} ms` : `${durationMs.toFixed(1)} ms`;
}

/** Bytes per second for people. */
export function rateText(bytes: number, durationMs: number): string {
  return durationMs <= 0 ? "-" : `${bytesText(Math.round(bytes / durationMs * 1000))}/s`;
}

/** The right singular or plural: `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Rows of a name and a text, the texts below one another. */
export function alignRows(rows: readonly (readonly [name: string, text: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join("\n");
}
