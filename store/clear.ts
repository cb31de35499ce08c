import { FlagstoneError } from "../errors/mod.ts";
import { HashIndex } from "../index/mod.ts";
import { type Beginning, readBeginning, STORE_KIND, writeBeginning } from "../log/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { FILE_HEADER_BYTES } from "../wal/mod.ts";
import { removeBelow } from "./cleared_files.ts";
import type { StoreCore } from "./core.ts";
import { INDEX_FILE } from "./index_image.ts";

/**
 * Removes every key: see `Store.clear`. That all segments below a number do not count any more is
 * written in one place, the STORE file; their files are removed afterwards, here or by the next open.
 */
export function clearStore(core: StoreCore): Promise<void> {
  core.assertDurable();
  return core.exclusively(async () => {
    // Writes that were called before and wait for their place come first.
    if (core.pending.calls > 0) await core.writesSettled();
    core.assertDurable();
    const beginning = beginAnew(core);
    if (beginning === undefined) return core.snapshots.end("ended by a clear of the store");
    // Nothing is awaited from the new beginning to here: no write comes between.
    writeDown(core, beginning);
    const { firstSegment } = beginning;
    core.snapshots.end("ended by a clear of the store");
    core.index = new HashIndex();
    core.imaged = new Set();
    core.expiry.clear();
    core.segments.clear(firstSegment);
    core.blobs.clear(beginning.sequenceFloor);
    // Segments first: on a full disk, the workers need their space to finish the old logs.
    removeFiles(core, firstSegment, ".seg");
    if (await haveFinished(core, firstSegment - 1)) removeFiles(core, firstSegment);
  });
}

/** Ends the active slab, if it has anything, so that everything is older than the next; `undefined` if there is nothing. */
function beginAnew(core: StoreCore): Beginning | undefined {
  const { control, memtable, pool } = core.log;
  const { active } = memtable;
  if (active !== undefined && control.reservedEnd(active.slot) > FILE_HEADER_BYTES) {
    core.log.rotate();
  }
  const next = memtable.active;
  const older = pool.residents.map(({ segment }) => segment)
    .filter((segment) => segment !== next?.segment);
  if (older.length + core.segments.size === 0) return undefined;
  const newest = Math.max(core.segments.newest, ...older);
  return {
    firstSegment: next?.segment ?? newest + 1,
    sequenceFloor: next?.baseSequence ?? memtable.nextSequence,
  };
}

/** If it fails and nobody can say what a power loss would leave, the store takes no more writes. */
function writeDown(core: StoreCore, beginning: Beginning): void {
  const { directory, options: { fs } } = core;
  try {
    writeBeginning(fs, directory, STORE_KIND, beginning);
  } catch (error) {
    if (!isAsBefore(core, beginning)) {
      const message =
        `Cannot clear the store in ${directory}: ${error}. Whether it is cleared is ` +
        `in doubt; it takes no more writes. See to the disk, then reopen it.`;
      const failure = new FlagstoneError("WRITE_FAILED", message, {
        path: directory,
        cause: error,
      });
      core.durableLog.control.fail(failure);
      core.durableLog.ring();
      throw failure;
    }
    throw error;
  }
}

function isAsBefore(core: StoreCore, { firstSegment }: Beginning): boolean {
  const { directory, options: { fs } } = core;
  try {
    return readBeginning(fs, directory, STORE_KIND).firstSegment !== firstSegment;
  } catch {
    return false;
  }
}

/** Waits until no worker needs the logs up to `upTo` any more. False if they must stay, for want of space or as the store is closing. */
async function haveFinished(core: StoreCore, upTo: number): Promise<boolean> {
  try {
    // In this order: on a full disk, this one says so, and the other would wait for space.
    await core.log.flush();
    await core.log.flushed(upTo);
    return !core.closing;
  } catch (error) {
    if (error instanceof FlagstoneError && error.code === "NO_SPACE") return false;
    throw error;
  }
}

/** The keys are gone whether this succeeds or not; what stays is removed by the next open. */
function removeFiles(core: StoreCore, firstSegment: number, suffix = ""): void {
  const { directory, options: { fs } } = core;
  try {
    fs.removeAll(joinPath(directory, INDEX_FILE));
    removeBelow(fs, directory, firstSegment, suffix);
  } catch (error) {
    if (!(error instanceof FlagstoneError)) throw error;
  }
}
