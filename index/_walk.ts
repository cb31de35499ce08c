import {
  CELL_DEPTH_SHIFT,
  CELL_PAGES_MASK,
  CELL_SHIFT,
  CELL_WORDS,
  CHUNK_SHIFT,
  ENTRY_WORDS,
  PAGE_WORDS,
  pageBase,
  POSITION_BITS,
} from "./_layout.ts";

/** Words of a cache line. */
const LINE_WORDS = 16;

/**
 * Calls `visit` for each cell of a directory, which has 2^(24 - `shift`) places, with the cell's first
 * word and its position. A cell that is less deep than the directory has several places; it is visited once.
 */
export function eachCell(
  directory: Int32Array,
  shift: number,
  visit: (first: number, position: number) => void,
): void {
  const depth = POSITION_BITS - shift;
  for (let cell = 0; cell < 1 << depth;) {
    const first = cell << CELL_SHIFT;
    const own = directory[first]! >>> CELL_DEPTH_SHIFT;
    visit(first, cell << shift);
    cell += 1 << (depth - own);
  }
}

/** Calls `visit` with each page of the cell whose first word is `first`. */
export function eachPage(
  directory: Int32Array,
  first: number,
  visit: (page: number) => void,
): void {
  const pages = directory[first]! & CELL_PAGES_MASK;
  for (let i = 1; i <= pages; i++) visit(directory[first + i]!);
}

/** Calls `visit` with the first word of each place of `page`, be there an entry or not. */
export function eachPlace(page: number, visit: (at: number) => void): void {
  const start = pageBase(page);
  for (let at = start; at < start + PAGE_WORDS; at += ENTRY_WORDS) visit(at);
}

/** Reads all pages of the cells from `first` to `last`. The sum of some of their words, so that nobody can leave it out. */
export function readCells(
  directory: Int32Array,
  chunks: readonly Int32Array[],
  first: number,
  last: number,
): number {
  let sum = 0;
  for (let cell = first; cell <= last; cell += CELL_WORDS) {
    const pages = directory[cell]! & CELL_PAGES_MASK;
    for (let i = 1; i <= pages; i++) {
      const page = directory[cell + i]!;
      const chunk = chunks[page >>> CHUNK_SHIFT]!;
      const start = pageBase(page);
      for (let at = start; at < start + PAGE_WORDS; at += LINE_WORDS) sum ^= chunk[at]!;
    }
  }
  return sum;
}
