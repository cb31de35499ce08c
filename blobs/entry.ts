import { fsFromSpec, withDiskHealth } from "../vfs/mod.ts";
import { BlobDesk } from "./blob_desk.ts";
import { BLOB_WORKER_NAME, type BlobJob } from "./protocol.ts";

/** Where the thread's code is: this file. */
export const BLOB_WORKER_URL: URL = new URL(import.meta.url);

function serve(scope: DedicatedWorkerGlobalScope): void {
  let desk: BlobDesk | undefined;
  scope.onmessage = ({ data }: MessageEvent<BlobJob>) => {
    if (data.type === "start") {
      const fs = withDiskHealth(fsFromSpec(data.fs), data.disk);
      desk = new BlobDesk(fs, data.directory, data.storeId);
    }
    scope.postMessage(desk!.work(data));
  };
}

// The owner imports this file too, so that `deno cache` sees it; there it must do nothing.
if (
  typeof DedicatedWorkerGlobalScope !== "undefined" &&
  self instanceof DedicatedWorkerGlobalScope && self.name === BLOB_WORKER_NAME
) serve(self);
