/**
 * Sealed segments: what the flush worker writes behind the records of a log, and how it is read.
 *
 * ```ts
 * import { compareBytes } from "./mod.ts";
 * const bytes = (text: string) => new TextEncoder().encode(text);
 * console.assert(compareBytes(bytes("a"), bytes("ab")) < 0);
 * ```
 * @module
 */
export * from "./block.ts";
export * from "./bytes.ts";
export * from "./footer.ts";
export * from "./key_run.ts";
export * from "./reader.ts";
export * from "./sort.ts";
export * from "./writer.ts";
