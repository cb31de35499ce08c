/** What a step of a loop did, and so what its driver does next. */
export const StepResult = {
  /** Nothing to do until the doorbell rings. */
  idle: 0,
  /** Something was done; there may be more. */
  worked: 1,
  /** A slot has memory that this thread was not given yet: a message with it is under way. */
  needsBuffer: 2,
  /** There is work, but more may be about to join it: see `Loop.patienceMs`. */
  gathering: 3,
} as const;

/** One of {@linkcode StepResult}. */
export type StepResult = typeof StepResult[keyof typeof StepResult];

/**
 * What a worker does, as a plain object: its driver, a real Worker or a scheduler on one thread,
 * calls `step` until it says `idle`, and `rest` when nothing has happened for a while.
 */
export interface Loop {
  /**
   * Does one piece of work, such as one write and one sync. Throws what the file system throws.
   * Says `gathering` of work that more may be about to join, unless `hurry` is true: do it now.
   */
  step(hurry: boolean): StepResult;
  /** True while there is work for which the disk had no space, and which is worth another try after a while. */
  readonly isWaitingForSpace: boolean;
  /** A number that changes as writers go on. */
  readonly pulse: number;
  /** How long work may be left alone for more to join it, in milliseconds. */
  readonly patienceMs: number;
  /** Leaves things as they should be for a long pause, or for ever if `closing`. Returns true if that made new work. */
  rest(closing: boolean): boolean;
  /** Closes files. */
  close(): void;
}
