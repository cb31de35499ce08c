import {
  CELL_SHIFT,
  CELL_WORDS,
  CHUNK_HEAD_WORDS,
  CHUNK_PART,
  CHUNK_SHIFT,
  Control,
  CONTROL_WORDS,
  DIRECTORY_STEP,
  fillWarp,
  LAYOUT_VERSION,
  LEAST_CHUNK_PAGES,
  MAGIC,
  MOST_CHUNK_PAGES,
  MOST_DEPTH,
  PAGE_TAIL_WORDS,
  PAGE_WORDS,
  POSITION_BITS,
  SHARD_BITS,
} from "./_layout.ts";

/** All memory of an index; plain and transferable, so it is also how an index is handed to a reader. */
export interface IndexHandle {
  /** Counts, versions, warp table. */
  readonly control: SharedArrayBuffer;
  /** Which pages have which keys. */
  readonly directory: SharedArrayBuffer;
  /** How often the directory had moved to new memory: tells a reader that its own is outdated. */
  readonly directoryGeneration: number;
  /** The pages. */
  readonly chunks: readonly SharedArrayBuffer[];
}

/** The shared memory of an index, and how its writer takes more. */
export class IndexMemory {
  readonly control: Int32Array;
  readonly chunks: Int32Array[];
  directory: Int32Array;
  /** True once somebody else may read; before, versions need not be kept. */
  shared = false;
  #pages = 0;
  #chunkPages = 0;

  /** Takes over memory; the writer's if `handle` comes from an image. */
  constructor(handle: IndexHandle) {
    this.control = new Int32Array(handle.control);
    this.directory = new Int32Array(handle.directory);
    this.chunks = handle.chunks.map((chunk) => new Int32Array(chunk));
    this.chunks.forEach((chunk) => this.#count(chunk));
  }

  /** Memory of an index that has no cell yet. */
  static create(): IndexMemory {
    const bytes = CONTROL_WORDS * 4;
    const directory = new SharedArrayBuffer((CELL_WORDS * 4) << DIRECTORY_STEP);
    const memory = new IndexMemory({
      control: new SharedArrayBuffer(bytes),
      directory,
      directoryGeneration: 0,
      chunks: [],
    });
    memory.control[Control.magic] = MAGIC;
    memory.control[Control.layout] = LAYOUT_VERSION;
    fillWarp(memory.control);
    return memory;
  }

  /** Bytes of all of it. */
  get bytes(): number {
    const chunks = this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    return this.control.byteLength + this.directory.byteLength + chunks;
  }

  /** All of it. */
  handle(): IndexHandle {
    const buffer = (words: Int32Array) => words.buffer as SharedArrayBuffer;
    return {
      control: buffer(this.control),
      directory: buffer(this.directory),
      directoryGeneration: this.control[Control.directoryGeneration]!,
      chunks: this.chunks.map(buffer),
    };
  }

  /** Names a page that is empty and in no cell. */
  takePage(): number {
    const { control } = this;
    if (this.chunks.length === 0 || control[Control.lastChunkPages] === this.#chunkPages) {
      this.#takeChunk();
    }
    const chunk = this.chunks.length - 1;
    return (chunk << CHUNK_SHIFT) | control[Control.lastChunkPages]!++;
  }

  /** True if the directory has room to be deepened where it is. */
  get directoryHasRoom(): boolean {
    return this.directory.length > CELL_WORDS << this.control[Control.depth]!;
  }

  /** Doubles the directory: each cell becomes two that are the same. In place, if there is room. */
  deepen(): void {
    const { control, directory: old } = this;
    const depth = control[Control.depth]!;
    if (depth === MOST_DEPTH) {
      throw new RangeError(
        "Cannot add a key to the index: too many keys have nearly equal hashes.",
      );
    }
    let directory = old;
    if (!this.directoryHasRoom) {
      const most = Math.min(depth + DIRECTORY_STEP, MOST_DEPTH);
      directory = new Int32Array(new SharedArrayBuffer((CELL_WORDS * 4) << most));
    }
    // From the end, so that nothing is overwritten before it is copied.
    for (let cell = (1 << depth) - 1; cell >= 0; cell--) {
      const from = cell << CELL_SHIFT;
      for (let word = 0; word < CELL_WORDS; word++) {
        const value = old[from + word]!;
        directory[2 * from + word] = value;
        directory[2 * from + CELL_WORDS + word] = value;
      }
    }
    control[Control.depth] = depth + 1;
    if (directory === old) return;
    this.directory = directory;
    Atomics.add(control, Control.directoryGeneration, 1);
    Atomics.add(control, Control.memoryGeneration, 1);
  }

  /** Tells readers that what is in a cell of `depth` at `position` is about to change. */
  open(position: number, depth: number): void {
    if (this.shared) this.#raiseVersions(position, depth);
  }

  /** Tells readers that it has changed. */
  close(position: number, depth: number): void {
    if (this.shared) this.#raiseVersions(position, depth);
  }

  /** Of the shards that the cell has a part of: 2^(8 - depth), or one. */
  #raiseVersions(position: number, depth: number): void {
    const shards = 1 << Math.max(0, SHARD_BITS - depth);
    const shard = position >>> (POSITION_BITS - SHARD_BITS);
    const first = Control.versions + (shard & -shards);
    const end = first + shards;
    for (let word = first; word < end; word++) Atomics.add(this.control, word, 1);
  }

  #takeChunk(): void {
    const part = Math.ceil(this.#pages / CHUNK_PART);
    const pages = Math.min(Math.max(part, LEAST_CHUNK_PAGES), MOST_CHUNK_PAGES);
    const words = CHUNK_HEAD_WORDS + pages * (PAGE_WORDS + PAGE_TAIL_WORDS);
    const chunk = new Int32Array(new SharedArrayBuffer(words * 4));
    this.chunks.push(chunk);
    this.#count(chunk);
    this.control[Control.lastChunkPages] = 0;
    this.control[Control.chunks] = this.chunks.length;
    Atomics.add(this.control, Control.memoryGeneration, 1);
  }

  #count(chunk: Int32Array): void {
    this.#chunkPages = Math.floor(chunk.length / (PAGE_WORDS + PAGE_TAIL_WORDS));
    this.#pages += this.#chunkPages;
  }
}
