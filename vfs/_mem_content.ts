import { dirtyPage, type MemSpace, PAGE_BYTES, recyclePage, zeroPage } from "./_mem_space.ts";

/** Longest file: page numbers stay small integers. */
export const MAX_FILE_BYTES = 2 ** 42;

/** What is on the disk of a file, or in its cache: pages by number (a missing one is zeros) and a length. */
export interface Image {
  /** Whoever is given an image copies the map before changing it. */
  readonly pages: Map<number, Uint8Array>;
  readonly size: number;
}

/** Is told what is done to a file between two syncs; see `_data_history.ts`. */
export interface ContentHistory {
  /** `bytes` belongs to the caller again afterwards. */
  wrote(offset: number, bytes: Uint8Array): void;
  truncated(size: number): void;
  punched(offset: number, length: number): void;
  /** Everything so far is on the disk, or will never be. */
  settled(): void;
}

/**
 * The bytes of one file: as its readers see them (live), and as the disk holds them (after a power
 * loss that takes all that was not synced).
 *
 * A live page may be changed in place exactly while it is in the dirty set; a disk page never is.
 * So a sync is an exchange of references, and another file system can share the disk pages.
 * Bytes of a page past the end of the file are zeros, live and on disk.
 */
export class MemContent {
  readonly #space: MemSpace;
  /** False: every change is durable at once, and nothing is kept twice. */
  readonly #tracked: boolean;
  #live: Map<number, Uint8Array>;
  #disk: Map<number, Uint8Array>;
  /** Each map is ours alone, or shared with another file system and copied before it is changed. */
  #ownsLive = true;
  #ownsDisk = true;
  /** Pages of the disk may be known to other file systems: they are not used again. */
  #diskPagesShared = false;
  #size: number;
  #diskSize: number;
  readonly #dirty = new Set<number>();
  /** Pages whose last write-back failed: clean for the system, though the disk holds something else. */
  readonly #lost = new Set<number>();
  /** The shortest that the file was cut to since the last sync. */
  #cutSize = Infinity;
  /** The page of the last write, if it is dirty still: most writes go to the page of the last. */
  #hotIndex = -1;
  #hotPage: Uint8Array | undefined;
  /** Told of every change, if somebody wants to know what a crash can leave. */
  history: ContentHistory | undefined;

  constructor(space: MemSpace, tracked: boolean, from?: Image) {
    this.#space = space;
    this.#tracked = tracked;
    this.#size = from?.size ?? 0;
    this.#diskSize = this.#size;
    if (from === undefined) {
      this.#live = new Map();
      this.#disk = new Map();
      return;
    }
    // One map serves as live and disk here, and as disk there, until one of them changes.
    this.#live = from.pages;
    this.#disk = this.#live;
    this.#ownsLive = false;
    this.#ownsDisk = false;
    this.#diskPagesShared = true;
    space.usedPages += this.#live.size;
  }

  get size(): number {
    return this.#size;
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#cutSize !== Infinity || this.#size !== this.#diskSize;
  }

  /** What a power loss leaves if it takes everything that was not synced. To be shared, not changed. */
  diskImage(): Image {
    if (!this.#tracked) return this.liveImage();
    this.#ownsDisk = false;
    this.#diskPagesShared = true;
    return { pages: this.#disk, size: this.#diskSize };
  }

  /** What readers see now, as a copy that stays. */
  liveImage(): Image {
    const pages = new Map(this.#live);
    if (!this.#tracked) {
      for (const [index, page] of pages) pages.set(index, page.slice());
    } else {
      for (const index of this.#dirty) {
        const page = pages.get(index);
        if (page !== undefined) pages.set(index, page.slice());
      }
      this.#diskPagesShared = true;
    }
    return { pages, size: this.#size };
  }

  /** Reads from `offset`; returns the bytes read. */
  read(into: Uint8Array, offset: number): number {
    const end = Math.min(offset + into.length, this.#size);
    if (end <= offset) return 0;
    let at = offset;
    while (at < end) {
      const index = Math.floor(at / PAGE_BYTES);
      const from = at - index * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - from, end - at);
      const page = index === this.#hotIndex ? this.#hotPage : this.#live.get(index);
      if (page === undefined) into.fill(0, at - offset, at - offset + length);
      else if (length === PAGE_BYTES) into.set(page, at - offset);
      else into.set(page.subarray(from, from + length), at - offset);
      at += length;
    }
    return end - offset;
  }

  /** Writes at `offset`; returns the bytes written, fewer than given only where the disk is full. */
  write(bytes: Uint8Array, offset: number): number {
    const end = offset + bytes.length;
    let at = offset;
    while (at < end) {
      const index = Math.floor(at / PAGE_BYTES);
      const from = at - index * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - from, end - at);
      const page = index === this.#hotIndex
        ? this.#hotPage
        : this.#writablePage(index, length === PAGE_BYTES);
      if (page === undefined) break;
      page.set(
        length === bytes.length ? bytes : bytes.subarray(at - offset, at - offset + length),
        from,
      );
      at += length;
    }
    if (at > this.#size && at > offset) this.#size = at;
    if (this.history !== undefined && at > offset) {
      if (this.#lost.size > 0) this.#tellFoundPages(offset, at);
      this.history.wrote(offset, bytes.subarray(0, at - offset));
    }
    return at - offset;
  }

  /** Cuts or extends with zeros; false where the disk is full (nothing has changed then). */
  truncate(size: number): boolean {
    if (size === this.#size) return true;
    if (size < this.#size && !this.#cut(size)) return false;
    this.#size = size;
    this.history?.truncated(size);
    return true;
  }

  /** Makes zeros of a range and gives its whole pages back. Needs no space. */
  punch(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#size);
    let at = offset;
    while (at < end) {
      const index = Math.floor(at / PAGE_BYTES);
      const from = at - index * PAGE_BYTES;
      const next = Math.min((index + 1) * PAGE_BYTES, end);
      // The rest of the last page is zeros anyway.
      const whole = from === 0 && (next - at === PAGE_BYTES || next === this.#size);
      if (whole || !this.#live.has(index)) this.#dropLivePage(index);
      else this.#writablePage(index, false)?.fill(0, from, from + next - at);
      at = next;
    }
    if (this.history === undefined || end <= offset) return;
    if (this.#lost.size > 0) this.#tellFoundPages(offset, end);
    this.history.punched(offset, end - offset);
  }

  /** Puts everything on the disk. */
  sync(): void {
    this.#hotIndex = -1;
    this.#hotPage = undefined;
    if (!this.#tracked || !this.isDirty) return;
    this.#ownDisk();
    if (this.#cutSize !== Infinity) {
      const keep = Math.ceil(this.#cutSize / PAGE_BYTES);
      for (const index of this.#disk.keys()) {
        if (index >= keep) this.#dropDiskPage(index);
      }
      this.#cutSize = Infinity;
    }
    for (const index of this.#dirty) this.#writeBack(index);
    this.#dirty.clear();
    this.#diskSize = this.#size;
    this.history?.settled();
  }

  /**
   * A sync that failed, as the page cache of a real system takes it: each dirty page either reached
   * the disk (`reached`) or did not, and counts as clean all the same. Readers go on seeing the
   * new content; only a page that is written once more will be on the disk, whole, with a later
   * sync. Changes of the length stay to be synced.
   */
  failSync(reached: () => boolean): void {
    this.#hotIndex = -1;
    this.#hotPage = undefined;
    if (!this.#tracked) return;
    this.#ownDisk();
    for (const index of this.#dirty) {
      if (reached()) this.#writeBack(index);
      else this.#lost.add(index);
    }
    this.#dirty.clear();
    this.history?.settled();
    if (this.history === undefined) return;
    if (this.#cutSize !== Infinity) this.history.truncated(this.#cutSize);
    if (this.#size !== this.#diskSize) this.history.truncated(this.#size);
  }

  /** The file is gone for its readers: its space is free. The disk image stays, the name may come back. */
  release(): void {
    this.#space.give(this.#live.size);
    this.#live = new Map();
    this.#ownsLive = true;
  }

  /** A page that was lost and is written again goes to the disk whole: the history must know all of it. */
  #tellFoundPages(from: number, end: number): void {
    const last = Math.floor((end - 1) / PAGE_BYTES);
    for (let index = Math.floor(from / PAGE_BYTES); index <= last; index++) {
      if (!this.#lost.delete(index)) continue;
      const start = index * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES, this.#size - start);
      const page = this.#live.get(index);
      if (page === undefined) this.history?.punched(start, length);
      else this.history?.wrote(start, page.subarray(0, length));
    }
  }

  #writeBack(index: number): void {
    this.#dropDiskPage(index);
    const page = this.#live.get(index);
    if (page !== undefined) this.#disk.set(index, page);
  }

  #dropLivePage(index: number): void {
    if (index === this.#hotIndex) {
      this.#hotIndex = -1;
      this.#hotPage = undefined;
    }
    // A hole that failed to reach the disk is one for the readers only: it is sent there again.
    if (!this.#live.has(index) && !this.#lost.has(index)) return;
    this.#ownLive();
    if (this.#live.delete(index)) this.#space.give(1);
    if (this.#tracked) this.#dirty.add(index);
  }

  #dropDiskPage(index: number): void {
    const old = this.#disk.get(index);
    if (old === undefined) return;
    this.#disk.delete(index);
    if (!this.#diskPagesShared) recyclePage(old);
  }

  #cut(size: number): boolean {
    const keep = Math.ceil(size / PAGE_BYTES);
    const tail = size % PAGE_BYTES;
    if (tail !== 0 && (this.#live.has(keep - 1) || this.#lost.has(keep - 1))) {
      const page = this.#writablePage(keep - 1, false);
      if (page === undefined) return false;
      page.fill(0, tail);
      if (this.history !== undefined) this.#tellFoundPages(size - 1, size);
    }
    this.#hotIndex = -1;
    this.#hotPage = undefined;
    if (this.#tracked) this.#cutSize = Math.min(this.#cutSize, size);
    if (this.#live.size === 0) return true;
    this.#ownLive();
    let dropped = 0;
    for (const index of this.#live.keys()) {
      if (index < keep) continue;
      this.#live.delete(index);
      this.#dirty.delete(index);
      dropped++;
    }
    this.#space.give(dropped);
    return true;
  }

  /** The page to be changed in place; undefined where the disk is full. `whole`: the caller fills all of it. */
  #writablePage(index: number, whole: boolean): Uint8Array | undefined {
    let page = this.#live.get(index);
    const inPlace = page !== undefined && (!this.#tracked || this.#dirty.has(index));
    if (!inPlace) {
      this.#ownLive();
      if (page === undefined) {
        if (!this.#space.take()) return undefined;
        page = whole ? dirtyPage() : zeroPage();
      } else {
        const copy = dirtyPage();
        if (!whole) copy.set(page);
        page = copy;
      }
      this.#live.set(index, page);
      if (this.#tracked) this.#dirty.add(index);
    }
    this.#hotIndex = index;
    this.#hotPage = page;
    return page;
  }

  #ownLive(): void {
    if (this.#ownsLive) return;
    this.#live = new Map(this.#live);
    this.#ownsLive = true;
  }

  #ownDisk(): void {
    if (this.#ownsDisk) return;
    this.#disk = new Map(this.#disk);
    this.#ownsDisk = true;
  }
}
