import type { File } from "./types.ts";

/**
 * The method of a file by which a fault injector makes a sync fail as it fails on a real system:
 * what was written since the last sync is lost for the disk, and no later sync brings it back.
 */
export const failSync: unique symbol = Symbol("failSync");

/** A file that can lose its unsynced content. */
export interface LosableFile extends File {
  /** For each dirty page or name `reached` says whether it got to the disk before the failure. */
  [failSync](reached: () => boolean): void;
}

/** True if the file can lose its unsynced content. */
export function isLosable(file: File): file is LosableFile {
  return failSync in file;
}
