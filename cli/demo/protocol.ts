import type { Durability, RecoveryReport } from "../../mod.ts";

/** A file that is imported again and again. */
export interface SourceFile {
  /** Key in the store. */
  readonly key: string;
  /** Where it is. */
  readonly path: string;
  /** Its length in bytes when the source was walked. */
  readonly size: number;
}

/** What a child is told, as JSON on its standard input. */
export interface ChildJob {
  /** The store's directory. */
  readonly store: string;
  /** Files under way at once. */
  readonly concurrency: number;
  /** What each put waits for. */
  readonly durability: Durability;
  /** Start over when all files are done, until killed. */
  readonly endless: boolean;
  /** What to import, in this order; `index` is the file's number in what the child says. */
  readonly files: readonly (SourceFile & { readonly index: number })[];
}

/** One line that a child writes to its standard output. */
export type ChildLine =
  /** The store is about to be opened. */
  | { readonly type: "opening" }
  /** The store is open. */
  | { readonly type: "open"; readonly recovery: RecoveryReport }
  /** A put is about to begin; `put` numbers the puts of this child. */
  | {
    readonly type: "put";
    readonly put: number;
    readonly index: number;
    readonly size: number;
    readonly sha256: string;
  }
  /** The put's promise has resolved. */
  | { readonly type: "ack"; readonly put: number; readonly version: number }
  /** A file that cannot be read. */
  | { readonly type: "skip"; readonly index: number; readonly reason: string };

/** The line without its end. */
export function formatLine(line: ChildLine): string {
  return JSON.stringify(line);
}

/** Takes a whole line apart. */
export function parseLine(text: string): ChildLine {
  const line: ChildLine = JSON.parse(text);
  return line;
}
