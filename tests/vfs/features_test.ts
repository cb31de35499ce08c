import assert from "node:assert/strict";
import { coordinode } from "./_features_coordinode.ts";
import { neon } from "./_features_neon.ts";
import { pebble } from "./_features_pebble.ts";
import { conformanceCases } from "./conformance.ts";

const features = [...pebble, ...neon, ...coordinode];

/** The titles of the tests of this folder. */
function testTitles(): Set<string> {
  const titles = new Set<string>();
  for (const { name } of Deno.readDirSync(new URL(".", import.meta.url))) {
    if (!name.endsWith("_test.ts")) continue;
    const source = Deno.readTextFileSync(new URL(name, import.meta.url));
    for (const [, title = ""] of source.matchAll(/^Deno\.test\(\s*"([^"]+)"/gm)) titles.add(title);
  }
  return titles;
}

Deno.test("every feature is held by a conformance case or a test that exists, or has a reason why not", () => {
  const known = testTitles();
  for (const { name } of conformanceCases) known.add(name);
  for (const { feature, by, not } of features) {
    assert.ok(by.length > 0 || (not ?? "") !== "", `${feature} has neither`);
    for (const name of by) assert.ok(known.has(name), `${feature}: there is no "${name}"`);
  }
});

Deno.test("no feature stands twice in one list", () => {
  for (const list of [pebble, neon, coordinode]) {
    assert.equal(new Set(list.map(({ feature }) => feature)).size, list.length);
  }
});
