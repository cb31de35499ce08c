import assert from "node:assert/strict";
import { testCrashes } from "../../testing/mod.ts";
import { CrashFs, FaultFs, FlagstoneError, type Fs, Marker, syncDirectory } from "../../vfs/mod.ts";
import { failEachCall } from "./_failures.ts";
import { throwsCode, writeAll } from "./_support.ts";

const VALUES = ["v1", "v2", "v3", "v4"];

/** What a crash can make of the marker, each value once. */
function valuesAfterCrash(fs: CrashFs): (string | undefined)[] {
  return [...new Set([...fs.everyCrash()].map((left) => Marker.read(left, "/", "m")))].sort();
}

Deno.test("Marker has the old value or the new one, whenever it crashes", async () => {
  const report = await testCrashes<string>({
    run(fs, promise) {
      const marker = Marker.open(fs, "/", "m");
      for (const value of VALUES) {
        marker.move(value);
        promise(value);
      }
    },
    check(fs, promised) {
      const found = Marker.read(fs, "/", "m");
      const reached = VALUES.indexOf(promised.at(-1) ?? "");
      assert.ok([VALUES[reached], VALUES[reached + 1]].includes(found), `${found}, ${promised}`);
      // What the next owner is told, no second crash takes away.
      const marker = Marker.open(fs, "/", "m");
      assert.equal(marker.value, found);
      if (!(fs instanceof CrashFs) || found === undefined) return;
      assert.deepEqual(valuesAfterCrash(fs), [found]);
      assert.equal(fs.list("/").length, 1);
    },
  });
  assert.ok(report.moments > 10);
});

Deno.test("Marker keeps the old name until the new one is durable: in every state one of them is there", () => {
  const fs = new CrashFs();
  const marker = Marker.open(fs, "/", "m");
  marker.move("old");
  const seen = new Set<string | undefined>();
  fs.onSync = () => {
    for (const value of valuesAfterCrash(fs)) seen.add(value);
  };
  marker.move("new");
  assert.deepEqual([...seen].sort(), ["new", "old"]);
  fs.onSync = undefined;
  assert.deepEqual(valuesAfterCrash(fs), ["new"]);
});

Deno.test("Marker.move() that throws leaves the old value, durably, or says that it does not know", () => {
  let undone = 0;
  let unknown = 0;
  for (const times of [1, 2, 100]) {
    const calls = failEachCall({
      prepare: (fs) => Marker.open(fs, "/", "m").move("old"),
      run(fs) {
        const marker = Marker.open(fs, "/", "m");
        try {
          marker.move("new");
        } catch (error) {
          let value: string | undefined;
          try {
            value = marker.value;
          } catch (again) {
            assert.equal(again, error);
            assert.throws(() => marker.move("later"), (later) => later === error);
            unknown++;
            throw error;
          }
          assert.equal(value, "old");
          undone++;
          throw new FlagstoneError("ABORTED", "the old value");
        }
        assert.equal(marker.value, "new");
      },
      times,
      check(left, error) {
        const found = valuesAfterCrash(left);
        if (error === undefined) assert.deepEqual(found, ["new"]);
        else if (error.code === "ABORTED") assert.deepEqual(found, ["old"]);
        else assert.ok(found.every((value) => value === "old" || value === "new"), `${found}`);
      },
    });
    assert.ok(calls >= 10);
  }
  assert.ok(undone > 0 && unknown > 0, "both happened");
});

Deno.test("Marker goes on after a creation that failed, also one that left its file", () => {
  const memory = new CrashFs();
  const faults = new FaultFs(memory);
  const marker = Marker.open(faults, "/", "m");
  marker.move("one");
  faults.arm({ on: "create", times: 1, fault: { kind: "error", code: "NO_SPACE" } });
  throwsCode("NO_SPACE", () => marker.move("two"));
  marker.move("three");
  assert.equal(marker.value, "three");
  assert.deepEqual(memory.list("/"), ["marker.m.000003.three"], "no iteration is used twice");
  // The file is closed with an error: it is there, and counts for nothing.
  faults.arm({ on: "close", times: 1, fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => marker.move("four"));
  assert.equal(marker.value, "three");
  assert.deepEqual(valuesAfterCrash(memory), ["three"]);
});

Deno.test("C3: Marker.open() makes durable what it tells, though an earlier sync failed", async () => {
  for (let skip = 0; skip < 8; skip++) {
    await testCrashes<string>({
      prepare: (fs) => Marker.open(fs, "/", "m").move("v0"),
      run(fs, promise) {
        let marker = Marker.open(fs, "/", "m");
        for (const value of VALUES) {
          try {
            marker.move(value);
          } catch {
            // What an owner does that was told of the failure, and opens anew.
            marker = Marker.open(fs, "/", "m");
          }
          promise(marker.value ?? "none");
        }
      },
      check(fs, promised) {
        const found = Marker.read(fs, "/", "m") ?? "none";
        assert.ok(found >= (promised.at(-1) ?? "v0"), `${found} after ${promised}`);
      },
    }, {
      statesPerMoment: 20,
      wrap(fs) {
        const faults = new FaultFs(fs);
        faults.arm({ on: "sync", skip: skip + 1, times: 1, fault: { kind: "failedSync" } });
        return faults;
      },
    });
  }
});

Deno.test("Marker removes later what it cannot remove now, and never trusts it", () => {
  const faults = new FaultFs(new CrashFs());
  const marker = Marker.open(faults, "/", "m");
  marker.move("one");
  const stuck = faults.arm({ on: "removeAll", fault: { kind: "error", code: "BUSY" } });
  marker.move("two");
  marker.move("three");
  assert.equal(faults.list("/").length, 3);
  assert.equal(Marker.read(faults, "/", "m"), "three");
  throwsCode("BUSY", () => marker.removeObsolete());
  stuck.clear();
  assert.deepEqual(marker.removeObsolete(), ["marker.m.000001.one", "marker.m.000002.two"]);
  assert.deepEqual(marker.removeObsolete(), []);
  assert.deepEqual(faults.list("/"), ["marker.m.000003.three"]);
});

Deno.test("Marker.read() changes nothing, and needs no permission to write", () => {
  const memory = new CrashFs();
  const faults: Fs = new FaultFs(memory);
  writeAll(memory, "/marker.m.000001.one", "");
  writeAll(memory, "/marker.m.000002.two", "");
  syncDirectory(memory, "/");
  const armed = (faults as FaultFs).arm({
    on: ["create", "remove", "removeAll", "rename", "sync", "openReadWrite"],
    fault: { kind: "error", code: "READ_ONLY" },
  });
  assert.equal(Marker.read(faults, "/", "m"), "two");
  assert.equal(armed.strikes, 0);
  throwsCode("READ_ONLY", () => Marker.open(faults, "/", "m"));
});
