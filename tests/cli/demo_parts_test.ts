import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { open } from "../../mod.ts";
import { checkStore, Ledger, SeededRandom } from "../../cli/demo/mod.ts";
import { collectFiles } from "../../cli/demo/sources.ts";
import { InFlight } from "../../cli/in_flight.ts";
import { bytes, withFolder, writeFiles } from "./_support.ts";

function sha(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

Deno.test("checkStore() finds what is lost, older, different or foreign", async () => {
  await withFolder(async (folder) => {
    await using store = await open(`${folder}/store`);
    const keys = ["right", "survivor", "gone", "older", "different", "unexpected", "never there"];
    const files = keys.map((key) => ({ key, path: `${folder}/${key}`, size: 0 }));
    writeFiles(folder, { right: bytes("1"), survivor: bytes("changed") });
    const ledger = new Ledger(files.length);
    let puts = 0;
    const begin = (index: number, value: string) => {
      ledger.begin(puts, index, value.length, sha(value));
      return puts++;
    };
    const acked = (index: number, value: string, version: number) =>
      ledger.ack(begin(index, value), version);

    acked(0, "1", await store.put("right", "1"));
    acked(1, "1", await store.put("survivor", "1"));
    acked(2, "1", 1); // "gone" is not put at all.
    acked(3, "2", await store.put("older", "1") + 1_000_000);
    acked(4, "1", await store.put("different", "2"));
    begin(1, "2");
    begin(5, "1");
    begin(6, "1");
    assert.equal(ledger.endRound(), 3);
    await store.put("survivor", "2");
    await store.put("unexpected", "2");
    await store.put("foreign", "1");

    const report = await checkStore(store, files, ledger);
    assert.equal(report.files, 5);
    assert.deepEqual(report.lost.map((story) => story.split(":")[0]), ["gone", "older"]);
    assert.deepEqual(report.different.map((story) => story.split(":")[0]), [
      "different",
      "unexpected",
      "foreign",
    ]);
    assert.deepEqual([report.survivors, report.sourceChanged], [1, 1]);
  });
});

Deno.test("Ledger.ack() takes back the doubts about earlier puts", () => {
  const ledger = new Ledger(2);
  ledger.begin(0, 0, 10, "a");
  assert.equal(ledger.inFlight, 1);
  assert.equal(ledger.endRound(), 1);
  assert(ledger.isDoubtful(0, "a"));
  assert.deepEqual(ledger.missing, [0, 1]);
  ledger.begin(0, 0, 20, "b");
  ledger.ack(0, 7);
  assert.equal(ledger.endRound(), 0);
  assert(!ledger.isDoubtful(0, "a"));
  assert.deepEqual(ledger.acked(0), { version: 7, size: 20, sha256: "b" });
  assert.deepEqual([ledger.missing, ledger.acks, ledger.ackedBytes], [[1], 1, 20]);
  assert.throws(() => ledger.ack(0, 8), /never begun/);
});

Deno.test("SeededRandom.next() repeats with its seed", () => {
  const numbers = (seed: number) => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 100 }, () => random.next());
  };
  assert.deepEqual(numbers(1), numbers(1));
  assert.notDeepEqual(numbers(1), numbers(2));
  assert(numbers(3).every((number) => number >= 0 && number < 1));
  const order = new SeededRandom(4).shuffled([1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(order.toSorted(), [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("collectFiles() stops at the limit and tells what it left out", async () => {
  await withFolder((folder) => {
    writeFiles(folder, { a: bytes("123"), b: bytes("12345678"), "c/d": bytes("1234567") });
    const { files, bytes: total, leftOut } = collectFiles([{ name: "n", path: folder }], 10);
    assert.deepEqual(files.map(({ key, size }) => [key, size]), [["n/a", 3], ["n/c/d", 7]]);
    assert.deepEqual([total, leftOut], [10, { files: 1, bytes: 8 }]);
    return Promise.resolve();
  });
});

Deno.test("InFlight.start() holds back what exceeds the bounds", async () => {
  const inFlight = new InFlight(2, 100);
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const running: number[] = [];
  const task = (i: number) => async () => {
    running.push(i);
    await gates[i]?.promise;
  };
  await inFlight.start(60, task(0));
  const second = inFlight.start(60, task(1)); // Too many bytes.
  assert.deepEqual(running, [0]);
  gates[0]?.resolve();
  await second;
  await inFlight.start(40, task(2));
  const fourth = inFlight.start(0, task(3)); // Too many tasks.
  assert.deepEqual(running, [0, 1, 2]);
  gates[2]?.resolve();
  await fourth;
  gates[1]?.resolve();
  gates[3]?.resolve();
  await inFlight.end();
  await inFlight.start(1000, () => Promise.resolve()); // Alone, whatever its size.
  await inFlight.end();
});

Deno.test("InFlight.end() rejects with the first failure, and nothing is started after it", async () => {
  const inFlight = new InFlight(2, 100);
  await inFlight.start(1, () => Promise.reject(new Error("first")));
  await inFlight.settled();
  await assert.rejects(
    inFlight.start(1, () => assert.fail("started after a failure")),
    /first/,
  );
  await assert.rejects(inFlight.end(), /first/);
});
