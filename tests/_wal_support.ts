import type { Fs } from "../vfs/mod.ts";
import { Wal, type WalOptions, type WalRecord } from "../log/wal_mod.ts";
import { type Place, testStore } from "./_support.ts";

export type { Place } from "./_support.ts";

/** Small segments: a test of a few hundred KiB rotates. */
export const SMALL_WAL = { segmentBytes: 64 * 1024, slabs: 3, idleWorkerMs: 100 };

/** Opens the log of a place. */
export function openWal<T = Uint8Array>(
  place: Place,
  options: WalOptions<T> = {},
): Promise<Wal<T>> {
  return Wal.open<T>(place.dir, { ...SMALL_WAL, fs: place.fs, ...options });
}

/** Opens a log in memory, stepwise. */
export function openOn(fs: Fs, options: WalOptions = {}): Promise<Wal> {
  return Wal.open("/wal", { ...SMALL_WAL, fs, ...options });
}

/** As `testStore`, for logs. */
export const testWal: (name: string, body: (place: Place) => Promise<void>) => void = testStore;

/** All records, as [lsn, bytes]. */
export function contentOf(
  records: Iterable<WalRecord<unknown>>,
): [number, Uint8Array<ArrayBuffer>][] {
  return Array.from(records, ({ lsn, bytes }) => [lsn, new Uint8Array(bytes)]);
}
