import { fsError } from "./_check.ts";
import { InterceptFs, type InterceptHooks } from "./intercept_fs.ts";
import { failSync, isLosable } from "./_lose_dirty.ts";
import { createRandom, type Random, seedFor } from "./_random.ts";
import { sleepSync } from "./_sleep.ts";
import { type Fault, type FaultRule, matchesRule, printRule } from "./fault_rule.ts";
import { type FsOperation, printOperation } from "./operations.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/** How a {@linkcode FaultFs} is made; all of it may be left out. */
export interface FaultFsOptions {
  /** Decides probabilities, random latencies and which bit flips. Default 0. */
  readonly seed?: number;
  /** Waits in a synchronous call; tests put something here that does not. Default: blocks the thread. */
  readonly sleep?: (ms: number) => void;
}

/** A rule that was armed. */
export interface ArmedFault {
  /** The rule. */
  readonly rule: FaultRule;
  /** How many calls matched so far. */
  readonly matches: number;
  /** How many calls it struck so far. */
  readonly strikes: number;
  /** Takes it away. Idempotent. */
  clear(): void;
  /** The rule as text. */
  toString(): string;
}

class Armed implements ArmedFault {
  readonly rule: FaultRule;
  readonly random: Random;
  readonly #clear: () => void;
  matches = 0;
  strikes = 0;

  constructor(rule: FaultRule, random: Random, clear: () => void) {
    this.rule = rule;
    this.random = random;
    this.#clear = clear;
  }

  /** Counts a call; true if the rule strikes it. */
  meets(operation: FsOperation): boolean {
    const { rule } = this;
    if (this.strikes >= (rule.times ?? Infinity) || !matchesRule(rule, operation)) return false;
    this.matches++;
    if (this.matches <= (rule.skip ?? 0)) return false;
    if (rule.probability !== undefined && this.random() >= rule.probability) return false;
    this.strikes++;
    return true;
  }

  clear(): void {
    this.#clear();
  }

  toString(): string {
    return printRule(this.rule);
  }
}

/**
 * A file system whose calls go wrong as rules say: {@linkcode arm} them, {@linkcode clear} them, at
 * any time. For each call the rules are asked in the order in which they were armed; latencies add
 * up, and the first other fault that strikes is the one that happens. A rule that is used up, or
 * lets a call pass, leaves it to the next.
 */
export class FaultFs implements Fs {
  /** `fault(…)` with the name of the file system below. */
  readonly name: string;
  readonly #seed: number;
  readonly #sleep: (ms: number) => void;
  readonly #fs: InterceptFs;
  readonly #rules = new Set<Armed>();
  #armed = 0;

  /** Wraps `inner`; nothing goes wrong before {@linkcode arm}. */
  constructor(inner: Fs, options: FaultFsOptions = {}) {
    this.#seed = options.seed ?? 0;
    this.#sleep = options.sleep ?? sleepSync;
    this.#fs = new InterceptFs("fault", inner, this.#hooks);
    this.name = this.#fs.name;
  }

  /** Makes a rule count from now on. */
  arm(rule: FaultRule): ArmedFault {
    const random = createRandom(seedFor(this.#seed, `${this.#armed++}`));
    const armed = new Armed(rule, random, () => this.#rules.delete(armed));
    this.#rules.add(armed);
    return armed;
  }

  /** Takes all rules away. */
  clear(): void {
    this.#rules.clear();
  }

  /** The armed rules, one a line, with their counts. */
  toString(): string {
    const lines = [...this.#rules].map((armed) => `${armed} [${armed.strikes}/${armed.matches}]`);
    return lines.join("\n");
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    return this.#fs.create(path);
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#fs.open(path);
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    return this.#fs.openReadWrite(path);
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    return this.#fs.openDir(path);
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    this.#fs.link(existing, path);
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#fs.remove(path);
  }

  /** See {@linkcode Fs.removeAll}. */
  removeAll(path: string): void {
    this.#fs.removeAll(path);
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    this.#fs.rename(from, to);
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    return this.#fs.reuseForWrite(from, to);
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#fs.mkdirAll(path);
  }

  /** See {@linkcode Fs.lock}. */
  lock(path: string): Lock {
    return this.#fs.lock(path);
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    return this.#fs.list(path);
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    return this.#fs.stat(path);
  }

  /** See {@linkcode Fs.diskUsage}. */
  diskUsage(path: string): DiskUsage {
    return this.#fs.diskUsage(path);
  }

  /** See {@linkcode Fs.absolutePath}. Never fails. */
  absolutePath(path: string): string {
    return this.#fs.absolutePath(path);
  }

  get #hooks(): InterceptHooks {
    return {
      call: (operation, run) => {
        const struck = this.#meet(operation, this.#sleep);
        if (struck === undefined) return run();
        // A handle that cannot be closed is closed all the same: nobody could try again.
        if (operation.kind === "close" || operation.kind === "unlock") {
          const done = run();
          this.#throwIf(operation, struck);
          return done;
        }
        this.#throwIf(operation, struck);
        return run();
      },
      callAsync: async (operation, run) => {
        this.#throwIf(operation, await this.#meetAsync(operation));
        return await run();
      },
      read: (operation, into, run) => {
        const struck = this.#meet(operation, this.#sleep);
        this.#throwIf(operation, struck);
        const count = run();
        this.#flipIf(struck, operation, into.subarray(0, count));
        return count;
      },
      readAsync: async (operation, into, run) => {
        const struck = await this.#meetAsync(operation);
        this.#throwIf(operation, struck);
        const count = await run();
        this.#flipIf(struck, operation, into.subarray(0, count));
        return count;
      },
      write: (operation, parts, write) => {
        const struck = this.#meet(operation, this.#sleep);
        if (struck?.rule.fault.kind === "shortWrite") {
          write(firstBytes(parts, struck.rule.fault.bytes));
        }
        this.#throwIf(operation, struck);
        if (struck?.rule.fault.kind !== "flipBit") return write(parts);
        const copy = joinParts(parts);
        this.#flipIf(struck, operation, copy);
        write([copy]);
      },
      sync: (operation, file, run) => {
        const struck = this.#meet(operation, this.#sleep);
        if (struck?.rule.fault.kind === "failedSync" && isLosable(file)) {
          const probability = struck.rule.fault.reached ?? 0;
          file[failSync](() => struck.random() < probability);
        }
        this.#throwIf(operation, struck);
        return struck?.rule.fault.kind === "lyingSync" ? true : run();
      },
    };
  }

  /** The rule that strikes a call, after its latencies. */
  #meet(operation: FsOperation, wait: (ms: number) => void): Armed | undefined {
    for (const armed of this.#rules) {
      if (!armed.meets(operation)) continue;
      const { fault } = armed.rule;
      if (fault.kind !== "latency") return armed;
      wait(fault.random ? exponential(fault.ms, armed.random) : fault.ms);
    }
    return undefined;
  }

  async #meetAsync(operation: FsOperation): Promise<Armed | undefined> {
    let total = 0;
    const struck = this.#meet(operation, (ms) => total += ms);
    if (total > 0) await new Promise((resolve) => setTimeout(resolve, total));
    return struck;
  }

  /** Throws what the fault of a call is, if it is one that throws. */
  #throwIf(operation: FsOperation, armed: Armed | undefined): void {
    if (armed === undefined) return;
    const code = codeOf(armed.rule.fault);
    if (code === undefined) return;
    const { kind, path } = operation;
    throw fsError(code, kind, path, `injected into ${printOperation(operation)} by ${armed}`);
  }

  #flipIf(armed: Armed | undefined, operation: FsOperation, bytes: Uint8Array): void {
    const fault = armed?.rule.fault;
    if (armed === undefined || fault?.kind !== "flipBit" || bytes.length === 0) return;
    const at = fault.offset === undefined
      ? Math.floor(armed.random() * bytes.length)
      : fault.offset - (operation.offset ?? 0);
    const bit = fault.bit ?? Math.floor(armed.random() * 8);
    const byte = bytes[at];
    if (byte !== undefined) bytes[at] = byte ^ (1 << bit);
  }
}

function codeOf(fault: Fault) {
  switch (fault.kind) {
    case "error":
      return fault.code;
    case "shortWrite":
      return fault.code ?? "IO";
    case "failedSync":
      return "IO";
    default:
      return undefined;
  }
}

/** At most 20 times the mean, as a disk that has not died. */
function exponential(mean: number, random: Random): number {
  return Math.min(20 * mean, -mean * Math.log(1 - random()));
}

function firstBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  const all = joinParts(parts);
  return [all.subarray(0, count)];
}

function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
