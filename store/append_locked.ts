import { throwIfAborted } from "./aborting.ts";
import type { Appended, Appender } from "./appender.ts";
import type { StoreCore } from "./core.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import { compressWrite } from "./write_arguments.ts";
import { giveBack, ownWrite, type WriteQueue } from "./write_queue.ts";
import type { WriteSettings } from "./write_settings.ts";

/** What a write needs that holds its key's lock for as long as a user's function or stream takes. */
export interface WriteParts {
  readonly core: StoreCore;
  readonly appender: Appender;
  readonly queue: WriteQueue;
}

/**
 * Appends a write whose key is locked: at once if there is space, else in turn. A value that waits is
 * copied: the user may have kept its buffer. If it fails, the file of its value goes.
 */
export async function appendLocked(
  { core, appender, queue }: WriteParts,
  prepared: PreparedWrite,
  { durability, signal, compression }: WriteSettings,
): Promise<Appended> {
  const write = compressWrite(prepared, core.compressor, compression);
  const { key, lent, value } = write;
  const large = value !== undefined && core.isLarge(key.length, value.length);
  try {
    throwIfAborted(signal);
    if (core.log.space.length === 0 && lent === undefined && !large) {
      const appended = appender.append([write], durability);
      if (appended !== undefined) return appended;
    }
    const bytes = Math.max(write.space, value?.length ?? 0);
    core.pending.admit(bytes);
    const own = ownWrite(core, write);
    return await core.pending.during(
      [],
      bytes,
      () => queue.appendInTurn([own], durability, signal),
    );
  } catch (error) {
    // No record points at its file.
    if (write.file !== undefined) core.blobs.discard(write.file);
    throw error;
  } finally {
    giveBack([write]);
  }
}
