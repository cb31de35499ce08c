/** What the program's exit code says. */
export const ExitCode = {
  /** Done. */
  ok: 0,
  /** The operation failed; standard error has `code: message`. */
  failed: 1,
  /** The command line is wrong; nothing was touched. */
  usage: 2,
  /** `get`: the store has no such key. */
  notFound: 3,
  /** `verify`: something does not hold; `salvage`: something did not. */
  problems: 4,
  /** `import`, `export`: done, but some files or keys were left out; standard error names them. */
  incomplete: 5,
} as const;

/** One of {@linkcode ExitCode}'s numbers. */
export type ExitCode = typeof ExitCode[keyof typeof ExitCode];
