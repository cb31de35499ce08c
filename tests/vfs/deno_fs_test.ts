import assert from "node:assert/strict";
import { type DenoDescriptor, DenoFile } from "../../vfs/_deno_file.ts";
import { denoError } from "../../vfs/_deno_errors.ts";
import { DenoFs, linkOrCopy } from "../../vfs/mod.ts";
import { bytes, readAll, text, throwsCode, writeAll } from "./_support.ts";

/** A descriptor in memory that moves at most `step` bytes a call and is interrupted every third time. */
class StutteringDescriptor implements DenoDescriptor {
  readonly content: number[] = [];
  calls = 0;
  /** What the next write throws. */
  failure: Error | undefined;
  readonly #step: number;
  #at = 0;

  constructor(step: number) {
    this.#step = step;
  }

  seekSync(offset: number | bigint): number {
    return this.#at = Number(offset);
  }

  readSync(into: Uint8Array): number | null {
    this.#maybeInterrupt();
    const found = this.content.slice(this.#at, this.#at + Math.min(this.#step, into.length));
    into.set(found);
    this.#at += found.length;
    return found.length === 0 && into.length > 0 ? null : found.length;
  }

  writeSync(from: Uint8Array): number {
    this.#maybeInterrupt();
    if (this.failure !== undefined) throw this.failure;
    const count = Math.min(this.#step, from.length);
    for (let i = 0; i < count; i++) this.content[this.#at + i] = from[i] ?? 0;
    this.#at += count;
    return count;
  }

  statSync(): Deno.FileInfo {
    throw new Error("not asked");
  }

  truncateSync(): void {}
  syncSync(): void {}
  syncDataSync(): void {}
  close(): void {}

  #maybeInterrupt(): void {
    if (++this.calls % 3 === 0) throw new Deno.errors.Interrupted("EINTR");
  }
}

function stuttering(step: number): { descriptor: StutteringDescriptor; file: DenoFile } {
  const descriptor = new StutteringDescriptor(step);
  const info = Deno.statSync(".");
  return { descriptor, file: new DenoFile("/stuttering", descriptor, true, info) };
}

/** Runs with an empty directory on the disk. */
function withRoot(test: (fs: DenoFs, root: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const root = Deno.makeTempDirSync();
    try {
      await test(new DenoFs(), root);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  };
}

Deno.test("DenoFs writes and reads all, over short counts and interruptions", () => {
  for (const step of [1, 2, 3, 100]) {
    const { descriptor, file } = stuttering(step);
    for (let i = 0; i < 7; i++) file.write(bytes(`part ${i},`));
    file.writeAt(bytes("PART"), 7);
    file.writeVectorAt([bytes("PA"), bytes("RT")], 14);
    const expected = "part 0,PART 1,PART 2,part 3,part 4,part 5,part 6,";
    assert.equal(String.fromCharCode(...descriptor.content), expected);
    const into = new Uint8Array(100);
    for (let i = 0; i < 7; i++) {
      assert.equal(file.readAt(into, 0), 49);
      assert.equal(text(into.subarray(0, 49)), expected);
      assert.equal(file.readAt(into.subarray(0, 10), 45), 4);
      assert.equal(file.read(into.subarray(0, 3)), 0, "the cursor is at the end");
    }
    assert.ok(descriptor.calls > 20);
  }
});

Deno.test("DenoFs passes on a write that fails half way, and knows where its cursor is", () => {
  const { descriptor, file } = stuttering(2);
  file.write(bytes("abcd"));
  descriptor.failure = new Error("No space left on device");
  Object.assign(descriptor.failure, { code: "ENOSPC" });
  throwsCode("NO_SPACE", () => file.write(bytes("lost")));
  descriptor.failure = undefined;
  file.write(bytes("EFGH"));
  assert.equal(String.fromCharCode(...descriptor.content), "abcdEFGH");
});

Deno.test("DenoFs throws where a device takes no bytes", () => {
  const { file } = stuttering(0);
  throwsCode("IO", () => file.write(bytes("x")));
});

Deno.test("DenoFs names every failure of the system", () => {
  const systemError = (code: string) => Object.assign(new Error(code), { code });
  const codes = {
    ENOENT: "NOT_FOUND",
    EEXIST: "EXISTS",
    ENOTEMPTY: "NOT_EMPTY",
    ENOTDIR: "NOT_A_DIRECTORY",
    EISDIR: "IS_A_DIRECTORY",
    ENOSPC: "NO_SPACE",
    EDQUOT: "NO_SPACE",
    EACCES: "PERMISSION",
    EPERM: "PERMISSION",
    EROFS: "READ_ONLY",
    EBUSY: "BUSY",
    EINVAL: "INVALID",
    EFBIG: "INVALID",
    ENOSYS: "UNSUPPORTED",
    EXDEV: "UNSUPPORTED",
    EMLINK: "UNSUPPORTED",
    EIO: "IO",
    EMFILE: "IO",
  };
  for (const [system, code] of Object.entries(codes)) {
    const cause = systemError(system);
    const error = denoError(cause, "writeAt", "/a");
    assert.deepEqual([error.code, error.operation, error.path], [code, "writeAt", "/a"]);
    assert.equal(error.cause, cause);
  }
  assert.equal(denoError(new Deno.errors.NotCapable("run again"), "open", "/a").code, "PERMISSION");
  assert.equal(denoError(new Deno.errors.BadResource("closed"), "read", "/a").code, "CLOSED");
  assert.equal(denoError("a string", "read", "/a").code, "IO");
});

Deno.test(
  "DenoFs.lock() keeps out other threads too",
  withRoot(async (fs, root) => {
    const worker = new Worker(new URL("./_lock_worker.ts", import.meta.url), { type: "module" });
    const tryLock = () => {
      return new Promise<string>((resolve) => {
        worker.onmessage = (event) => resolve(event.data);
        worker.postMessage(`${root}/LOCK`);
      });
    };
    const lock = fs.lock(`${root}/LOCK`);
    assert.equal(await tryLock(), "LOCKED");
    lock.close();
    assert.equal(await tryLock(), "locked");
    fs.lock(`${root}/LOCK`).close();
    worker.terminate();
  }),
);

Deno.test(
  "DenoFs.lock() of a file that replaced the locked one is another lock",
  withRoot((fs, root) => {
    using _first = fs.lock(`${root}/LOCK`);
    fs.remove(`${root}/LOCK`);
    using _second = fs.lock(`${root}/LOCK`);
    throwsCode("LOCKED", () => fs.lock(`${root}/LOCK`));
  }),
);

Deno.test(
  "DenoFs stats an open file though its path leads through a file by now",
  withRoot((fs, root) => {
    // Deno 2.9 resolves the old path before it stats a handle, unless all is permitted.
    fs.mkdirAll(`${root}/dir`);
    using file = fs.create(`${root}/dir/a`);
    file.write(bytes("content"));
    fs.removeAll(`${root}/dir`);
    writeAll(fs, `${root}/dir`, "");
    assert.equal(file.stat().size, 7);
    file.write(bytes("!"));
    const into = new Uint8Array(8);
    assert.equal(file.readAt(into, 0), 8);
    assert.equal(text(into), "content!");
  }),
);

Deno.test(
  "DenoFs.create() replaces a symbolic link, not what it leads to",
  withRoot((fs, root) => {
    writeAll(fs, `${root}/target`, "kept");
    Deno.symlinkSync(`${root}/target`, `${root}/link`);
    writeAll(fs, `${root}/link`, "new");
    assert.equal(text(readAll(fs, `${root}/target`)), "kept");
    assert.equal(text(readAll(fs, `${root}/link`)), "new");
  }),
);

Deno.test(
  "DenoFs.diskUsage() says what permission it lacks",
  withRoot((fs, root) => {
    const { state } = Deno.permissions.querySync({ name: "sys", kind: "statfs" });
    if (state === "granted") assert.ok(fs.diskUsage(root).totalBytes > 0);
    else throwsCode("PERMISSION", () => fs.diskUsage(root));
  }),
);

Deno.test(
  "P13: DenoFs.syncTo() is a full sync and says so",
  withRoot((fs, root) => {
    using file = fs.create(`${root}/a`);
    file.write(bytes("content"));
    assert.equal(file.syncTo(3), true);
  }),
);

Deno.test(
  "DenoFs.readAtAsync() serves any number of reads with a few handles, and closes them",
  withRoot(async (fs, root) => {
    const content = new Uint8Array(200_000).map((_, at) => at % 251);
    writeAll(fs, `${root}/a`, content);
    const file = fs.open(`${root}/a`);
    const read = async (offset: number) => {
      const into = new Uint8Array(1000);
      assert.equal(await file.readAtAsync(into, offset), 1000);
      assert.deepEqual(into, content.subarray(offset, offset + 1000));
    };
    const all = Array.from({ length: 200 }, (_, i) => read(i * 990));
    await Promise.all(all);
    await read(5);
    const late = Array.from({ length: 40 }, (_, i) => {
      return file.readAtAsync(new Uint8Array(10), i).catch((error) => error.code);
    });
    file.close();
    for (const outcome of await Promise.all(late)) {
      assert.ok(outcome === 10 || outcome === "CLOSED", String(outcome));
    }
  }),
);

Deno.test("DenoFs.list() refuses a name that is not UTF-8, and takes one that looks so", () => {
  const root = Deno.makeTempDirSync();
  const readDirSync = Deno.readDirSync;
  try {
    const fs = new DenoFs();
    fs.create(`${root}/a\uFFFD`).close();
    assert.deepEqual(fs.list(root), ["a\uFFFD"]);
    // What Deno tells of the name 62 FF, which no test can create without another program.
    Deno.readDirSync = function* (path) {
      yield* readDirSync(path);
      yield { name: "b\uFFFD", isFile: true, isDirectory: false, isSymlink: false };
    };
    throwsCode("INVALID", () => fs.list(root));
  } finally {
    Deno.readDirSync = readDirSync;
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("DenoFs.link() says that no hard link is possible, where the system says that it is not permitted", () => {
  const root = Deno.makeTempDirSync();
  const linkSync = Deno.linkSync;
  try {
    const fs = new DenoFs();
    fs.create(`${root}/a`).close();
    for (const [system, code] of [["EPERM", "UNSUPPORTED"], ["EACCES", "PERMISSION"]] as const) {
      // What Linux tells of a file on FAT; the file systems of a test have links.
      Deno.linkSync = () => {
        throw Object.assign(new Deno.errors.PermissionDenied(system), { code: system });
      };
      throwsCode(code, () => fs.link(`${root}/a`, `${root}/b`));
    }
    Deno.linkSync = () => {
      throw Object.assign(new Deno.errors.PermissionDenied("EPERM"), { code: "EPERM" });
    };
    assert.equal(linkOrCopy(fs, `${root}/a`, `${root}/b`), "copied");
  } finally {
    Deno.linkSync = linkSync;
    Deno.removeSync(root, { recursive: true });
  }
});
