/// <reference lib="deno.worker" />
import { DenoFs, FlagstoneError } from "../../vfs/mod.ts";

/** Tries to lock the path it is told, and tells what came of it. */
self.onmessage = (event: MessageEvent<string>) => {
  try {
    new DenoFs().lock(event.data).close();
    self.postMessage("locked");
  } catch (error) {
    self.postMessage(error instanceof FlagstoneError ? error.code : String(error));
  }
};
