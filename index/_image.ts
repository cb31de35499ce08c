import {
  CELL_PAGES_MASK,
  CELL_SHIFT,
  CELL_WORDS,
  CHUNK_SHIFT,
  Control,
  CONTROL_WORDS,
  filterBase,
  INDEX_SHARDS,
  LAYOUT_VERSION,
  LEAST_PAGES,
  MAGIC,
  MOST_DEPTH,
  MOST_PAGES,
  PAGE_TAIL_WORDS,
  PAGE_WORDS,
  pageBase,
} from "./_layout.ts";
import { IndexMemory } from "./_memory.ts";

/** All bytes of `memory`: control block, directory, chunks. Views. */
export function imageOf(memory: IndexMemory): Uint8Array[] {
  const { control, directory, chunks } = memory.handle();
  return [control, directory, ...chunks].map((buffer) => new Uint8Array(buffer));
}

/** Memory out of bytes that `imageOf` gave. Throws a RangeError if they cannot be these. */
export function memoryOf(image: readonly Uint8Array[]): IndexMemory {
  const [control, directory, ...chunks] = image.map(owned);
  if (control?.byteLength !== CONTROL_WORDS * 4) throw notAnImage("it has no control block");
  const words = new Int32Array(control);
  if (words[Control.magic] !== MAGIC) throw notAnImage("it does not begin as one");
  if (words[Control.layout] !== LAYOUT_VERSION) throw notAnImage("it has another layout");
  if (directory === undefined || words[Control.chunks] !== chunks.length) {
    throw notAnImage("pieces are missing");
  }
  if (chunks.some((chunk) => chunk.byteLength % 4 !== 0 || chunk.byteLength < PAGE_WORDS * 4)) {
    throw notAnImage("a chunk is cut short");
  }
  words.fill(0, Control.versions, Control.versions + INDEX_SHARDS);
  words[Control.directoryGeneration] = 0;
  const memory = new IndexMemory({ control, directory, directoryGeneration: 0, chunks });
  checkDirectory(memory);
  return memory;
}

/** Every page that a cell names must be there: looking up relies on it. */
function checkDirectory(memory: IndexMemory): void {
  const { control, directory, chunks } = memory;
  const last = chunks.at(-1)?.length ?? 0;
  const lastPages = Math.floor(last / (PAGE_WORDS + PAGE_TAIL_WORDS));
  if (!(control[Control.lastChunkPages]! >= 0 && control[Control.lastChunkPages]! <= lastPages)) {
    throw notAnImage("its last chunk is cut short");
  }
  const depth = control[Control.depth]!;
  if (!(depth >= 0 && depth <= MOST_DEPTH && CELL_WORDS << depth <= directory.length)) {
    throw notAnImage("its directory is cut short");
  }
  for (let cell = 0; cell < 1 << depth; cell++) {
    const at = cell << CELL_SHIFT;
    const pages = directory[at]! & CELL_PAGES_MASK;
    if (pages < LEAST_PAGES || pages > MOST_PAGES) throw notAnImage("a cell is damaged");
    for (let i = 1; i <= pages; i++) {
      const page = directory[at + i]!;
      const chunk = chunks[page >>> CHUNK_SHIFT];
      if (
        chunk === undefined || pageBase(page) + PAGE_WORDS > filterBase(chunk, page)
      ) {
        throw notAnImage("a page is missing");
      }
    }
  }
}

/** The bytes in a SharedArrayBuffer of their own. */
function owned(bytes: Uint8Array): SharedArrayBuffer {
  const { buffer, byteLength } = bytes;
  if (buffer instanceof SharedArrayBuffer && buffer.byteLength === byteLength) return buffer;
  const copy = new SharedArrayBuffer(byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}

function notAnImage(why: string): RangeError {
  return new RangeError(`Cannot load an index: ${why}.`);
}
