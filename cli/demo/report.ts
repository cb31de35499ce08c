import type { VerifyReport } from "../../mod.ts";
import { alignRows, bytesText, countText, durationText, plural, rateText } from "../format.ts";
import type { CheckReport } from "./check.ts";
import type { KillRoundsReport, Round } from "./kill_rounds.ts";
import type { Sources } from "./sources.ts";

/** Everything that the table tells of. */
export interface DemoResult {
  /** What was imported. */
  readonly sources: Sources;
  /** The kills. */
  readonly run: KillRoundsReport;
  /** What was read back. */
  readonly check: CheckReport;
  /** What the store's own check found. */
  readonly verify: VerifyReport;
  /** Milliseconds that the last opening took, after all kills. */
  readonly lastRecoveryMs: number;
  /** Bytes that the last opening cut. */
  readonly lastTornBytes: number;
  /** Bytes of segments on disk. */
  readonly segmentBytes: number;
}

/** Acknowledged puts that are not there as they were put. */
export function lossesOf({ check }: DemoResult): number {
  return check.lost.length + check.different.length;
}

/** One line about what is imported, and one a folder. */
export function sourcesText({ folders, files, bytes, leftOut, skipped, hasMore }: Sources): string {
  const from = folders.map(({ name, path }) => `  ${name}: ${path}`);
  const notes = [
    ...(leftOut.files === 0 ? [] : [
      `left out ${plural(leftOut.files, "file")} of ${bytesText(leftOut.bytes)} over the limit`,
    ]),
    ...(skipped === 0 ? [] : [`skipped ${skipped} that are no regular files`]),
    ...(hasMore ? ["there are more files than were looked at"] : []),
  ];
  const note = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
  return [`importing ${plural(files.length, "file")}, ${bytesText(bytes)}${note}, from`, ...from]
    .join("\n");
}

/** The head of the lines of {@linkcode roundText}. */
export const ROUND_HEAD: string = columns([
  "round",
  "killed while",
  "after",
  "acked",
  "bytes",
  "cut short",
  "recovery",
  "torn",
]);

/** One line about a round. */
export function roundText(round: Round): string {
  const { number, hit, plan, workedMs, acks, ackedBytes, interrupted, recovery } = round;
  return columns([
    String(number),
    plan === undefined ? "(not killed)" : hit,
    durationText(hit === "opening" ? plan?.afterMs ?? 0 : workedMs),
    countText(acks),
    bytesText(ackedBytes),
    countText(interrupted),
    recovery === undefined ? "-" : durationText(recovery.durationMs),
    recovery === undefined ? "-" : bytesText(recovery.tornBytes),
  ]);
}

function columns(cells: readonly string[]): string {
  const widths = [5, 12, 8, 8, 9, 9, 9, 9];
  return cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  ");
}

/** The table at the end. */
export function resultText(result: DemoResult): string {
  const { sources, run, check, verify } = result;
  const killed = run.rounds.filter(({ plan }) => plan !== undefined);
  const count = (hit: Round["hit"]) => killed.filter((round) => round.hit === hit).length;
  const recoveries = run.rounds.flatMap(({ recovery }) => recovery === undefined ? [] : [recovery]);
  const recoveryMs = [...recoveries.map(({ durationMs }) => durationMs), result.lastRecoveryMs]
    .sort((a, b) => a - b);
  const tornBytes = sum(recoveries.map(({ tornBytes }) => tornBytes)) + result.lastTornBytes;
  const workedMs = sum(run.rounds.map(({ workedMs }) => workedMs));
  const { acks, ackedBytes } = run.ledger;
  const perSecond = workedMs === 0 ? 0 : Math.round(acks / workedMs * 1000);
  const slowest = recoveryMs.at(-1) ?? 0;
  const skipped = run.ledger.missing.length;
  return alignRows([
    [
      "files",
      `${countText(check.files)} of ${countText(sources.files.length)}` +
      (skipped === 0 ? "" : ` (${skipped} could not be read)`),
    ],
    ["bytes", bytesText(check.bytes)],
    [
      "kills",
      `${killed.length}: ${count("writing")} while writing, ${count("opening")} while ` +
      `opening, ${count("reading")} while reading`,
    ],
    [
      "writes cut short",
      `${countText(sum(killed.map(({ interrupted }) => interrupted)))} by kills`,
    ],
    ["writes acknowledged", `${countText(acks)}, ${bytesText(ackedBytes)} (overwrites included)`],
    ["throughput", `${rateText(ackedBytes, workedMs)}, ${countText(perSecond)} files/s`],
    ["recovery time", `median ${durationText(median(recoveryMs))}, max ${durationText(slowest)}`],
    ["torn bytes cut", bytesText(tornBytes)],
    ["on disk", `${bytesText(result.segmentBytes)} of segments`],
    [
      "verify",
      `${plural(verify.problems.length, "problem")} in ${plural(verify.files, "file")}, ` +
      `${plural(verify.records, "record")}, ${bytesText(verify.bytes)}`,
    ],
    [
      "read back",
      `${plural(check.files, "file")} by SHA-256; ${check.survivors} newer than their ` +
      `ack, ${check.sourceChanged} changed at the source`,
    ],
    ["losses", countText(lossesOf(result))],
  ]);
}

/** Every loss and problem, one a line. */
export function problemLines({ check, verify }: DemoResult): string[] {
  return [
    ...check.lost.map((story) => `LOST       ${story}`),
    ...check.different.map((story) => `DIFFERENT  ${story}`),
    ...verify.problems.map(({ path, offset, message }) =>
      `VERIFY     ${path}:${offset}: ${message}`
    ),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The middle of numbers in ascending order, or the mean of the two in the middle. */
function median(sorted: readonly number[]): number {
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return (lower + upper) / 2;
}
