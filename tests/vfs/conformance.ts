import type { Fs } from "../../vfs/mod.ts";
import type { ConformanceCase } from "./_conformance_case.ts";
import { copyCases } from "./_conformance_copies.ts";
import { fileCases } from "./_conformance_files.ts";
import { nameCases } from "./_conformance_names.ts";
import { toolCases } from "./_conformance_tools.ts";
import { rejectsCode } from "./_support.ts";

/** What every file system of this folder must do, each by itself and under every wrapper. */
export const conformanceCases: readonly ConformanceCase[] = [
  ...nameCases,
  ...fileCases,
  ...toolCases,
  ...copyCases,
];

/** A file system to try, an empty directory in it, and what ends it. */
export interface ConformanceTarget {
  readonly fs: Fs;
  readonly root: string;
  /** It removes and replaces nothing that is open, as Windows. */
  readonly windows?: true;
  readonly close?: () => void;
}

/** Registers a test for each case; `make` gives a fresh target each time. */
export function testConformance(label: string, make: () => ConformanceTarget): void {
  for (const { name, run, needsOpenRemoved } of conformanceCases) {
    Deno.test(`${label}: ${name}`, async () => {
      const target = make();
      try {
        const outcome = Promise.try(() => run(target.fs, target.root));
        await (target.windows && needsOpenRemoved ? rejectsCode("BUSY", outcome) : outcome);
      } finally {
        target.close?.();
      }
    });
  }
}
