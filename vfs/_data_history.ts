import type { ContentHistory, Image } from "./_mem_content.ts";
import { PAGE_BYTES } from "./_mem_space.ts";
import type { Chooser } from "./_chooser.ts";

type DataChange =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number }
  | { readonly kind: "punch"; readonly offset: number; readonly length: number };

/**
 * Everything done to a file since its last sync, in order: enough to tell each content that the
 * disk can hold after a power loss.
 *
 * The rule: the disk takes a snapshot of each unit (a sector or a block) at any moment since the
 * last sync, or not at all, each unit for itself; and of the length likewise. What lies beyond the
 * length is lost; what lies below it and was never written reads as zeros.
 */
export class DataHistory implements ContentHistory {
  #changes: DataChange[] = [];

  wrote(offset: number, bytes: Uint8Array): void {
    this.#changes.push({ kind: "write", offset, bytes: bytes.slice() });
  }

  truncated(size: number): void {
    this.#changes.push({ kind: "truncate", size });
  }

  punched(offset: number, length: number): void {
    this.#changes.push({ kind: "punch", offset, length });
  }

  settled(): void {
    if (this.#changes.length > 0) this.#changes = [];
  }

  /** One content that the disk can hold. `disk`: as of the last sync. */
  choose(disk: Image, unitBytes: number, chooser: Chooser): Image {
    if (this.#changes.length === 0) return disk;
    const moment = chooser.moment(this.#changes.length + 1);
    if (moment !== undefined) return this.#assemble(disk, unitBytes, moment, undefined);
    return this.#assemble(disk, unitBytes, this.#changes.length, chooser);
  }

  /** The content after the first `count` changes; with a chooser, each unit and the length somewhere on the way. */
  #assemble(
    disk: Image,
    unitBytes: number,
    count: number,
    chooser: Chooser | undefined,
  ): Image {
    const changes = this.#changes.slice(0, count);
    const sizes = successiveSizes(disk.size, changes);
    const size = sizes[chooser?.meta(sizes.length) ?? sizes.length - 1] ?? disk.size;
    const pages = new Map(disk.pages);
    /** Pages that are ours and not shared with the disk's image. */
    const fresh = new Set<number>();
    for (const [unit, touching] of changesByUnit(disk, changes, unitBytes)) {
      const applied = chooser?.data(touching.length + 1) ?? touching.length;
      if (applied === 0) continue;
      const start = unit * unitBytes;
      const index = Math.floor(start / PAGE_BYTES);
      let page = pages.get(index);
      if (page === undefined || !fresh.has(index)) {
        page = page?.slice() ?? new Uint8Array(PAGE_BYTES);
        pages.set(index, page);
        fresh.add(index);
      }
      const from = start - index * PAGE_BYTES;
      const content = page.subarray(from, from + unitBytes);
      for (const change of touching.slice(0, applied)) apply(change, content, start);
    }
    cutPages(pages, size, fresh);
    return { pages, size };
  }
}

/** The lengths that the file had one after another, the disk's first. */
function successiveSizes(diskSize: number, changes: readonly DataChange[]): number[] {
  const sizes = [diskSize];
  let size = diskSize;
  for (const change of changes) {
    const next = sizeAfter(change, size);
    if (next !== size) sizes.push(next);
    size = next;
  }
  return sizes;
}

function sizeAfter(change: DataChange, size: number): number {
  switch (change.kind) {
    case "write":
      return Math.max(size, change.offset + change.bytes.length);
    case "truncate":
      return change.size;
    case "punch":
      return size;
  }
}

/** For each unit that any change concerns, those changes in order; the units ascending. */
function changesByUnit(
  disk: Image,
  changes: readonly DataChange[],
  unitBytes: number,
): [number, DataChange[]][] {
  const byUnit = new Map<number, DataChange[]>();
  const add = (unit: number, change: DataChange): void => {
    const list = byUnit.get(unit);
    if (list === undefined) byUnit.set(unit, [change]);
    else list.push(change);
  };
  const perPage = PAGE_BYTES / unitBytes;
  for (const change of changes) {
    if (change.kind === "write") {
      const last = Math.floor((change.offset + change.bytes.length - 1) / unitBytes);
      for (let unit = Math.floor(change.offset / unitBytes); unit <= last; unit++) {
        add(unit, change);
      }
      continue;
    }
    // A cut or hole concerns what was on the disk or written since; the rest is zeros before and after.
    const units = new Set(byUnit.keys());
    for (const index of disk.pages.keys()) {
      for (let part = 0; part < perPage; part++) units.add(index * perPage + part);
    }
    const [from, end] = change.kind === "truncate"
      ? [change.size, Infinity]
      : [change.offset, change.offset + change.length];
    for (const unit of units) {
      if ((unit + 1) * unitBytes > from && unit * unitBytes < end) add(unit, change);
    }
  }
  return [...byUnit].sort(([a], [b]) => a - b);
}

/** Does a change to the unit that begins at `start`. */
function apply(change: DataChange, unit: Uint8Array, start: number): void {
  if (change.kind === "truncate") {
    unit.fill(0, Math.max(0, change.size - start));
    return;
  }
  if (change.kind === "punch") {
    const end = change.offset + change.length - start;
    unit.fill(0, Math.max(0, change.offset - start), Math.min(unit.length, end));
    return;
  }
  const from = Math.max(change.offset, start);
  const end = Math.min(change.offset + change.bytes.length, start + unit.length);
  unit.set(change.bytes.subarray(from - change.offset, end - change.offset), from - start);
}

/** Drops what lies beyond `size`. Pages not in `fresh` belong to others and are copied. */
function cutPages(pages: Map<number, Uint8Array>, size: number, fresh: Set<number>): void {
  const keep = Math.ceil(size / PAGE_BYTES);
  for (const index of pages.keys()) if (index >= keep) pages.delete(index);
  const tail = size % PAGE_BYTES;
  const last = pages.get(keep - 1);
  if (tail === 0 || last === undefined) return;
  const page = fresh.has(keep - 1) ? last : last.slice();
  page.fill(0, tail);
  pages.set(keep - 1, page);
}
