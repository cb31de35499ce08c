import { denoError } from "./_deno_errors.ts";
import { toFileInfo } from "./_deno_file.ts";
import { DirHandle } from "./_dir_handle.ts";
import type { FileInfo } from "./types.ts";

/**
 * An open directory of the operating system. `file` is undefined on Windows, where Deno cannot open
 * a directory; NTFS journals its names by itself, so sync has nothing to do there.
 */
export class DenoDir extends DirHandle {
  readonly #file: Deno.FsFile | undefined;

  constructor(path: string, file: Deno.FsFile | undefined) {
    super(path);
    this.#file = file;
  }

  protected override syncEntries(operation: string): void {
    try {
      this.#file?.syncSync();
    } catch (error) {
      throw denoError(error, operation, this.path);
    }
  }

  protected override statOpen(): FileInfo {
    try {
      return toFileInfo(this.#file?.statSync() ?? Deno.statSync(this.path));
    } catch (error) {
      throw denoError(error, "stat", this.path);
    }
  }

  protected override closeOnce(): void {
    this.#file?.close();
  }
}
