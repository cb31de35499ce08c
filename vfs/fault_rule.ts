import type { ErrorCode } from "../errors/mod.ts";
import type { FsOperation, FsOperationKind } from "./operations.ts";

/** What goes wrong. */
export type Fault =
  /** The call throws this code and does nothing; `close` and `unlock` do their work, then throw. */
  | { readonly kind: "error"; readonly code: ErrorCode }
  /** A write puts this many bytes on the disk (0: it is stuck), then throws `code`, or `IO`. Other calls throw. */
  | { readonly kind: "shortWrite"; readonly bytes: number; readonly code?: ErrorCode }
  /** The call waits, then goes on: for exactly `ms`, or exponentially distributed around it (20 × at most). */
  | { readonly kind: "latency"; readonly ms: number; readonly random?: boolean }
  /** A read brings, or a write stores, one bit turned: at a byte of the file, or where the seed says. Other calls go on. */
  | { readonly kind: "flipBit"; readonly offset?: number; readonly bit?: number }
  /**
   * A sync throws `IO`, and what was written since the last one is lost for the disk: no later
   * sync brings it back. `reached` is the probability that a page or name got there before;
   * default 0. The loss shows over `MemFs` and `CrashFs`; other file systems only throw. Other
   * calls throw.
   */
  | { readonly kind: "failedSync"; readonly reached?: number }
  /** A sync says that all is well and does nothing. Other calls go on. */
  | { readonly kind: "lyingSync" };

/** When something goes wrong. */
export interface FaultRule {
  /** The operations that it is about; left out, all of them. */
  readonly on?: FsOperationKind | readonly FsOperationKind[];
  /** Part of a path, or a pattern; renames and links match with either name. Left out, every path. */
  readonly path?: string | RegExp;
  /** Only calls whose range, where they have an offset, holds this byte. */
  readonly offset?: number;
  /** How many matching calls go well first. Default 0. */
  readonly skip?: number;
  /** How many calls it strikes before it is used up. Default: all. */
  readonly times?: number;
  /** The probability that it strikes a matching call, by the seed. Default 1. */
  readonly probability?: number;
  /** What goes wrong. */
  readonly fault: Fault;
}

/** True if a rule is about an operation, whatever its counts say. */
export function matchesRule(rule: FaultRule, operation: FsOperation): boolean {
  const { on, path, offset } = rule;
  if (typeof on === "string" ? on !== operation.kind : on?.includes(operation.kind) === false) {
    return false;
  }
  if (path !== undefined && !matchesPath(path, operation.path)) {
    if (operation.to === undefined || !matchesPath(path, operation.to)) return false;
  }
  if (offset === undefined) return true;
  const start = operation.offset;
  return start !== undefined && start <= offset && offset < start + (operation.length ?? 0);
}

/** A rule as text, such as `syncData on ".log", after 2, 1 time, p=0.5: failed sync`. */
export function printRule(rule: FaultRule): string {
  const on = rule.on === undefined ? "any" : [rule.on].flat().join("|");
  const path = rule.path === undefined
    ? ""
    : ` on ${typeof rule.path === "string" ? JSON.stringify(rule.path) : rule.path}`;
  const offset = rule.offset === undefined ? "" : ` at ${rule.offset}`;
  const skip = rule.skip === undefined ? "" : `, after ${rule.skip}`;
  const times = rule.times === undefined
    ? ""
    : `, ${rule.times} time${rule.times === 1 ? "" : "s"}`;
  const probability = rule.probability === undefined ? "" : `, p=${rule.probability}`;
  return `${on}${path}${offset}${skip}${times}${probability}: ${printFault(rule.fault)}`;
}

function printFault(fault: Fault): string {
  switch (fault.kind) {
    case "error":
      return fault.code;
    case "shortWrite":
      return `${fault.bytes} bytes, then ${fault.code ?? "IO"}`;
    case "latency":
      return `${fault.random ? "around " : ""}${fault.ms} ms`;
    case "flipBit": {
      const bit = fault.bit === undefined ? "a bit" : `bit ${fault.bit}`;
      return fault.offset === undefined ? `${bit} flips` : `${bit} of byte ${fault.offset} flips`;
    }
    case "failedSync":
      return "the sync fails and drops what was written";
    case "lyingSync":
      return "the sync lies";
  }
}

function matchesPath(pattern: string | RegExp, path: string): boolean {
  if (typeof pattern === "string") return path.includes(pattern);
  // `lastIndex` of a global pattern would make every second call differ.
  return path.search(pattern) >= 0;
}
