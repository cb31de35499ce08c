/**
 * The errors of every part of Flagstone: one class for what fails at run time, told apart by a
 * stable `code`, and one for wrong arguments.
 *
 * ```ts
 * import { FlagstoneError, open } from "../mod.ts";
 * const dir = await Deno.makeTempDir();
 * await using store = await open(dir);
 * try {
 *   await open(dir);
 * } catch (error) {
 *   if (!(error instanceof FlagstoneError) || error.code !== "LOCKED") throw error;
 * }
 * await store.put("a", new Uint8Array(1));
 * ```
 * @module
 */
export { ArgumentError, type ErrorCode, type ErrorDetails, FlagstoneError } from "./errors.ts";
export { integer, oneOf, refuseUnknown, show } from "./checks.ts";
