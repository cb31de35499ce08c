import assert from "node:assert/strict";
import { memFile } from "../../vfs/mod.ts";
import { bytes, text, throwsCode } from "./_support.ts";

Deno.test("memFile() is a file for reading with a copy of the content", async () => {
  const content = bytes("content");
  using file = memFile(content);
  content.fill(0);
  const into = new Uint8Array(10);
  assert.equal(file.read(into), 7);
  assert.equal(text(into.subarray(0, 7)), "content");
  assert.equal(await file.readAtAsync(into, 3), 4);
  assert.equal(file.stat().size, 7);
  throwsCode("READ_ONLY", () => file.write(content));
  file.close();
  throwsCode("CLOSED", () => file.stat());
});
