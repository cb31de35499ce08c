import { fsError } from "./_check.ts";
import { DirNode, FileNode, type MemNode } from "./_mem_node.ts";

/** A name in a directory that exists, and what it leads to now. */
export interface MemPlace {
  readonly dir: DirNode;
  readonly name: string;
  readonly node: MemNode | undefined;
}

/** The way from a path to a node. */
export class MemTree {
  readonly root: DirNode;

  constructor(root: DirNode) {
    this.root = root;
  }

  /** The names of a path, from the root on; ".." is resolved by the letters alone. */
  static names(path: string): string[] {
    const names: string[] = [];
    for (const name of path.split("/")) {
      if (name === "" || name === ".") continue;
      if (name === "..") names.pop();
      else names.push(name);
    }
    return names;
  }

  /** Where a path leads, as far as there is something; undefined if its parent is missing. The root has no `dir`. */
  find(path: string): MemPlace | { dir: undefined; node: DirNode } | undefined {
    const names = MemTree.names(path);
    const name = names.pop();
    if (name === undefined) return { dir: undefined, node: this.root };
    let dir = this.root;
    for (const step of names) {
      const node = dir.entries.get(step);
      if (!(node instanceof DirNode)) return undefined;
      dir = node;
    }
    return { dir, name, node: dir.entries.get(name) };
  }

  /** The place of a name; throws if its parent is missing or no directory, or if it is the root. */
  place(operation: string, path: string): MemPlace {
    const found = this.find(path);
    if (found === undefined) throw this.#missing(operation, path);
    if (found.dir !== undefined) return found;
    const code = operation === "create" || operation === "openReadWrite" || operation === "lock"
      ? "IS_A_DIRECTORY"
      : operation === "link"
      ? "EXISTS"
      : "INVALID";
    throw fsError(code, operation, path, "it is the root");
  }

  /** What has the name; throws if nothing has. */
  node(operation: string, path: string): MemNode {
    const found = this.find(path);
    if (found?.node !== undefined) return found.node;
    throw found === undefined
      ? this.#missing(operation, path)
      : fsError("NOT_FOUND", operation, path, "no such name");
  }

  /** Throws unless `node` can take the name `to` from what has it now. */
  checkRename(
    operation: string,
    from: string,
    to: string,
    node: MemNode,
    target: MemNode | undefined,
  ): void {
    if (node instanceof FileNode) {
      if (!(target instanceof DirNode)) return;
      throw fsError("IS_A_DIRECTORY", operation, to, "a directory has the name");
    }
    if (this.#isInside(to, node)) {
      throw fsError("INVALID", operation, from, `a directory cannot move into itself (${to})`);
    }
    if (target instanceof FileNode) {
      throw fsError("NOT_A_DIRECTORY", operation, to, "a file has the name");
    }
    if (target !== undefined && target.entries.size > 0) {
      throw fsError("NOT_EMPTY", operation, to, "the directory is not empty");
    }
  }

  /** True if `path` lies below the directory `dir`. */
  #isInside(path: string, dir: DirNode): boolean {
    const names = MemTree.names(path);
    names.pop();
    let at: MemNode | undefined = this.root;
    for (const name of names) {
      if (!(at instanceof DirNode)) return false;
      at = at.entries.get(name);
      if (at === dir) return true;
    }
    return false;
  }

  /** The tree as text. */
  print(): string {
    const lines: string[] = [];
    const visit = (dir: DirNode, indent: string): void => {
      for (const name of [...dir.entries.keys()].sort()) {
        const node = dir.entries.get(name);
        if (node instanceof FileNode) {
          lines.push(`${String(node.content.size).padStart(8)}  ${indent}${name}`);
        } else if (node !== undefined) {
          lines.push(`${" ".repeat(8)}  ${indent}${name}/`);
          visit(node, indent + "  ");
        }
      }
    };
    lines.push(`${" ".repeat(8)}  /`);
    visit(this.root, "  ");
    return lines.join("\n") + "\n";
  }

  /** Tells a missing parent from a file in its place. */
  #missing(operation: string, path: string): Error {
    let dir = this.root;
    for (const step of MemTree.names(path)) {
      const node = dir.entries.get(step);
      if (node instanceof FileNode) {
        return fsError("NOT_A_DIRECTORY", operation, path, `${step} is a file`);
      }
      if (node === undefined) break;
      dir = node;
    }
    return fsError("NOT_FOUND", operation, path, "no such directory");
  }
}
