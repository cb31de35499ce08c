import type { Chooser } from "./_chooser.ts";
import { DataHistory } from "./_data_history.ts";
import type { Image } from "./_mem_content.ts";
import type { Survivors } from "./_mem_clone.ts";
import {
  type DirNode,
  type FileNode,
  type MemNode,
  mustPrecede,
  type NameChange,
  type NameJournal,
  setEntry,
} from "./_mem_node.ts";

/** The two ways in which file systems write changes of names. */
export type NameOrder = "journalled" | "weak";

/** How much of what was not synced survives is chosen here, once for each file and directory. */
export function chooseSurvivors(
  journal: NameJournal,
  names: NameOrder,
  unitBytes: number,
  chooser: Chooser,
): Survivors {
  const kept = names === "journalled"
    ? keepPrefix(journal, chooser)
    : keepSome(journal.unsynced(), chooser);
  const changed = new Map<DirNode, Map<string, MemNode>>();
  for (const change of kept) {
    for (const { dir, name, node } of change.edits) {
      let entries = changed.get(dir);
      if (entries === undefined) changed.set(dir, entries = new Map(dir.disk));
      setEntry(entries, name, node);
    }
  }
  return {
    entries: (dir) => changed.get(dir) ?? dir.disk,
    content(file: FileNode): Image {
      const disk = file.content.diskImage();
      const { history } = file.content;
      return history instanceof DataHistory ? history.choose(disk, unitBytes, chooser) : disk;
    },
  };
}

/** One journal: the changes reach the disk in their order, and any sync takes all before it along. */
function keepPrefix(journal: NameJournal, chooser: Chooser): NameChange[] {
  const changes = journal.unsynced();
  const forced = changes.filter((change) => change.order <= journal.forced).length;
  return changes.slice(0, forced + chooser.meta(changes.length - forced + 1));
}

/** No order at all, but that no move is torn apart. */
function keepSome(changes: readonly NameChange[], chooser: Chooser): NameChange[] {
  const moves = changes.filter(({ kind }) => kind === "rename");
  const needed = new Set<NameChange>();
  const kept: NameChange[] = [];
  for (let at = changes.length - 1; at >= 0; at--) {
    const change = changes[at];
    if (change === undefined) continue;
    if (!needed.has(change) && !chooser.keepsName()) continue;
    kept.push(change);
    for (const move of moves) if (mustPrecede(move, change)) needed.add(move);
  }
  return kept.reverse();
}
