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

  /** `tracked` false: every change is durable at once. */
  constructor(tracked: boolean) {
    this.#tracked = tracked;
  }

  /** The order of the newest change. */
  get order(): number {
    return this.#order;
  }

  /** Makes a change visible and remembers it until it is durable. */
  apply(kind: NameChange["kind"], edits: readonly NameEdit[]): void {
    for (const { dir, name, node } of edits) setEntry(dir.entries, name, node);
    if (!this.#tracked) return;
    const change: NameChange = { order: ++this.#order, kind, edits };
    for (const dir of new Set(edits.map((edit) => edit.dir))) dir.pending.push(change);
  }

  /** Makes every change of `dir` durable. */
  sync(dir: DirNode): void {
    const changes = dir.pending;
    dir.pending = [];
    for (const change of changes) {
      for (const { dir: other, name, node } of change.edits) {
        setEntry(other.disk, name, node);
        if (other === dir) continue;
        // The other half of a rename: older changes of that name in its directory no longer count.
        other.pending = other.pending.filter((pending) => {
          if (pending === change) return false;
          if (pending.order < change.order) {
            pending.edits = pending.edits.filter((edit) =>
              edit.dir !== other || edit.name !== name
            );
          }
          return pending.edits.length > 0;
        });
      }
    }
  }
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
