import type { LogWriter } from "./log_writer.ts";
import type { WalHandle } from "./wal_types.ts";

/** Until an attached thread that has taken space and not used it is given up on. */
const GAP_TIMEOUT_MS = 2000;

/** Gives every slab memory of the usual size, so that it stays the same, and opens the log to other threads. */
export async function shareLog(log: LogWriter): Promise<Omit<WalHandle, "maxRecordBytes">> {
  const { pool, control, memtable } = log;
  while (!pool.allocateAll()) {
    if (pool.slabBytes !== memtable.active?.image.bytes.length) log.rotate();
    await log.flushed();
  }
  if (memtable.active === undefined) log.rotate();
  log.share(GAP_TIMEOUT_MS);
  const { buffers, generations } = pool.memory();
  return { control: control.buffer, slabs: buffers, generations };
}
