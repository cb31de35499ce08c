// A process to be killed: 64 writers put, delete and batch as fast as they can, and tell of each
// acknowledged write on stdout, one line each, after its promise was kept. Some values are larger than a
// slab, some of these come as streams. Values compress well, if they are to be. Keys that are written
// once, among those that are overwritten all the while, give the compaction something to copy.
import { type Compression, type Durability, open } from "../../mod.ts";
import { isLarge, SLAB_BYTES, valueOf, WRITERS } from "./_values.ts";

const [dir, durability, first, compression, from] = Deno.args as [
  string,
  Durability,
  string,
  string,
  string,
];
const store = await open(dir, {
  durability,
  compression: compression as Compression,
  slabBytes: SLAB_BYTES,
  compaction: { deadPart: 0.2 },
});
const encoder = new TextEncoder();
const tell = (line: string) => Deno.stdout.writeSync(encoder.encode(`${line}\n`));
/** To be killed from now on: at once, or once a compaction has copied something and others follow. */
let isOpen = false;
function begin(): void {
  if (isOpen || (from === "compacting" && store.stats().compaction.movedBytes === 0)) return;
  isOpen = true;
  tell("open");
}
begin();

async function write(writer: number): Promise<void> {
  for (let n = Number(first);; n++) {
    if (n % 13 === 6) {
      await store.put(`s${writer}:${n}`, valueOf(`s${writer}`, n));
      tell(`s${writer}:${n} ${n}`);
    }
    if (n % 7 === 3) {
      const value = valueOf(`b${writer}`, n);
      await store.batch(
        ["x", "y", "z"].map((part) => ({ type: "put", key: `b${writer}:${part}`, value })),
      );
      tell(`b${writer} ${n}`);
    } else if (n % 11 === 5) {
      await store.delete(`w${writer}`);
      tell(`w${writer} ${n}`);
    } else {
      const value = valueOf(`w${writer}`, n);
      const streamed = isLarge(`w${writer}`, n) && n % 4 === 1;
      await store.put(`w${writer}`, streamed ? new Blob([value as BlobPart]) : value);
      tell(`w${writer} ${n}`);
      begin();
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
