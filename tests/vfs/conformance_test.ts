import {
  CrashFs,
  DenoFs,
  FaultFs,
  type Fs,
  MemFs,
  VirtualFs,
  withDiskFull,
  withDiskHealth,
  withLogging,
  withMetrics,
  withSyncing,
  withTracking,
} from "../../vfs/mod.ts";
import { type ConformanceTarget, testConformance } from "./conformance.ts";

function denoTarget(): ConformanceTarget {
  const root = Deno.makeTempDirSync();
  return { fs: new DenoFs(), root, close: () => Deno.removeSync(root, { recursive: true }) };
}

testConformance("DenoFs", denoTarget);
testConformance("MemFs", () => ({ fs: new MemFs(), root: "/" }));
testConformance("MemFs below the root", () => {
  const fs = new MemFs();
  fs.mkdirAll("deep/er");
  return { fs, root: "deep/er" };
});
testConformance(
  "MemFs({ strict: false })",
  () => ({ fs: new MemFs({ strict: false }), root: "/" }),
);
testConformance("MemFs({ windows: true })", () => ({
  fs: new MemFs({ windows: true }),
  root: "/",
  windows: true,
}));
testConformance("MemFs({ capacityBytes })", () => ({
  fs: new MemFs({ capacityBytes: 1 << 20 }),
  root: "/",
}));
testConformance("MemFs, a crash clone", () => ({
  fs: new MemFs().crashClone({ keep: "synced" }),
  root: "/",
}));
testConformance("CrashFs", () => ({ fs: new CrashFs(), root: "/" }));
testConformance(
  "CrashFs over MemFs",
  () => ({ fs: new CrashFs({ over: new MemFs() }), root: "/" }),
);
testConformance("CrashFs over DenoFs", () => {
  const { fs: over, root, close } = denoTarget();
  return { fs: new CrashFs({ over, root }), root, ...(close && { close }) };
});
testConformance("FaultFs without rules", () => ({ fs: new FaultFs(new MemFs()), root: "/" }));
for (const maxOpen of [1, 16]) {
  testConformance(`VirtualFs({ maxOpen: ${maxOpen} }) over MemFs`, () => {
    return { fs: new VirtualFs(new MemFs(), { maxOpen }), root: "/" };
  });
  testConformance(`VirtualFs({ maxOpen: ${maxOpen} }) over DenoFs`, () => {
    const { fs: inner, root, close } = denoTarget();
    return { fs: new VirtualFs(inner, { maxOpen }), root, ...(close && { close }) };
  });
}

const wrappers: Record<string, (fs: Fs) => Fs> = {
  withDiskFull: (fs) => withDiskFull(fs, () => {}),
  withDiskHealth,
  withLogging: (fs) => withLogging(fs, () => {}),
  withMetrics,
  withSyncing: (fs) => withSyncing(fs, { bytesPerSync: 4096, preallocateBytes: 4096 }),
  withTracking,
  everything: (fs) => {
    const checked = withDiskFull(withDiskHealth(withMetrics(fs)), () => {});
    return withTracking(withSyncing(new VirtualFs(checked, { maxOpen: 2 })));
  },
};
for (const [label, wrap] of Object.entries(wrappers)) {
  testConformance(`${label} over MemFs`, () => ({ fs: wrap(new MemFs()), root: "/" }));
  testConformance(`${label} over DenoFs`, () => {
    const { fs: inner, root, close } = denoTarget();
    return { fs: wrap(inner), root, ...(close && { close }) };
  });
}
