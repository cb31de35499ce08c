import { fsError } from "./_check.ts";
import { type Chooser, EveryChooser, SeededChooser } from "./_chooser.ts";
import { chooseSurvivors, type NameOrder } from "./_crash_survivors.ts";
import { DataHistory } from "./_data_history.ts";
import { allVisible, type Survivors } from "./_mem_clone.ts";
import { MirrorFile } from "./_mirror_file.ts";
import { copyTree, replaceTree, treeKey } from "./_tree_copy.ts";
import { internalsOf, MemFs } from "./mem_fs.ts";
import type { SyncKind } from "./mem_options.ts";
import { normalizePath } from "./paths.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/** How a {@linkcode CrashFs} is made; all of it may be left out. */
export interface CrashFsOptions {
  /** Windows semantics, as in `MemFsOptions`. Default false. */
  readonly windows?: boolean;
  /** Space for content in bytes, as in `MemFsOptions`. Default: no limit. */
  readonly capacityBytes?: number;
  /**
   * A file system that has the files, where memory shall not: every call goes to it first, and a
   * crash rewrites it. What is in {@linkcode root} now counts as synced.
   */
  readonly over?: Fs;
  /** The directory of `over` that this is about; paths outside of it throw `INVALID`. Default "/". */
  readonly root?: string;
}

/** Which of the states that a power loss can leave. */
export interface CrashOptions {
  /** Decides everything; the same seed after the same calls gives the same state. */
  readonly seed: number;
  /**
   * What the disk writes in one piece: a sector of 512 bytes, or a block of 4096. Default: the seed
   * chooses.
   */
  readonly unitBytes?: 512 | 4096;
  /** The probability that a unit of data survives unsynced. Default: the seed chooses. */
  readonly keepData?: number;
  /** The probability that a change of a length or of a name survives unsynced. Default: the seed chooses. */
  readonly keepNames?: number;
  /**
   * `journalled`: changes of names survive in their order, and any sync takes all before it along
   * (as on ext4). `weak`: each survives or not by itself, only moves are atomic. Default: the seed
   * chooses.
   */
  readonly names?: "journalled" | "weak";
}

/** What {@linkcode CrashFs.everyCrash} goes through. */
export interface EveryCrashOptions {
  /** What the disk writes in one piece. Default 4096. */
  readonly unitBytes?: 512 | 4096;
  /** Only one of the two ways of writing names. Default: both. */
  readonly names?: "journalled" | "weak";
  /** More combinations than this throw `INVALID`: the history is too long to enumerate. Default 100,000. */
  readonly limit?: number;
}

/**
 * A file system that can lose power: what was synced survives; of what was not, each sector or
 * block of data and each change of a name survives or not, as the seed decides, in any order.
 *
 * - A file's data is durable once the file is synced; its name, once its directory is. An unlinked
 *   file may come back, a renamed one have its old name; a rename happened or did not.
 * - A length may be durable without the data: the gap reads as zeros.
 * - A sync that a `FaultFs` around this makes fail can drop what was written: no later sync brings
 *   it back.
 *
 * Keeps every unsynced write in memory; otherwise as `MemFs`. One thread.
 */
export class CrashFs implements Fs {
  /** Always `crash`. */
  readonly name = "crash";
  #model: MemFs;
  readonly #over: Fs | undefined;
  readonly #root: string;
  readonly #mirrors = new Set<MirrorFile>();
  readonly #innerLocks = new Set<Lock>();

  /** An empty file system, or one over the files of another. */
  constructor(options: CrashFsOptions = {}) {
    const windows = options.windows ?? false;
    const { capacityBytes } = options;
    this.#model = new MemFs(capacityBytes === undefined ? { windows } : { windows, capacityBytes });
    this.#over = options.over;
    this.#root = normalizePath(options.root ?? "/");
    if (this.#over === undefined) {
      internalsOf(this.#model).rememberHistory(() => new DataHistory());
      return;
    }
    copyTree(this.#over, this.#model, this.#root);
    const internals = internalsOf(this.#model);
    internals.rememberHistory(() => new DataHistory());
    // A clone of all that is visible: it counts as synced.
    this.#model = internals.clone(allVisible);
  }

  /** Called around each sync, as `MemFs.onSync` is. */
  get onSync(): ((path: string, kind: SyncKind, when: "before" | "after") => void) | undefined {
    return this.#model.onSync;
  }
  set onSync(hook: ((path: string, kind: SyncKind, when: "before" | "after") => void) | undefined) {
    this.#model.onSync = hook;
  }

  /**
   * A new file system, in memory, with what a crash at this moment leaves. The original goes on;
   * locks and handles stay with it. The clone can crash again.
   */
  crashClone(options: CrashOptions): CrashFs {
    return CrashFs.#of(internalsOf(this.#model).clone(this.#survivorsBySeed(options)));
  }

  /**
   * Loses power, in place: all handles of before are dead (`CLOSED`), all locks are free. Over
   * another file system its tree is rewritten; what that throws is thrown.
   */
  crash(options: CrashOptions): void {
    internalsOf(this.#model).crash(this.#survivorsBySeed(options));
    if (this.#over === undefined) return;
    for (const mirror of [...this.#mirrors]) mirror.close();
    for (const lock of this.#innerLocks) lock.close();
    this.#innerLocks.clear();
    replaceTree(this.#model, this.#over, this.#root);
  }

  /**
   * Every different state that a crash at this moment can leave, each once. For histories of a few
   * unsynced changes: the number of states doubles with each.
   */
  *everyCrash(options: EveryCrashOptions = {}): Generator<CrashFs, void, undefined> {
    const limit = options.limit ?? 100_000;
    const seen = new Set<string>();
    let combinations = 0;
    const orders: NameOrder[] = options.names === undefined
      ? ["journalled", "weak"]
      : [options.names];
    for (const names of orders) {
      const chooser = new EveryChooser();
      do {
        if (++combinations > limit) {
          throw fsError("INVALID", "everyCrash", "/", `more than ${limit} combinations`);
        }
        const state = internalsOf(this.#model).clone(
          this.#survivors(names, options.unitBytes ?? 4096, chooser),
        );
        const key = treeKey(state, "/");
        if (seen.has(key)) continue;
        seen.add(key);
        yield CrashFs.#of(state);
      } while (chooser.next());
    }
  }

  /** The tree, as `MemFs.toString` prints it. */
  toString(): string {
    return this.#model.toString();
  }

  /** How many handles are open. */
  get openHandles(): number {
    return this.#model.openHandles;
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    this.#check("create", path);
    return this.#mirror((fs) => fs.create(path));
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    this.#check("open", path);
    return this.#mirror((fs) => fs.open(path));
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    this.#check("openReadWrite", path);
    return this.#mirror((fs) => fs.openReadWrite(path));
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    this.#check("openDir", path);
    return this.#mirror((fs) => fs.openDir(path));
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    this.#check("link", existing, path);
    this.#both((fs) => fs.link(existing, path));
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#check("remove", path);
    this.#both((fs) => fs.remove(path));
  }

  /** See {@linkcode Fs.removeAll}. */
  removeAll(path: string): void {
    this.#check("removeAll", path);
    this.#both((fs) => fs.removeAll(path));
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    this.#check("rename", from, to);
    this.#both((fs) => fs.rename(from, to));
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    this.#check("reuseForWrite", from, to);
    return this.#mirror((fs) => fs.reuseForWrite(from, to));
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#check("mkdirAll", path);
    this.#both((fs) => fs.mkdirAll(path));
  }

  /** See {@linkcode Fs.lock}. */
  lock(path: string): Lock {
    this.#check("lock", path);
    const inner = this.#over?.lock(path);
    if (inner === undefined) return this.#model.lock(path);
    const lock = this.#model.lock(path);
    this.#innerLocks.add(inner);
    const close = () => {
      lock.close();
      inner.close();
      this.#innerLocks.delete(inner);
    };
    return { close, [Symbol.dispose]: close };
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    this.#check("list", path);
    return (this.#over ?? this.#model).list(path);
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    this.#check("stat", path);
    return (this.#over ?? this.#model).stat(path);
  }

  /** See {@linkcode Fs.diskUsage}. */
  diskUsage(path: string): DiskUsage {
    this.#check("diskUsage", path);
    return (this.#over ?? this.#model).diskUsage(path);
  }

  #survivorsBySeed(options: CrashOptions): Survivors {
    const chooser = new SeededChooser(options.seed, options.keepData, options.keepNames);
    const bySeed: { names: NameOrder; unitBytes: number } = {
      names: chooser.pick(2) === 0 ? "journalled" : "weak",
      unitBytes: chooser.pick(2) === 0 ? 512 : 4096,
    };
    return this.#survivors(
      options.names ?? bySeed.names,
      options.unitBytes ?? bySeed.unitBytes,
      chooser,
    );
  }

  #survivors(names: NameOrder, unitBytes: number, chooser: Chooser): Survivors {
    return chooseSurvivors(internalsOf(this.#model).journal, names, unitBytes, chooser);
  }

  static #of(model: MemFs): CrashFs {
    const fs = new CrashFs();
    fs.#model = model;
    return fs;
  }

  #mirror(open: (fs: Fs) => File): File {
    if (this.#over === undefined) return open(this.#model);
    const inner = open(this.#over);
    const mirror = new MirrorFile(inner, open(this.#model), () => this.#mirrors.delete(mirror));
    this.#mirrors.add(mirror);
    return mirror;
  }

  #both(change: (fs: Fs) => void): void {
    // The real one first: what it refuses has not happened.
    if (this.#over !== undefined) change(this.#over);
    change(this.#model);
  }

  #check(operation: string, ...paths: string[]): void {
    if (this.#over === undefined || this.#root === "/") return;
    for (const path of paths) {
      const normal = normalizePath(path);
      if (normal === "" || normal === this.#root || normal.startsWith(`${this.#root}/`)) continue;
      throw fsError("INVALID", operation, path, `it is not below ${this.#root}`);
    }
  }
}
