import { leaveIndexImage } from "./close_image.ts";
import type { StoreCore } from "./core.ts";

/** See `Store.close`. */
export async function closeStore(core: StoreCore): Promise<void> {
  core.shut();
  const { compaction, options: { stallTimeoutMs } } = core;
  // Writes that wait for room on the disk need the compaction.
  if (core.eviction !== undefined) await core.pending.settled();
  const knowsAll = await compaction.close(stallTimeoutMs) && compaction.knowsAllFiles;
  try {
    await core.flush();
    const finished = await core.durableLog.finish();
    await core.blobs.settled();
    if (finished && knowsAll) await leaveIndexImage(core);
  } catch (error) {
    // Of a store in memory only, everybody has been told.
    if (core.degraded === undefined) throw error;
  } finally {
    await core.release();
  }
}
