import { CODEC_WORKER_NAME, type CodecJob, type CodecResult } from "./protocol.ts";
import { compressValue } from "./value.ts";
import { zstd } from "./zstd.ts";

/** Where the thread's code is: this file. */
export const CODEC_WORKER_URL: URL = new URL(import.meta.url);

function work(job: CodecJob): CodecResult {
  if (job.type === "decompress") {
    return { type: "raw", job: job.job, raw: zstd.decompress(job.compressed, job.rawBytes) };
  }
  const memory = new Uint8Array(job.memory);
  const stored = compressValue(zstd, memory.subarray(0, job.rawBytes), job.level);
  if (stored !== undefined) memory.set(stored, job.storedAt);
  return { type: "compressed", job: job.job, storedBytes: stored?.length ?? 0 };
}

function serve(scope: DedicatedWorkerGlobalScope): void {
  scope.onmessage = ({ data }: MessageEvent<CodecJob>) => {
    let result: CodecResult;
    try {
      result = work(data);
    } catch (error) {
      result = { type: "failed", job: data.job, message: String(error) };
    }
    scope.postMessage(result, result.type === "raw" ? [result.raw.buffer] : []);
  };
}

// The owner imports this file too, so that `deno cache` sees it; there it must do nothing.
if (
  typeof DedicatedWorkerGlobalScope !== "undefined" &&
  self instanceof DedicatedWorkerGlobalScope && self.name === CODEC_WORKER_NAME
) serve(self);
