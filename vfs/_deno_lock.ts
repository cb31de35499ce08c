import { fsError } from "./_check.ts";
import type { Lock } from "./types.ts";

/**
 * What this thread holds, by identity of the file: where the system's locks belong to the process
 * (some network file systems) a second holder in the same thread would otherwise get in.
 */
const held = new Set<string>();

/** How often a lock file that is replaced while it is being locked is opened anew. */
const RACE_ATTEMPTS = 100;

function identityOf(path: string, info: Deno.FileInfo): string {
  return info.ino ? `${info.dev}:${info.ino}` : Deno.realPathSync(path);
}

class DenoLock implements Lock {
  #file: Deno.FsFile | undefined;
  readonly #identity: string;

  constructor(file: Deno.FsFile, identity: string) {
    this.#file = file;
    this.#identity = identity;
  }

  close(): void {
    if (this.#file === undefined) return;
    const file = this.#file;
    this.#file = undefined;
    held.delete(this.#identity);
    // The descriptor's end is the lock's end.
    file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Takes the exclusive lock of the file at `path`, creating it if missing. Throws `LOCKED`, or what Deno throws. */
export function takeDenoLock(path: string): Lock {
  for (let attempt = 0; attempt < RACE_ATTEMPTS; attempt++) {
    const file = Deno.openSync(path, { read: true, write: true, create: true });
    try {
      const identity = identityOf(path, file.statSync());
      if (held.has(identity)) {
        throw fsError("LOCKED", "lock", path, "this process holds the lock already");
      }
      if (!file.tryLockSync(true)) {
        throw fsError("LOCKED", "lock", path, "another owner holds the lock");
      }
      // Between open and lock the name may have been given to another file, whose lock others take.
      if (identityNow(path) === identity) {
        held.add(identity);
        return new DenoLock(file, identity);
      }
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
  throw fsError("LOCKED", "lock", path, "the lock file is replaced again and again");
}

function identityNow(path: string): string | undefined {
  try {
    return identityOf(path, Deno.statSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
