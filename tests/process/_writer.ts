// A process to be killed: 64 writers put, delete and batch as fast as they can, and tell of each
// acknowledged write on stdout, one line each, after its promise was kept.
import { type Durability, open } from "../../mod.ts";
import { valueOf, WRITERS } from "./_values.ts";

const [dir, durability, first] = Deno.args as [string, Durability, string];
const store = await open(dir, { durability, slabBytes: 1024 * 1024 });
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
      await store.put(`w${writer}`, valueOf(`w${writer}`, n));
      tell(`w${writer} ${n}`);
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
