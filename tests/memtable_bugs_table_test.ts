import assert from "node:assert/strict";
import { knownBugs } from "./_memtable_bugs.ts";

const TITLE = /^\s*(?:Deno\.test|testStore|testFaulty)\(\s*(?:"([^"]+)"|`([^`]+)`)/gm;

/** Titles of the tests in a file of this folder, as they stand in the source. */
function titlesOf(file: string): string[] {
  const source = Deno.readTextFileSync(new URL(`${file}_test.ts`, import.meta.url));
  return Array.from(source.matchAll(TITLE), ([, plain, template]) => (plain ?? template)!);
}

Deno.test("each of the 38 known bugs has a test that exists, or a reason why it cannot be here", () => {
  assert.deepEqual(knownBugs.map(({ bug }) => bug), Array.from({ length: 38 }, (_, i) => i + 1));
  const titles = new Map<string, Set<string>>();
  for (const { bug, by, not } of knownBugs) {
    assert(by.length > 0 || (not ?? "") !== "", `B${bug} has neither`);
    for (const test of by) {
      const [file, title] = [test.slice(0, test.indexOf(": ")), test.slice(test.indexOf(": ") + 2)];
      if (!titles.has(file)) titles.set(file, new Set(titlesOf(file)));
      assert(titles.get(file)!.has(title), `B${bug}: there is no "${title}" in ${file}_test.ts`);
    }
  }
});

Deno.test("a test that is named after a bug is in the table, under each of its numbers", () => {
  for (const file of ["memtable_bugs", "memtable_bugs_replay"]) {
    const titles = titlesOf(file);
    assert(titles.length > 9);
    for (const title of titles) {
      const numbers = title.slice(0, title.indexOf(":")).split(", ");
      for (const number of numbers) {
        const known = knownBugs.find(({ bug }) => `B${bug}` === number);
        assert(known?.by.includes(`${file}: ${title}`), `${number} does not name "${title}"`);
      }
    }
  }
});
