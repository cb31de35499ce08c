/** Bytes of a page: what a disk of today writes at once, and what a system's page cache keeps. */
export const PAGE_BYTES = 4096;

/** Pages to be used again; allocating one costs more than filling it. Shared by all file systems of the thread. */
const spare: Uint8Array[] = [];
const MAX_SPARE = 1024;

/** A page whose content is undefined: the caller fills all of it. */
export function dirtyPage(): Uint8Array {
  return spare.pop() ?? new Uint8Array(PAGE_BYTES);
}

/** A page of zeros. */
export function zeroPage(): Uint8Array {
  const page = spare.pop();
  return page === undefined ? new Uint8Array(PAGE_BYTES) : page.fill(0);
}

/** Takes back a page that nobody else refers to. */
export function recyclePage(page: Uint8Array): void {
  if (spare.length < MAX_SPARE) spare.push(page);
}

/** How much of a memory file system is taken, in pages, and how much may be. */
export class MemSpace {
  usedPages = 0;
  /** Undefined: no limit. */
  capacityBytes: number | undefined;

  constructor(capacityBytes: number | undefined) {
    this.capacityBytes = capacityBytes;
  }

  /** Takes a page, unless the disk is full. */
  take(): boolean {
    if (this.capacityBytes !== undefined) {
      if ((this.usedPages + 1) * PAGE_BYTES > this.capacityBytes) return false;
    }
    this.usedPages++;
    return true;
  }

  give(pages: number): void {
    this.usedPages -= pages;
  }
}
