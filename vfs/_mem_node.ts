import { MemContent } from "./_mem_content.ts";

/** A file: content and what refers to it. Hard links are names of one node. */
export class FileNode {
  readonly inode: number;
  readonly content: MemContent;
  /** Names that readers see. */
  links = 0;
  /** Open handles and locks. */
  handles = 0;

  constructor(inode: number, content: MemContent) {
    this.inode = inode;
    this.content = content;
  }

  /** To be called when a name or a handle has gone: without any, the space is free. */
  releaseIfGone(): void {
    if (this.links === 0 && this.handles === 0) this.content.release();
  }
}

/** A directory: its entries as readers see them, as the disk holds them, and the changes between. */
export class DirNode {
  readonly inode: number;
  readonly entries = new Map<string, MemNode>();
  /** Entries that survive a power loss that takes all that was not synced. */
  readonly disk = new Map<string, MemNode>();
  /** Changes that are not on the disk, oldest first. */
  pending: NameChange[] = [];
  handles = 0;
  /** False once removed: nothing can be created in it. */
  exists = true;

  constructor(inode: number) {
    this.inode = inode;
  }
}

/** What a name can lead to. */
export type MemNode = FileNode | DirNode;

/** One name given to a node, or taken away (node undefined). */
export interface NameEdit {
  readonly dir: DirNode;
  readonly name: string;
  readonly node: MemNode | undefined;
}

/** One change of names, all of it or nothing: a rename is two edits. */
export interface NameChange {
  /** Ascending over the file system. */
  readonly order: number;
  readonly kind: "create" | "mkdir" | "link" | "remove" | "rename";
  edits: readonly NameEdit[];
}

/**
 * The order of all changes of names. A change is durable once one of its directories is synced,
 * with all of its edits: renames are atomic.
 */
export class NameJournal {
  readonly #tracked: boolean;
  #order = 0;
  #forced = 0;
  readonly #unsynced = new Set<DirNode>();

  /** `tracked` false: every change is durable at once. */
  constructor(tracked: boolean) {
    this.#tracked = tracked;
  }

  /**
   * The newest change at the last sync of anything: a file system with one journal has written
   * that one and all before it.
   */
  get forced(): number {
    return this.#forced;
  }

  /** To be called at each sync of a file. */
  force(): void {
    this.#forced = this.#order;
  }

  /** All changes that are not on the disk, oldest first. */
  unsynced(): NameChange[] {
    const changes = new Set<NameChange>();
    for (const dir of this.#unsynced) for (const change of dir.pending) changes.add(change);
    return [...changes].sort((a, b) => a.order - b.order);
  }

  /** Makes a change visible and remembers it until it is durable. */
  apply(kind: NameChange["kind"], edits: readonly NameEdit[]): void {
    for (const { dir, name, node } of edits) setEntry(dir.entries, name, node);
    if (!this.#tracked) return;
    const change: NameChange = { order: ++this.#order, kind, edits };
    for (const dir of new Set(edits.map((edit) => edit.dir))) {
      dir.pending.push(change);
      this.#unsynced.add(dir);
    }
  }

  /** Makes every change of `dir` durable. */
  sync(dir: DirNode): void {
    this.force();
    const changes = dir.pending;
    dir.pending = [];
    this.#unsynced.delete(dir);
    for (const change of changes) this.#writeBack(change, dir);
  }

  /** `home` is a directory whose older changes are all written already. */
  #writeBack(change: NameChange, home: DirNode | undefined): void {
    for (const { dir, name, node } of change.edits) {
      if (dir !== home) {
        // The other half of a move. What it rests on goes first; older changes of the name no
        // longer count.
        for (const earlier of dir.pending) {
          if (mustPrecede(earlier, change)) this.#writeBack(earlier, undefined);
        }
        dir.pending = dir.pending.filter((pending) => {
          if (pending === change) return false;
          if (pending.order > change.order) return true;
          pending.edits = pending.edits.filter((edit) => edit.dir !== dir || edit.name !== name);
          return pending.edits.length > 0;
        });
      }
      setEntry(dir.disk, name, node);
    }
  }

  /**
   * A sync of a directory that failed: each change either reached the disk or never will, whatever
   * is synced later. Readers go on seeing it.
   */
  failSync(dir: DirNode, reached: () => boolean): void {
    const changes = dir.pending;
    for (const change of changes) {
      // A move that another one rested on may have gone along already.
      if (reached() && dir.pending.includes(change)) this.#writeBack(change, undefined);
    }
    for (const change of dir.pending) {
      for (const { dir: other } of change.edits) {
        if (other !== dir) other.pending = other.pending.filter((pending) => pending !== change);
      }
    }
    dir.pending = [];
    this.#unsynced.delete(dir);
  }
}

/**
 * True if `change` cannot be on the disk without `earlier`, or a moved node would be lost or have
 * two names: it touches the name that a move took away, or moves on what a move brought.
 */
export function mustPrecede(earlier: NameChange, change: NameChange): boolean {
  if (earlier.kind !== "rename" || earlier.order >= change.order) return false;
  for (const moved of earlier.edits) {
    for (const edit of change.edits) {
      if (edit.dir !== moved.dir || edit.name !== moved.name) continue;
      if (moved.node === undefined) return true;
      if (change.kind !== "rename" || edit.node !== undefined) continue;
      if (change.edits.some(({ node }) => node === moved.node)) return true;
    }
  }
  return false;
}

/** Gives a name to a node, or takes it away. */
export function setEntry(
  entries: Map<string, MemNode>,
  name: string,
  node: MemNode | undefined,
): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}
