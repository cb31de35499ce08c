import { RecordKind } from "../wal/mod.ts";
import { type FooterKeys, FooterWalk, type WalkedFile } from "./footer_walk.ts";
import { hashCode, type RecordList } from "./record_list.ts";

/** A file that may have older records. */
export interface SearchedFile extends WalkedFile {
  /** All sequence numbers in it are above this. */
  readonly base: number;
}

/**
 * Decides which tombstones of the sources nothing needs any more.
 *
 * A tombstone is needed while some file may come back with an older record of its key: if its own file
 * is gone then, the next open would bring the key back. Sources are removed one after another, each
 * durably before the next. So the tombstone in source i may go if no file has an older record of its
 * key but sources before i: whenever i is gone, they are. What is in its own file goes with it.
 *
 * That a file has none is known from where its sequence numbers begin, or by looking for the key in
 * its footer. A value whose time is over, or that is evicted, is no better than a tombstone: it hides
 * what is older. A key is known by 53 bits of its hash: if two are equal in these, a tombstone is kept
 * for nothing.
 */
export class TombstoneSearch {
  /** Tombstones that may go. */
  dropped = 0;
  readonly #lists: readonly RecordList[];
  readonly #keys: FooterKeys;
  readonly #walk: FooterWalk;
  readonly #files: number[] = [];
  /** Of each suspect: its source, its number in that source's list, whether it is needed, the next with the same code. */
  readonly #suspects: { source: number; record: number; needed: boolean; next: number }[] = [];
  readonly #first = new Map<number, number>();
  readonly #kept: (source: number, record: number) => void;

  /**
   * `lists` has the tombstones of each source; `kept` is told of those that stay. Unless
   * `searchOthers`, what others may have, by their base, is taken for something they have.
   */
  constructor(
    keys: FooterKeys,
    lists: readonly RecordList[],
    sources: readonly SearchedFile[],
    others: readonly SearchedFile[],
    searchOthers: boolean,
    kept: (source: number, record: number) => void,
  ) {
    this.#lists = lists;
    this.#keys = keys;
    this.#kept = kept;
    const otherBase = lowestBase(others);
    let newest = 0;
    let search = false;
    lists.forEach((list, source) => {
      const laterBase = lowestBase(sources.slice(source + 1));
      for (let i = 0; i < list.length; i++) {
        const sequence = list.sequence(i);
        if (otherBase >= sequence && laterBase >= sequence) this.dropped++;
        else if (otherBase < sequence && !searchOthers) kept(source, i);
        else {
          this.#suspect(source, i);
          newest = Math.max(newest, sequence);
          search ||= otherBase < sequence;
        }
      }
    });
    const searched: SearchedFile[] = [];
    const add = (file: SearchedFile, source: number) => {
      if (file.base >= newest) return;
      searched.push(file);
      this.#files.push(source);
    };
    if (this.#suspects.length > 0) sources.forEach(add);
    if (search) { for (const file of others) add(file, Infinity); }
    this.#walk = new FooterWalk(searched);
  }

  /** Looks through one block of a footer. False once all are done. */
  step(): boolean {
    const goesOn = this.#walk.step((cursor, nth) => {
      this.#keys.take(cursor);
      if (cursor.kind !== RecordKind.put) return true;
      const { h1, h2 } = this.#keys.hash;
      const file = this.#files[nth]!;
      let at = this.#first.get(hashCode(h1, h2)) ?? -1;
      while (at !== -1) {
        const suspect = this.#suspects[at]!;
        // A copy of the very record counts too: one that is evicted would come back with it.
        const older = cursor.sequence <= this.#lists[suspect.source]!.sequence(suspect.record);
        if (file > suspect.source && older) suspect.needed = true;
        at = suspect.next;
      }
      return true;
    });
    if (goesOn) return true;
    for (const { source, record, needed } of this.#suspects) {
      if (needed) this.#kept(source, record);
      else this.dropped++;
    }
    return false;
  }

  /** Ends the search, wherever it is. */
  close(): void {
    this.#walk.close();
  }

  #suspect(source: number, record: number): void {
    const code = this.#lists[source]!.code(record);
    const next = this.#first.get(code) ?? -1;
    this.#first.set(code, this.#suspects.length);
    this.#suspects.push({ source, record, needed: false, next });
  }
}

function lowestBase(files: readonly SearchedFile[]): number {
  return files.reduce((least, { base }) => Math.min(least, base), Infinity);
}
