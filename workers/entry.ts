import { Control } from "../wal/mod.ts";
import { Driver } from "./driver.ts";
import { ENDED, READY, type ToWorker, WORKER_NAME_PREFIX } from "./protocol.ts";

/** Where the Worker's code is: this file. */
export const WORKER_URL: URL = new URL(import.meta.url);

/**
 * The thread's life: a start message, then buffers; in between the driver has the thread to itself.
 * A failure that nobody foresaw is told through the control block, like all others.
 */
function serve(scope: DedicatedWorkerGlobalScope): void {
  let driver: Driver | undefined;
  let control: Control | undefined;
  scope.onmessage = (event: MessageEvent<ToWorker>) => {
    const message = event.data;
    try {
      if (message.type === "start") {
        control = new Control(message.control);
        driver = new Driver(message);
        scope.postMessage(READY);
      } else {
        driver?.setBuffer(message.slot, message.generation, message.buffer);
      }
      if (driver === undefined || driver.run()) return;
    } catch (error) {
      control?.fail(error);
    }
    scope.postMessage(ENDED);
    scope.close();
  };
}

// The host imports this file too, so that `deno cache` sees it; there it must do nothing.
if (
  typeof DedicatedWorkerGlobalScope !== "undefined" &&
  self instanceof DedicatedWorkerGlobalScope && self.name.startsWith(WORKER_NAME_PREFIX)
) serve(self);
