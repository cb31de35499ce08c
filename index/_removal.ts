import {
  CHUNK_SHIFT,
  countWord,
  Entry,
  ENTRY_SHIFT,
  ENTRY_WORDS,
  filterBase,
  homeOf,
  note,
  PAGE_ENTRIES,
  PAGE_TAIL_WORDS,
  PAGE_WORDS,
  pageBase,
  removedWord,
  TOMBSTONE,
} from "./_layout.ts";

/** The filter of a page is made anew after so many removals: 2 µs, spread over these. */
const MOST_REMOVED = PAGE_ENTRIES / 4;

/** Frees the places of tombstones in `page`. */
export function sweep(chunks: readonly Int32Array[], page: number): void {
  const table = chunks[page >>> CHUNK_SHIFT]!;
  const start = pageBase(page);
  for (let at = start; at < start + PAGE_WORDS;) {
    // Vacating may move another entry here, so the place is looked at again.
    if (table[at + Entry.length] === TOMBSTONE) vacate(table, page, at);
    else at += ENTRY_WORDS;
  }
}

/** Empties a place and moves back the entries that only passed over it (no markers stay behind). */
export function vacate(table: Int32Array, page: number, vacant: number): void {
  const base = pageBase(page);
  const mask = PAGE_ENTRIES - 1;
  let hole = (vacant - base) >> ENTRY_SHIFT;
  for (let next = (hole + 1) & mask;; next = (next + 1) & mask) {
    const at = base + (next << ENTRY_SHIFT);
    if (table[at + Entry.length] === 0) break;
    const home = homeOf(table[at + Entry.h2]!);
    if (((next - home) & mask) < ((next - hole) & mask)) continue;
    const to = base + (hole << ENTRY_SHIFT);
    for (let word = 0; word < ENTRY_WORDS; word++) table[to + word] = table[at + word]!;
    hole = next;
  }
  const last = base + (hole << ENTRY_SHIFT);
  for (let word = 0; word < ENTRY_WORDS; word++) table[last + word] = 0;
  table[countWord(table, page)]!--;
  // Bits of the removed stay in the filter; it is made anew before they are many.
  if (++table[removedWord(table, page)]! > MOST_REMOVED) refilter(table, page);
}

/** Makes the filter of `page` anew. */
function refilter(table: Int32Array, page: number): void {
  const filter = filterBase(table, page);
  table.fill(0, filter, filter + PAGE_TAIL_WORDS);
  const base = pageBase(page);
  for (let at = base; at < base + PAGE_WORDS; at += ENTRY_WORDS) {
    if (table[at + Entry.length] !== 0) note(table, page, table[at + Entry.h1]!);
  }
}
