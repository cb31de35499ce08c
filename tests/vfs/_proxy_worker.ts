/// <reference lib="deno.worker" />
import { fsFromSpec, type FsSpec } from "../../vfs/mod.ts";
import { conformanceCases } from "./conformance.ts";

/** What the test tells its worker: where, and which. */
export interface ProxyTask {
  readonly spec: FsSpec;
  readonly root: string;
}

/** What the worker tells: for each case the error, if it failed. */
export type ProxyOutcome = { readonly name: string; readonly error: string | undefined };

self.onmessage = async (event: MessageEvent<ProxyTask>) => {
  const { spec, root } = event.data;
  const fs = fsFromSpec(spec);
  const outcomes: ProxyOutcome[] = [];
  for (const [index, { name, run }] of conformanceCases.entries()) {
    const dir = `${root}/${index}`;
    let error: string | undefined;
    try {
      fs.mkdirAll(dir);
      await run(fs, dir);
    } catch (failure) {
      error = failure instanceof Error ? failure.stack ?? failure.message : String(failure);
    }
    outcomes.push({ name, error });
  }
  self.postMessage(outcomes);
  self.close();
};
