import { ItemList } from "./_item_list.ts";
import { TWO_32 } from "./_layout.ts";

/** Bits of a time that one node tells apart. */
const DIGIT_BITS = 8;
const DIGITS = 2 ** DIGIT_BITS;
/** The slots of a node on level 0 are single milliseconds. Seven levels are 56 bits, and no time has more than 53. */
const ROOT_LEVEL = 6;
const ROOT = 0;
/** Words of a node that come after its slots. */
const NodeField = {
  /** A list of items that are somewhere in the node's range: they came before the node did. */
  unsorted: DIGITS,
  /** There is nothing in the slots before this one. In a free node: the next free one, or 0. */
  from: DIGITS + 1,
} as const;
const NODE_WORDS = DIGITS + 2;
const NODE_PIECE_SHIFT = 3;
/** A list is known by its node and its slot, or `unsorted`, in one number. */
const LIST_SHIFT = DIGIT_BITS + 1;
const LIST_MASK = 2 ** LIST_SHIFT - 1;

/** Words of an item that the trie uses. */
export const TimeField = {
  timeLow: 0,
  /** Both words of the time are 0 while the item is not in the trie. */
  timeHigh: 1,
  /** The next item of its list, plus 1, so that 0 is none. */
  next: 2,
  /** The one before, plus 1; of the first one, -1 minus the number of the list. */
  before: 3,
} as const;

/** What {@linkcode TimeTrie.step} has found: an item whose time has come, none, or it has to be called again. */
export type Step = "due" | "none" | "again";

/**
 * Items by their times: a trie over the eight-bit digits of the time, in which a list of items becomes
 * a node only when its time is the next to come. So an item is put into a list when it comes, and
 * into another one for each of its digits that turn out to matter: once or twice for most, next to
 * those that came with it. That is what a hierarchical timing wheel does (Varghese and Lauck 1987); but
 * a wheel turns one way, and here the clock may be set back, or ahead for a moment.
 */
export class TimeTrie {
  /** The item that `step` found. */
  item = 0;
  /** No item's time comes before this one; Infinity if there is none. */
  nextTime = Infinity;
  readonly #items: ItemList;
  readonly #field: number;
  /** The time that `step` was told last: what is as near as that shares its nodes. */
  #nowLow = 0;
  #nowHigh = 0;
  readonly #nodes = new ItemList(NODE_WORDS, NODE_PIECE_SHIFT);
  /** Nodes that were ever in use. */
  #made = 1;
  /** A free node; 0 is the root, and so none. */
  #free = 0;

  /** The words {@linkcode TimeField} of each of `items` begin at `field`. */
  constructor(items: ItemList, field: number) {
    this.#items = items;
    this.#field = field;
    this.#nodes.reserve(ROOT);
  }

  /** Memory of the nodes, in bytes. */
  get bytes(): number {
    return this.#nodes.bytes;
  }

  /** The time of an item; 0 if it is not in the trie. */
  timeOf(item: number): number {
    const words = this.#items.piece(item);
    const at = this.#items.offset(item) + this.#field;
    return words[at + TimeField.timeHigh]! * TWO_32 + (words[at + TimeField.timeLow]! >>> 0);
  }

  /** Puts in an item that is not there, with a `time` above 0. */
  add(item: number, time: number): void {
    const words = this.#items.piece(item);
    const at = this.#items.offset(item) + this.#field;
    words[at + TimeField.timeLow] = time | 0;
    words[at + TimeField.timeHigh] = time / TWO_32;
    this.#sort(item, ROOT, ROOT_LEVEL);
    if (time < this.nextTime) this.nextTime = time;
  }

  /** Takes an item out. */
  remove(item: number): void {
    this.#unlink(item);
    const words = this.#items.piece(item);
    const at = this.#items.offset(item) + this.#field;
    words[at + TimeField.timeLow] = words[at + TimeField.timeHigh] = 0;
  }

  /**
   * Looks for an item whose time is not after `now`, in a moment however many there are: with "again"
   * it only came nearer. With "none", `nextTime` says when there may be one.
   */
  step(now: number): Step {
    this.#nowLow = now | 0;
    this.#nowHigh = now / TWO_32 | 0;
    let node = ROOT;
    let above = 0;
    let start = 0;
    for (let level = ROOT_LEVEL;; level--) {
      const words = this.#nodes.piece(node);
      const at = this.#nodes.offset(node);
      const unsorted = words[at + NodeField.unsorted]!;
      if (unsorted !== 0) {
        if (this.timeOf(unsorted - 1) <= now) return this.#found(unsorted - 1);
        this.#unlink(unsorted - 1);
        this.#sort(unsorted - 1, node, level);
        return "again";
      }
      let slot = words[at + NodeField.from]!;
      while (slot < DIGITS && words[at + slot] === 0) slot++;
      words[at + NodeField.from] = slot;
      if (slot === DIGITS) {
        if (node !== ROOT) return this.#drop(node, above);
        this.nextTime = Infinity;
        return "none";
      }
      start += slot * 2 ** (level * DIGIT_BITS);
      if (start > now) {
        this.nextTime = start;
        return "none";
      }
      const content = words[at + slot]!;
      const list = node << LIST_SHIFT | slot;
      if (content < 0) {
        above = list;
        node = -content;
      } else if (level === 0 || this.timeOf(content - 1) <= now) {
        return this.#found(content - 1);
      } else {
        this.#make(list, content);
        return "again";
      }
    }
  }

  #found(item: number): Step {
    this.item = item;
    return "due";
  }

  /** Puts an item into the slot for its time, below `node`. */
  #sort(item: number, node: number, level: number): void {
    const words = this.#items.piece(item);
    const at = this.#items.offset(item) + this.#field;
    const low = words[at + TimeField.timeLow]!;
    const high = words[at + TimeField.timeHigh]!;
    for (;; level--) {
      const isLow = level < 4;
      const shift = (isLow ? level : level - 4) * DIGIT_BITS;
      const digits = (isLow ? low : high) >>> shift;
      const slot = digits & DIGITS - 1;
      const nodes = this.#nodes.piece(node);
      const first = this.#nodes.offset(node);
      if (slot < nodes[first + NodeField.from]!) nodes[first + NodeField.from] = slot;
      let content = nodes[first + slot]!;
      if (
        content >= 0 && level > 0 && digits === (isLow ? this.#nowLow : this.#nowHigh) >>> shift
      ) {
        // What is in the slot is the next to come: it becomes a node anyway.
        if (!isLow || high === this.#nowHigh) {
          content = this.#make(node << LIST_SHIFT | slot, content);
        }
      }
      if (content < 0) {
        node = -content;
        continue;
      }
      nodes[first + slot] = item + 1;
      words[at + TimeField.next] = content;
      words[at + TimeField.before] = -1 - (node << LIST_SHIFT | slot);
      if (content !== 0) this.#setBefore(content - 1, item + 1);
      return;
    }
  }

  #unlink(item: number): void {
    const words = this.#items.piece(item);
    const at = this.#items.offset(item) + this.#field;
    const next = words[at + TimeField.next]!;
    const before = words[at + TimeField.before]!;
    if (next !== 0) this.#setBefore(next - 1, before);
    if (before < 0) {
      this.#setList(-1 - before, next);
    } else {
      const other = this.#items.offset(before - 1) + this.#field;
      this.#items.piece(before - 1)[other + TimeField.next] = next;
    }
  }

  #setBefore(item: number, before: number): void {
    const at = this.#items.offset(item) + this.#field;
    this.#items.piece(item)[at + TimeField.before] = before;
  }

  #setList(list: number, content: number): void {
    const node = list >>> LIST_SHIFT;
    this.#nodes.piece(node)[this.#nodes.offset(node) + (list & LIST_MASK)] = content;
  }

  /** Puts a node in the place of a list, whose items wait in it to be sorted. Returns the new content of that place. */
  #make(list: number, content: number): number {
    let node = this.#free;
    if (node === 0) node = this.#made++;
    this.#nodes.reserve(node);
    const words = this.#nodes.piece(node);
    const at = this.#nodes.offset(node);
    this.#free = words[at + NodeField.from]!;
    words[at + NodeField.from] = DIGITS;
    words[at + NodeField.unsorted] = content;
    if (content !== 0) {
      this.#setBefore(content - 1, -1 - (node << LIST_SHIFT | NodeField.unsorted));
    }
    this.#setList(list, -node);
    return -node;
  }

  /** Frees a node in which there is nothing, and whose place is `above`. */
  #drop(node: number, above: number): Step {
    this.#setList(above, 0);
    this.#nodes.piece(node)[this.#nodes.offset(node) + NodeField.from] = this.#free;
    this.#free = node;
    return "again";
  }
}
