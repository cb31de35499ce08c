import assert from "node:assert/strict";
import {
  CrashFs,
  DenoFs,
  FaultFs,
  type Fs,
  type FsServer,
  MemFs,
  serveFs,
  VirtualFs,
  withMetrics,
} from "../../vfs/mod.ts";
import { conformanceCases } from "./conformance.ts";
import type { ProxyOutcome, ProxyTask } from "./_proxy_worker.ts";

/** What the conformance suite says in a worker, on a file system that this thread serves. */
async function outcomesInWorker(server: FsServer, root: string): Promise<ProxyOutcome[]> {
  const url = new URL("./_proxy_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const outcomes = await new Promise<ProxyOutcome[]>((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage({ spec: server.spec, root } satisfies ProxyTask);
  });
  worker.terminate();
  return outcomes;
}

/** Runs the conformance suite in a worker. */
async function runInWorker(fs: Fs, root: string, dataBytes?: number): Promise<void> {
  using server = serveFs(fs, dataBytes === undefined ? {} : { dataBytes });
  const outcomes = await outcomesInWorker(server, root);
  assert.equal(outcomes.length, conformanceCases.length);
  const failed = outcomes.filter(({ error }) => error !== undefined);
  assert.deepEqual(failed, [], failed.map(({ name, error }) => `${name}: ${error}`).join("\n"));
  assert.equal(server.openHandles, 0, "the suite leaves nothing open");
}

Deno.test("ProxyFs in a worker passes the conformance suite over MemFs", () =>
  runInWorker(new MemFs(), "/"));

Deno.test("ProxyFs in a worker passes the conformance suite in pieces of 512 bytes", () =>
  runInWorker(new MemFs(), "/", 512));

Deno.test("ProxyFs in a worker passes the conformance suite over CrashFs and FaultFs", () =>
  runInWorker(new FaultFs(new CrashFs()), "/"));

Deno.test("ProxyFs in a worker passes the conformance suite over MemFs({ strict: false }), VirtualFs and metrics", () => {
  const inner = withMetrics(new MemFs({ strict: false }));
  return runInWorker(new VirtualFs(inner, { maxOpen: 2 }), "/");
});

Deno.test("ProxyFs in a worker passes the conformance suite over DenoFs", async () => {
  const root = Deno.makeTempDirSync();
  try {
    await runInWorker(new DenoFs(), root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("serveFs().close() makes calls of other threads throw CLOSED", async () => {
  const server = serveFs(new MemFs());
  server.close();
  server.close();
  const outcomes = await outcomesInWorker(server, "/");
  for (const { error } of outcomes) assert.match(error ?? "", /serves it no more/);
});

Deno.test("serveFs() serves several threads at once", async () => {
  const fs = new MemFs();
  using server = serveFs(fs);
  const all = await Promise.all(["/one", "/two"].map((root) => outcomesInWorker(server, root)));
  assert.deepEqual(all.flat().filter(({ error }) => error !== undefined), []);
  assert.equal(fs.openHandles, 0);
});
