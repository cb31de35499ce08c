import { FlagstoneError } from "../errors/mod.ts";
import type { StoreCore } from "./core.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import { NO_CONDITION } from "./write_settings.ts";

/**
 * Throws `CONFLICT` unless the key that `core.keys` holds has the version `condition` (0: no value).
 * Call it with the key locked: then it is the version that the write will replace.
 */
export function checkCondition(core: StoreCore, condition: number, index?: number): void {
  const version = core.find() ? core.index.sequence : 0;
  if (version === condition) return;
  const found = version === 0 ? "the key has no value" : `the key has version ${version}`;
  const wanted = condition === 0 ? "none was expected" : `version ${condition} was expected`;
  const which = index === undefined ? "" : ` the batch: of operation ${index},`;
  throw new FlagstoneError(
    "CONFLICT",
    `Cannot write${which || ":"} ${found}, ${wanted}. Read the key again, and decide anew.`,
    index === undefined ? { version } : { version, index },
  );
}

/** As {@linkcode checkCondition}, for every write that has a condition; all keys are locked. */
export function checkConditions(core: StoreCore, writes: readonly PreparedWrite[]): void {
  for (const { key, flags, condition, index } of writes) {
    if (condition === NO_CONDITION) continue;
    core.keys.load(key, flags);
    checkCondition(core, condition, index);
  }
}
