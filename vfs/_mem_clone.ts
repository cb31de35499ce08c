import type { Image, MemContent } from "./_mem_content.ts";
import { DirNode, FileNode, type MemNode } from "./_mem_node.ts";

/** What survives: chosen for each directory and each file. */
export interface Survivors {
  entries(dir: DirNode): ReadonlyMap<string, MemNode>;
  content(file: FileNode): Image;
}

/** What a power loss leaves that takes everything not synced: data and names. */
export const onlySynced: Survivors = {
  entries: (dir) => dir.disk,
  content: (file) => file.content.diskImage(),
};

/** What the end of the process leaves: all that was visible. */
export const allVisible: Survivors = {
  entries: (dir) => dir.entries,
  content: (file) => file.content.liveImage(),
};

/** A tree of fresh nodes, all of it synced. Inode numbers and hard links are kept. */
export function cloneTree(
  root: DirNode,
  survivors: Survivors,
  newContent: (image: Image) => MemContent,
): DirNode {
  const files = new Map<FileNode, FileNode>();
  const dirs = new Map<DirNode, DirNode>();
  const cloneDir = (dir: DirNode): DirNode => {
    const clone = new DirNode(dir.inode);
    dirs.set(dir, clone);
    for (const [name, node] of survivors.entries(dir)) {
      const child = cloneNode(node);
      if (child === undefined) continue;
      clone.entries.set(name, child);
      clone.disk.set(name, child);
      if (child instanceof FileNode) child.links++;
    }
    return clone;
  };
  const cloneNode = (node: MemNode): MemNode | undefined => {
    // A directory has one name: of two that a half-durable move would leave, the first counts.
    if (node instanceof DirNode) return dirs.has(node) ? undefined : cloneDir(node);
    let clone = files.get(node);
    if (clone === undefined) {
      clone = new FileNode(node.inode, newContent(survivors.content(node)));
      files.set(node, clone);
    }
    return clone;
  };
  return cloneDir(root);
}
