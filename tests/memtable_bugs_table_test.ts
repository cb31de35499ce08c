import assert from "node:assert/strict";
import { knownBugs } from "./_memtable_bugs.ts";
import { isTest, titlesOf } from "./_titles.ts";

Deno.test("each of the 38 known bugs has a test that exists, or a reason why it cannot be here", () => {
  assert.deepEqual(knownBugs.map(({ bug }) => bug), Array.from({ length: 38 }, (_, i) => i + 1));
  for (const { bug, by, not } of knownBugs) {
    assert(by.length > 0 || (not ?? "") !== "", `B${bug} has neither`);
    for (const test of by) assert(isTest(test), `B${bug}: there is no test "${test}"`);
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
