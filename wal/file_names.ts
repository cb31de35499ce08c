const NAME = /^(\d{10,})\.(log|seg)$/;

/** Name of the log of segment `segment`: its number in at least ten digits, and `.log`. */
export function logName(segment: number): string {
  return `${String(segment).padStart(10, "0")}.log`;
}

/** Name of the sealed file of segment `segment`. */
export function segmentName(segment: number): string {
  return `${String(segment).padStart(10, "0")}.seg`;
}

/** The segment that a file name stands for, compared as a number, or `undefined` for other names. */
export function parseFileName(
  name: string,
): { readonly segment: number; readonly kind: "log" | "seg" } | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const segment = Number(match[1]);
  const kind = match[2] === "log" ? "log" : "seg";
  const ours = kind === "log" ? logName(segment) : segmentName(segment);
  return name === ours ? { segment, kind } : undefined;
}
