// A process to be killed: 64 writers put, delete and batch as fast as they can, and tell of each
// acknowledged write on stdout, one line each, after its promise was kept. Some values are larger than a
// slab, some of these come as streams. Values compress well, if they are to be.
import { type Compression, type Durability, open } from "../../mod.ts";
import { isLarge, SLAB_BYTES, valueOf, WRITERS } from "./_values.ts";

const [dir, durability, first, compression] = Deno.args as [string, Durability, string, string];
const store = await open(dir, {
  durability,
  compression: compression as Compression,
  slabBytes: SLAB_BYTES,
});
const encoder = new TextEncoder();
const tell = (line: string) => Deno.stdout.writeSync(encoder.encode(`${line}\n`));
tell("open");

async function write(writer: number): Promise<void> {
  for (let n = Number(first);; n++) {
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
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
