import { ArgumentError, show } from "../errors/mod.ts";
import { orAborted, throwIfAborted } from "./aborting.ts";
import { appendLocked, type WriteParts } from "./append_locked.ts";
import { fingerprintOf } from "./pending_writes.ts";
import type { Key, Value } from "./types.ts";
import { prepareWrite, valueBytes } from "./write_arguments.ts";
import type { WriteSettings } from "./write_settings.ts";

/** What a user's function makes of the value that it is shown; `undefined`: none. */
export type Change = (
  old: Uint8Array | undefined,
) => Value | undefined | Promise<Value | undefined>;

/** Parts of an update. */
export interface UpdateParts extends WriteParts {
  /** Reads what the index has, whatever waits. */
  readonly read: (key: Key) => Promise<Uint8Array | undefined>;
}

/** Reads a key, calls `change`, and writes what it returns, with the key locked all the while: see `Store.update`. */
export async function updateKey(
  parts: UpdateParts,
  key: Key,
  change: Change,
  settings: WriteSettings,
): Promise<number | undefined> {
  const { core, read } = parts;
  const { signal } = settings;
  if (typeof change !== "function") {
    throw new ArgumentError("change", `An update needs a function: ${show(change)}`);
  }
  core.keys.set(key);
  throwIfAborted(signal);
  const own: Key = typeof key === "string" ? key : core.keys.copy();
  const { lock } = core.keys;
  const fingerprint = fingerprintOf(core.keys);
  // While the user's function runs, nothing is pending: flush and close do not wait for it. A close
  // or the signal takes the lock away from it, and what the function returns is dropped.
  let held = true;
  const giveUp = () => {
    if (held) core.locks.releaseKey(lock, fingerprint);
    held = false;
  };
  const closed = Promise.withResolvers<undefined>();
  const onClose = () => {
    giveUp();
    closed.resolve(undefined);
  };
  await orAborted(core.locks.acquire(lock, fingerprint), signal, giveUp);
  core.updates.add(onClose);
  try {
    core.assertWritable();
    const old = await read(own);
    const changed = Promise.race([Promise.try(change, old), closed.promise]);
    const value = await orAborted(changed, signal, () => {});
    core.assertWritable();
    const bytes = value === undefined ? undefined : valueBytes(value);
    core.keys.set(own);
    if (bytes === undefined && !core.find()) {
      await core.log.confirm(settings.durability, true);
      return undefined;
    }
    const { expiresAt } = settings;
    const write = prepareWrite(core.keys, bytes, { expiresAt });
    core.updates.delete(onClose);
    const appended = await appendLocked(parts, write, settings);
    giveUp();
    return await appended.acknowledged;
  } finally {
    core.updates.delete(onClose);
    giveUp();
  }
}
