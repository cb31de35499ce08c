import {
  CELL_DEPTH_SHIFT,
  CELL_PAGES_MASK,
  CELL_SHIFT,
  CELL_WORDS,
  cellPosition,
  CHUNK_SHIFT,
  Control,
  Entry,
  ENTRY_SHIFT,
  ENTRY_WORDS,
  filterBase,
  FULL,
  homeOf,
  LEAST_PAGES,
  MOST_DEPTH,
  MOST_PAGES,
  note,
  PAGE_ENTRIES,
  PAGE_LIMIT,
  PAGE_TAIL_WORDS,
  PAGE_WORDS,
  pageBase,
  pageInCell,
  POSITION_BITS,
} from "./_layout.ts";
import type { IndexMemory } from "./_memory.ts";

const ZEROS = new Int32Array(PAGE_WORDS);

/** A cell to be, with the entries from `from` to `to` of the order. */
interface Plan {
  readonly depth: number;
  readonly position: number;
  readonly pages: number;
  readonly from: number;
  readonly to: number;
}

/** Makes full cells larger, or two. Only what happens once in some 400 puts is here, so it may allocate. */
export class CellGrowth {
  /** Entries moved so far. */
  entriesMoved = 0;
  readonly #memory: IndexMemory;
  /** The entries of the cell that grows, beside the pages they are put back to. */
  readonly #entries = new Int32Array(MOST_PAGES * PAGE_WORDS);
  /** The entries by number, sorted into those of one cell to be after the other. */
  readonly #order = new Int32Array(MOST_PAGES * PAGE_ENTRIES);
  readonly #inPage = new Int32Array(MOST_PAGES);

  /** Grows the cells in `memory`, and makes the first if there is none. */
  constructor(memory: IndexMemory) {
    this.#memory = memory;
    if (memory.chunks.length === 0) {
      memory.directory[0] = LEAST_PAGES;
      for (let i = 1; i <= LEAST_PAGES; i++) memory.directory[i] = memory.takePage();
    }
  }

  /** Makes room in the cell at `position`. */
  grow(position: number): void {
    const memory = this.#memory;
    const cell = this.#cellAt(position);
    const { directory } = memory;
    const depth = directory[cell]! >>> CELL_DEPTH_SHIFT;
    const count = directory[cell]! & CELL_PAGES_MASK;
    const pages = Array.from(directory.subarray(cell + 1, cell + 1 + count));
    const start = depth === 0 ? 0 : position >>> (POSITION_BITS - depth) << (POSITION_BITS - depth);

    const entries = this.#gather(pages);
    const plans: Plan[] = [];
    this.#plan(plans, { depth, position: start, pages: count + 1, from: 0, to: entries });
    // What may fail comes first: nothing is changed if there is no memory.
    const needed = plans.reduce((sum, plan) => sum + plan.pages, 0);
    while (pages.length < needed) pages.push(memory.takePage());
    for (const plan of plans) this.#deepenTo(plan.depth);

    memory.open(start, depth);
    for (const page of pages.slice(0, count)) {
      const chunk = memory.chunks[page >>> CHUNK_SHIFT]!;
      // Copying zeros is several times as fast as filling with them, in shared memory.
      chunk.set(ZEROS, pageBase(page));
      chunk.fill(0, filterBase(chunk, page), filterBase(chunk, page) + PAGE_TAIL_WORDS);
    }
    for (const plan of plans) this.#carryOut(plan, pages.splice(0, plan.pages));
    memory.close(start, depth);
    this.entriesMoved += entries;
  }

  /** Copies the entries of `pages`. Returns how many they are. */
  #gather(pages: readonly number[]): number {
    const entries = this.#entries;
    const order = this.#order;
    let count = 0;
    for (let i = 0; i < pages.length; i++) {
      const page = pages[i]!;
      const base = pageBase(page);
      const chunk = this.#memory.chunks[page >>> CHUNK_SHIFT]!;
      entries.set(chunk.subarray(base, base + PAGE_WORDS), i * PAGE_WORDS);
      for (let entry = i * PAGE_ENTRIES; entry < (i + 1) * PAGE_ENTRIES; entry++) {
        if (entries[(entry << ENTRY_SHIFT) + Entry.length] !== 0) order[count++] = entry;
      }
    }
    return count;
  }

  /** Splits `plan` until the entries of each part have room in its pages. */
  #plan(plans: Plan[], plan: Plan): void {
    for (let pages = plan.pages; pages <= MOST_PAGES; pages++) {
      if (this.#haveRoom(plan, pages)) return void plans.push({ ...plan, pages });
    }
    if (plan.depth === MOST_DEPTH) {
      throw new RangeError(
        "Cannot add a key to the index: too many keys have nearly equal hashes.",
      );
    }
    const depth = plan.depth + 1;
    const position = plan.position + (1 << (POSITION_BITS - depth));
    const middle = this.#partition(plan, position);
    const pages = LEAST_PAGES;
    this.#plan(plans, { depth, position: plan.position, pages, from: plan.from, to: middle });
    this.#plan(plans, { depth, position, pages, from: middle, to: plan.to });
  }

  #haveRoom(plan: Plan, pages: number): boolean {
    if (plan.to - plan.from >= pages * PAGE_ENTRIES * FULL) return false;
    const entries = this.#entries;
    const order = this.#order;
    const inPage = this.#inPage.fill(0);
    for (let i = plan.from; i < plan.to; i++) {
      const page = pageInCell(entries[(order[i]! << ENTRY_SHIFT) + Entry.h2]!, pages);
      if (++inPage[page]! >= PAGE_LIMIT) return false;
    }
    return true;
  }

  /** Sorts the entries of `plan` into those before `position` and the others. Returns where these begin. */
  #partition(plan: Plan, position: number): number {
    const { control } = this.#memory;
    const entries = this.#entries;
    const order = this.#order;
    let middle = plan.from;
    for (let i = plan.from; i < plan.to; i++) {
      const entry = order[i]!;
      const h3 = entries[(entry << ENTRY_SHIFT) + Entry.h3]!;
      if (cellPosition(control, Control.warp, h3) >= position) continue;
      order[i] = order[middle]!;
      order[middle++] = entry;
    }
    return middle;
  }

  /** Puts the entries of `plan` into `pages`, which are empty, and these into the directory. */
  #carryOut(plan: Plan, pages: readonly number[]): void {
    const { control, directory } = this.#memory;
    const entries = this.#entries;
    const order = this.#order;
    const parts = pages.length;
    const inPages = pages.map((page) => this.#memory.chunks[page >>> CHUNK_SHIFT]!);
    const bases = pages.map(pageBase);
    for (let i = plan.from; i < plan.to; i++) {
      const from = order[i]! << ENTRY_SHIFT;
      const h2 = entries[from + Entry.h2]!;
      const part = pageInCell(h2, parts);
      const chunk = inPages[part]!;
      const base = bases[part]!;
      let slot = homeOf(h2);
      while (chunk[base + (slot << ENTRY_SHIFT) + Entry.length] !== 0) {
        slot = (slot + 1) & (PAGE_ENTRIES - 1);
      }
      const to = base + (slot << ENTRY_SHIFT);
      for (let word = 0; word < ENTRY_WORDS; word++) chunk[to + word] = entries[from + word]!;
      note(chunk, pages[part]!, entries[from]!);
    }
    const first = this.#cellAt(plan.position);
    const cells = 1 << (control[Control.depth]! - plan.depth);
    for (let at = first; at < first + cells * CELL_WORDS; at += CELL_WORDS) {
      directory[at] = pages.length | (plan.depth << CELL_DEPTH_SHIFT);
      pages.forEach((page, i) => directory[at + 1 + i] = page);
    }
  }

  #deepenTo(depth: number): void {
    const memory = this.#memory;
    while (memory.control[Control.depth]! < depth) {
      memory.open(0, 0);
      try {
        memory.deepen();
      } finally {
        // Nothing has changed if there was no memory, and readers must not wait for ever.
        memory.close(0, 0);
      }
    }
  }

  #cellAt(position: number): number {
    return position >>> (POSITION_BITS - this.#memory.control[Control.depth]!) << CELL_SHIFT;
  }
}
