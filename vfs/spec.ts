import { DenoFs } from "./deno_fs.ts";
import { ProxyFs } from "./proxy_fs.ts";
import type { Fs, FsSpec } from "./types.ts";

/** Makes, in this thread, the file system that `spec` describes. */
export function fsFromSpec(spec: FsSpec): Fs {
  switch (spec.kind) {
    case "deno":
      return new DenoFs();
    case "proxy":
      return new ProxyFs(spec);
  }
}
