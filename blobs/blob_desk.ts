import { FlagstoneError } from "../errors/mod.ts";
import { type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import { BlobFileWriter } from "./blob_file_writer.ts";
import { blobName } from "./format.ts";
import type { BlobJob, BlobResult } from "./protocol.ts";

/** Does the jobs of a `BlobWriter`, one after another: in a thread of its own, or on the caller's. */
export class BlobDesk {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #storeId: Uint8Array;
  readonly #files = new Map<number, BlobFileWriter>();

  /** Works on files in `directory`. */
  constructor(fs: Fs, directory: string, storeId: Uint8Array) {
    this.#fs = fs;
    this.#directory = directory;
    this.#storeId = storeId;
  }

  /** Does a job; of a file for which one failed, nothing is left. Never throws. */
  work(job: BlobJob): BlobResult {
    try {
      return this.#work(job);
    } catch (error) {
      this.#files.get(job.number)?.abort();
      this.#files.delete(job.number);
      return failed(job.job, error);
    }
  }

  #work({ job, number, ...task }: BlobJob): BlobResult {
    switch (task.type) {
      case "start":
        break;
      case "create": {
        const file = BlobFileWriter.create(this.#fs, this.#directory, number, this.#storeId);
        this.#files.set(number, file);
        break;
      }
      case "append":
        this.#file(number).append(task.bytes);
        break;
      case "finish": {
        const reference = this.#file(number).finish();
        try {
          syncDirectory(this.#fs, this.#directory);
        } catch (error) {
          // Nobody relies on any name from now on, so it is left to the next open of the store.
          this.#files.delete(number);
          return { ...failed(job, error), namesInDoubt: true };
        }
        this.#files.delete(number);
        return { job, reference };
      }
      case "abort":
        this.#files.get(number)?.abort();
        this.#files.delete(number);
        break;
      case "remove":
        this.#remove(number);
        break;
    }
    return { job };
  }

  #file(number: number): BlobFileWriter {
    const file = this.#files.get(number);
    if (file !== undefined) return file;
    throw new FlagstoneError("CLOSED", `File ${blobName(number)} was given up.`);
  }

  #remove(number: number): void {
    this.#files.delete(number);
    this.#fs.removeAll(joinPath(this.#directory, blobName(number)));
  }
}

function failed(job: number, error: unknown): BlobResult {
  const known = error instanceof FlagstoneError
    ? error
    : new FlagstoneError("IO", `A large value was not written: ${error}`, { cause: error });
  const { code, message, path, offset, operation } = known;
  return { job, error: { code, message, path, offset, operation } };
}
