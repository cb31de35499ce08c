import { checkPath, fsError } from "./_check.ts";
import { allVisible, cloneTree, onlySynced, type Survivors } from "./_mem_clone.ts";
import { type ContentHistory, type Image, MemContent } from "./_mem_content.ts";
import { dirInfo, fileInfo, type HandleHost, MemDirHandle, MemFileHandle } from "./_mem_handle.ts";
import type { MemInternals } from "./_mem_internals.ts";
import { DirNode, FileNode, type MemNode, NameJournal } from "./_mem_node.ts";
import { MemSpace, PAGE_BYTES } from "./_mem_space.ts";
import { type MemPlace, MemTree } from "./_mem_tree.ts";
import type { MemCrashOptions, MemFsOptions, SyncKind } from "./mem_options.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

let devices = 0;

/** The way in for the rest of this folder. */
export let internalsOf: (fs: MemFs) => MemInternals<MemFs>;

/**
 * A file system in memory that knows what a power loss would leave: the content of each file as of
 * its last sync, and the names of each directory as of its last sync. Deterministic; made for tests
 * by the ten thousand. Relative paths begin at the root. One thread.
 */
export class MemFs implements Fs {
  /** Always `mem`. */
  readonly name: string = "mem";
  /**
   * Called twice for each sync that does something, before and after: the moments at which what a
   * crash leaves changes. May call {@linkcode crashClone}.
   */
  onSync: ((path: string, kind: SyncKind, when: "before" | "after") => void) | undefined;

  readonly #windows: boolean;
  readonly #strict: boolean;
  readonly #space: MemSpace;
  readonly #device = ++devices;
  readonly #locks = new Set<FileNode>();
  readonly #handles = new Set<MemFileHandle | MemDirHandle>();
  #tree: MemTree;
  #journal: NameJournal;
  #inodes = 1;
  #ignoreSyncs = false;
  #makeHistory: (() => ContentHistory) | undefined;

  static {
    internalsOf = (fs) => ({
      journal: fs.#journal,
      rememberHistory: (make) => {
        fs.#makeHistory = make;
      },
      clone: (survivors) => fs.#clone(survivors),
      crash: (survivors) => fs.#crash(survivors),
    });
  }

  /** An empty file system. */
  constructor(options: MemFsOptions = {}) {
    this.#strict = options.strict ?? true;
    this.#windows = options.windows ?? false;
    this.#space = new MemSpace(options.capacityBytes);
    this.#tree = new MemTree(new DirNode(this.#inodes));
    this.#journal = new NameJournal(this.#strict);
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    const place = this.#place("create", path);
    if (place.node instanceof DirNode) {
      throw fsError("IS_A_DIRECTORY", "create", path, "it is a directory");
    }
    if (place.node !== undefined) {
      this.#checkNotOpen("create", path, place.node);
      this.#unlink(place);
    }
    return this.#handle(path, this.#createFile(place), true);
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#handle(path, this.#file("open", path), false);
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    const place = this.#place("openReadWrite", path);
    if (place.node instanceof DirNode) {
      throw fsError("IS_A_DIRECTORY", "openReadWrite", path, "it is a directory");
    }
    return this.#handle(path, place.node ?? this.#createFile(place), true);
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    const handle = new MemDirHandle(path, this.#dir("openDir", path), this.#host);
    this.#handles.add(handle);
    return handle;
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    checkPath("link", existing);
    const node = this.#node("link", existing);
    if (node instanceof DirNode) {
      throw fsError("IS_A_DIRECTORY", "link", existing, "a directory has one name");
    }
    const place = this.#place("link", path);
    if (place.node !== undefined) throw fsError("EXISTS", "link", path, "the name is taken");
    this.#journal.apply("link", [{ dir: place.dir, name: place.name, node }]);
    node.links++;
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    const place = this.#place("remove", path);
    if (place.node === undefined) throw fsError("NOT_FOUND", "remove", path, "no such name");
    this.#checkNotOpen("remove", path, place.node);
    if (place.node instanceof DirNode && place.node.entries.size > 0) {
      throw fsError("NOT_EMPTY", "remove", path, "the directory is not empty");
    }
    this.#unlink(place);
  }

  /** See {@linkcode Fs.removeAll}. The root is refused. */
  removeAll(path: string): void {
    checkPath("removeAll", path);
    const place = this.#tree.find(path);
    if (place?.dir === undefined) {
      if (place?.node === undefined) return;
      throw fsError("INVALID", "removeAll", path, "that is the whole file system");
    }
    if (place.node === undefined) return;
    this.#checkTreeNotOpen("removeAll", path, place.node);
    this.#unlinkTree({ dir: place.dir, name: place.name, node: place.node });
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    this.#rename("rename", from, to);
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    const node = this.#node("reuseForWrite", from);
    if (node instanceof DirNode) {
      throw fsError("IS_A_DIRECTORY", "reuseForWrite", from, "it is a directory");
    }
    this.#rename("reuseForWrite", from, to);
    return this.#handle(to, node, true);
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    checkPath("mkdirAll", path);
    let dir = this.#tree.root;
    for (const name of MemTree.names(path)) {
      let node = dir.entries.get(name);
      if (node === undefined) {
        node = new DirNode(++this.#inodes);
        this.#journal.apply("mkdir", [{ dir, name, node }]);
      } else if (node instanceof FileNode) {
        throw fsError("NOT_A_DIRECTORY", "mkdirAll", path, `a file has the name ${name}`);
      }
      dir = node;
    }
  }

  /** See {@linkcode Fs.lock}. Held by this file system object, not by its crash clones. */
  lock(path: string): Lock {
    const place = this.#place("lock", path);
    if (place.node instanceof DirNode) {
      throw fsError("IS_A_DIRECTORY", "lock", path, "it is a directory");
    }
    const node = place.node ?? this.#createFile(place);
    if (this.#locks.has(node)) {
      throw fsError("LOCKED", "lock", path, "another owner holds the lock");
    }
    this.#locks.add(node);
    node.handles++;
    let open = true;
    const close = () => {
      if (!open) return;
      open = false;
      // After a crash the lock is nobody's: the node is another one then.
      if (this.#locks.delete(node)) {
        node.handles--;
        node.releaseIfGone();
      }
    };
    return { close, [Symbol.dispose]: close };
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    return [...this.#dir("list", path).entries.keys()].sort();
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    const node = this.#node("stat", path);
    return node instanceof DirNode ? dirInfo(node, this.#device) : fileInfo(node, this.#device);
  }

  /** See {@linkcode Fs.diskUsage}. `UNSUPPORTED` without a capacity. */
  diskUsage(path: string): DiskUsage {
    this.#node("diskUsage", path);
    const total = this.#space.capacityBytes;
    if (total === undefined) {
      throw fsError("UNSUPPORTED", "diskUsage", path, "this file system has no capacity");
    }
    const used = this.#space.usedPages * PAGE_BYTES;
    return { totalBytes: total, usedBytes: used, availableBytes: Math.max(0, total - used) };
  }

  /** Changes the capacity while in use; undefined for none. What is there stays, even if it is more. */
  setCapacity(bytes: number | undefined): void {
    this.#space.capacityBytes = bytes;
  }

  /**
   * A new file system that holds what a crash at this moment leaves. The original goes on; locks
   * and open handles stay with it. `UNSUPPORTED` if not strict and `keep` is `synced`.
   */
  crashClone(options: MemCrashOptions): MemFs {
    if (options.keep === "synced") this.#checkStrict("crashClone");
    return this.#clone(options.keep === "synced" ? onlySynced : allVisible);
  }

  /** True: syncs succeed and do nothing, as on a disk that lies. `UNSUPPORTED` if not strict. */
  setIgnoreSyncs(ignore: boolean): void {
    this.#checkStrict("setIgnoreSyncs");
    this.#ignoreSyncs = ignore;
  }

  /**
   * Loses everything that was not synced, in place: all handles of before are closed, all locks
   * are free. `UNSUPPORTED` if not strict.
   */
  resetToSyncedState(): void {
    this.#checkStrict("resetToSyncedState");
    this.#crash(onlySynced);
  }

  /** How many handles are open; what a test asks to be 0 at its end. */
  get openHandles(): number {
    return this.#handles.size;
  }

  /** The tree: a line for each name with its size, two spaces deeper for each directory. */
  toString(): string {
    return this.#tree.print();
  }

  readonly #host: HandleHost = {
    device: this.#device,
    syncFile: (node, path, kind) => {
      const told = kind === "syncTo" ? "syncData" : kind;
      this.onSync?.(path, told, "before");
      if (!this.#ignoreSyncs) {
        node.content.sync();
        this.#journal.force();
      }
      this.onSync?.(path, told, "after");
    },
    syncDir: (node, path) => {
      this.onSync?.(path, "directory", "before");
      if (!this.#ignoreSyncs) this.#journal.sync(node);
      this.onSync?.(path, "directory", "after");
    },
    failSyncDir: (node, reached) => this.#journal.failSync(node, reached),
    closed: (handle) => this.#handles.delete(handle),
  };

  #options(): MemFsOptions {
    const base = { strict: this.#strict, windows: this.#windows };
    const capacityBytes = this.#space.capacityBytes;
    return capacityBytes === undefined ? base : { ...base, capacityBytes };
  }

  #clone(survivors: Survivors): MemFs {
    const clone = new MemFs(this.#options());
    clone.#makeHistory = this.#makeHistory;
    clone.#inodes = this.#inodes;
    clone.#take(this.#tree.root, survivors);
    return clone;
  }

  #crash(survivors: Survivors): void {
    const { root } = this.#tree;
    for (const handle of [...this.#handles]) handle.close();
    this.#locks.clear();
    this.#space.usedPages = 0;
    this.#journal = new NameJournal(this.#strict);
    this.#take(root, survivors);
  }

  /** Becomes what survives of a tree. */
  #take(root: DirNode, survivors: Survivors): void {
    const newContent = (image: Image) => this.#newContent(image);
    this.#tree = new MemTree(cloneTree(root, survivors, newContent));
  }

  #newContent(from?: Image): MemContent {
    const content = new MemContent(this.#space, this.#strict, from);
    content.history = this.#makeHistory?.();
    return content;
  }

  #checkStrict(operation: string): void {
    if (!this.#strict) {
      throw fsError("UNSUPPORTED", operation, "/", "the file system was made with strict: false");
    }
  }

  #handle(path: string, node: FileNode, writable: boolean): File {
    const handle = new MemFileHandle(path, node, this.#host, writable);
    this.#handles.add(handle);
    return handle;
  }

  #createFile(place: MemPlace): FileNode {
    const node = new FileNode(++this.#inodes, this.#newContent());
    this.#journal.apply("create", [{ dir: place.dir, name: place.name, node }]);
    node.links = 1;
    return node;
  }

  #unlink(place: MemPlace): void {
    this.#journal.apply("remove", [{ dir: place.dir, name: place.name, node: undefined }]);
    this.#unlinked(place.node);
  }

  #unlinked(node: MemNode | undefined): void {
    if (node instanceof FileNode) {
      node.links--;
      node.releaseIfGone();
    } else if (node !== undefined) {
      node.exists = false;
    }
  }

  #unlinkTree(place: MemPlace): void {
    if (place.node instanceof DirNode) {
      for (const [name, node] of [...place.node.entries]) {
        this.#unlinkTree({ dir: place.node, name, node });
      }
    }
    this.#unlink(place);
  }

  #rename(operation: string, from: string, to: string): void {
    checkPath(operation, to);
    const source = this.#place(operation, from);
    const target = this.#place(operation, to);
    const node = source.node;
    if (node === undefined) throw fsError("NOT_FOUND", operation, from, "no such name");
    if (target.node === node) return;
    this.#tree.checkRename(operation, from, to, node, target.node);
    if (target.node !== undefined) this.#checkNotOpen(operation, to, target.node);
    this.#journal.apply("rename", [
      { dir: source.dir, name: source.name, node: undefined },
      { dir: target.dir, name: target.name, node },
    ]);
    this.#unlinked(target.node);
  }

  #checkNotOpen(operation: string, path: string, node: MemNode): void {
    if (this.#windows && node.handles > 0) {
      throw fsError("BUSY", operation, path, "it is open");
    }
  }

  #checkTreeNotOpen(operation: string, path: string, node: MemNode): void {
    this.#checkNotOpen(operation, path, node);
    if (!this.#windows || node instanceof FileNode) return;
    for (const [name, child] of node.entries) {
      this.#checkTreeNotOpen(operation, `${path}/${name}`, child);
    }
  }

  #place(operation: string, path: string): MemPlace {
    checkPath(operation, path);
    return this.#tree.place(operation, path);
  }

  #node(operation: string, path: string): MemNode {
    checkPath(operation, path);
    return this.#tree.node(operation, path);
  }

  #file(operation: string, path: string): FileNode {
    const node = this.#node(operation, path);
    if (node instanceof FileNode) return node;
    throw fsError("IS_A_DIRECTORY", operation, path, "it is a directory");
  }

  #dir(operation: string, path: string): DirNode {
    const node = this.#node(operation, path);
    if (node instanceof DirNode) return node;
    throw fsError("NOT_A_DIRECTORY", operation, path, "it is no directory");
  }
}
