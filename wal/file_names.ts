const NAME = /^(\d{10,})\.(log|seg)$/;
const COMPACTED_NAME = /^(\d{10,})-(\d{10,})\.seg$/;

/** What the name of a file says. */
export type FileName =
  | {
    /** The segment whose log or sealed file it is. */
    readonly segment: number;
    readonly kind: "log" | "seg";
  }
  | {
    /** The newest segment of which it has records. */
    readonly segment: number;
    readonly kind: "compacted";
    /** Its own number, which no other compacted segment has. */
    readonly number: number;
  };

/** Name of the log of segment `segment`: its number in at least ten digits, and `.log`. */
export function logName(segment: number): string {
  return `${digits(segment)}.log`;
}

/** Name of the sealed file of segment `segment`. */
export function segmentName(segment: number): string {
  return `${digits(segment)}.seg`;
}

/** Name of the compacted segment `number`, whose records are from segments up to `upTo`. */
export function compactedName(upTo: number, number: number): string {
  return `${digits(upTo)}-${digits(number)}.seg`;
}

/** The segment that a file name stands for, compared as a number, or `undefined` for other names. */
export function parseFileName(name: string): FileName | undefined {
  const match = NAME.exec(name);
  if (match !== null) {
    const segment = Number(match[1]);
    const kind = match[2] === "log" ? "log" : "seg";
    const ours = kind === "log" ? logName(segment) : segmentName(segment);
    return name === ours ? { segment, kind } : undefined;
  }
  const compacted = COMPACTED_NAME.exec(name);
  if (compacted === null) return undefined;
  const segment = Number(compacted[1]);
  const number = Number(compacted[2]);
  return name === compactedName(segment, number)
    ? { segment, kind: "compacted", number }
    : undefined;
}

function digits(number: number): string {
  return String(number).padStart(10, "0");
}
