import { FlagstoneError } from "../errors/mod.ts";
import type { JobReport } from "./compaction_jobs.ts";
import type { StoreCore } from "./core.ts";
import { checkLongOptions } from "./long_options.ts";
import type { CompactOptions, CompactReport } from "./maintenance_types.ts";

/** A log of which less than one part in so many is used is not sealed for the compaction. */
const LEAST_SEALED_PART = 4;

/** See `Store.compact`. */
export async function compactStore(
  core: StoreCore,
  options: CompactOptions,
): Promise<CompactReport> {
  checkLongOptions(options);
  const { signal, onProgress } = options;
  core.assertDurable();
  const refuseAborted = () => {
    if (signal?.aborted === true) throw abortedError(core.directory, signal);
  };
  refuseAborted();
  const stop = () => core.compaction.stop();
  signal?.addEventListener("abort", stop);
  const total = {
    removedFiles: 0,
    madeFiles: 0,
    freedBytes: 0,
    copiedRecords: 0,
    droppedTombstones: 0,
  };
  try {
    await sealWhatIsThere(core);
    await core.compaction.all((report: JobReport) => {
      for (const name of Object.keys(total) as (keyof CompactReport)[]) {
        total[name] += report[name];
      }
      onProgress?.({ ...total });
    }, () => signal?.aborted === true);
  } catch (error) {
    // A job that was told to stop says so, too; by whom is known here.
    refuseAborted();
    core.assertOpen();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  refuseAborted();
  return total;
}

/** Makes segments of what is in memory, unless it is little: only segments are compacted. */
async function sealWhatIsThere(core: StoreCore): Promise<void> {
  const { control, memtable } = core.log;
  const { active } = memtable;
  const used = active === undefined ? 0 : control.reservedEnd(active.slot);
  if (active !== undefined && used * LEAST_SEALED_PART >= active.image.bytes.length) {
    core.log.rotate();
  }
  // In this order: on a full disk, this one says so, and the other would wait for space.
  await core.log.flush();
  await core.log.flushed();
}

function abortedError(directory: string, signal: AbortSignal): FlagstoneError {
  const message = `The compaction of ${directory} was aborted. What it had done stays done.`;
  return new FlagstoneError("ABORTED", message, { path: directory, cause: signal.reason });
}
