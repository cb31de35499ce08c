import assert from "node:assert/strict";
import {
  type CrashScenario,
  FaultFs,
  type Fs,
  syncDirectory,
  testCrashes,
} from "../../testing/mod.ts";
import { bytes, exists, readAll, text, writeSynced } from "./_support.ts";

/** Without its bug the program survives every crash; with it, some crash shows the bug. */
async function plant(
  make: (buggy: boolean) => CrashScenario<string>,
  wrap?: (fs: Fs) => Fs,
): Promise<void> {
  const options = wrap === undefined ? {} : { wrap };
  const report = await testCrashes(make(false), options);
  assert.ok(report.moments >= 2 && report.crashes === report.moments * 50);
  await assert.rejects(
    testCrashes(make(true), options),
    /After a crash before .* the check failed/,
  );
}

/** A sum that tells whether all bytes are there; enough for these programs. */
function checksum(content: Uint8Array): number {
  return content.reduce((sum, byte) => Math.imul(sum, 31) + byte >>> 0, 7);
}

Deno.test("testCrashes() finds a create without a directory sync", () =>
  plant((buggy) => ({
    run(fs, promise) {
      fs.mkdirAll("/logs");
      syncDirectory(fs, "/");
      for (const name of ["1", "2"]) {
        using log = fs.create(`/logs/${name}`);
        log.write(bytes(`record ${name}`));
        log.sync();
        if (!buggy) syncDirectory(fs, "/logs");
        promise(name);
      }
    },
    check(fs, promised) {
      for (const name of promised) {
        assert.equal(text(readAll(fs, `/logs/${name}`)), `record ${name}`);
      }
    },
  })));

Deno.test("testCrashes() finds a rename without a directory sync", () =>
  plant((buggy) => ({
    prepare: (fs) => writeSynced(fs, "/config", "version 0"),
    run(fs, promise) {
      for (const version of ["version 1", "version 2"]) {
        writeSynced(fs, "/config.tmp", version);
        fs.rename("/config.tmp", "/config");
        if (!buggy) syncDirectory(fs, "/");
        promise(version);
      }
    },
    check(fs, promised) {
      const found = text(readAll(fs, "/config"));
      assert.ok(found >= (promised.at(-1) ?? "version 0"), found);
    },
  })));

Deno.test("testCrashes() finds an unlink without a directory sync", () =>
  plant((buggy) => ({
    prepare: (fs) => writeSynced(fs, "/secret", "to be forgotten"),
    run(fs, promise) {
      fs.remove("/secret");
      if (!buggy) syncDirectory(fs, "/");
      promise("forgotten");
    },
    check(fs, promised) {
      assert.ok(promised.length === 0 || !exists(fs, "/secret"), "it came back");
    },
  })));

Deno.test("testCrashes() finds a rename before the sync of the content", () =>
  plant((buggy) => ({
    prepare: (fs) => writeSynced(fs, "/config", "old"),
    run(fs) {
      using file = fs.create("/config.tmp");
      file.write(bytes("new"));
      if (!buggy) file.sync();
      fs.rename("/config.tmp", "/config");
      file.sync();
      syncDirectory(fs, "/");
    },
    check(fs) {
      assert.ok(["old", "new"].includes(text(readAll(fs, "/config"))));
    },
  })));

Deno.test("testCrashes() finds a torn 4 KiB block", () => {
  const page = (version: number) => {
    const content = new Uint8Array(4096).fill(version);
    new DataView(content.buffer).setUint32(4092, checksum(content.subarray(0, 4092)));
    return content;
  };
  const versionOf = (content: Uint8Array): number | undefined => {
    const stored = new DataView(content.buffer, content.byteOffset).getUint32(4092);
    return stored === checksum(content.subarray(0, 4092)) ? content[0] : undefined;
  };
  return plant((buggy) => ({
    prepare: (fs) => writeSynced(fs, "/page", new Uint8Array([...page(1), ...page(1)])),
    run(fs, promise) {
      using file = fs.openReadWrite("/page");
      for (const version of [2, 3, 4]) {
        // Right: two places in turn, so that one whole page is always there.
        file.writeAt(page(version), buggy ? 0 : (version % 2) * 4096);
        file.syncData();
        promise(String(version));
      }
    },
    check(fs, promised) {
      const content = readAll(fs, "/page");
      const versions = [versionOf(content.subarray(0, 4096))];
      if (!buggy) versions.push(versionOf(content.subarray(4096)));
      const newest = Math.max(...versions.map((version) => version ?? 0));
      assert.ok(newest >= Number(promised.at(-1) ?? 1), `${versions}, promised ${promised}`);
    },
  }));
});

Deno.test("testCrashes() finds a write that is retried after a failed sync", () => {
  const wrap = (fs: Fs): Fs => {
    const faults = new FaultFs(fs);
    faults.arm({ on: "syncData", skip: 1, times: 1, fault: { kind: "failedSync" } });
    return faults;
  };
  return plant((buggy) => ({
    prepare: (fs) => writeSynced(fs, "/log", ""),
    run(fs, promise) {
      using log = fs.openReadWrite("/log");
      let pending: string[] = [];
      for (let i = 0; i < 4; i++) {
        const record = `record ${i};`.padEnd(4096, ".");
        log.write(bytes(record));
        pending.push(record);
        try {
          log.syncData();
        } catch (error) {
          // Right: nothing written since the last sync can be relied on, so this is the end.
          if (!buggy) return;
          assert.ok(error instanceof Error);
          continue;
        }
        for (const done of pending) promise(done);
        pending = [];
      }
    },
    check(fs, promised) {
      const found = text(readAll(fs, "/log"));
      assert.ok(found.startsWith(promised.join("")), "an acknowledged record is gone");
    },
  }), wrap);
});

Deno.test("testCrashes() finds a footer without a checksum", () =>
  plant((buggy) => {
    const body = bytes("segment ".repeat(2000));
    const footer = new Uint8Array(12);
    footer.set(bytes("DONE"), 8);
    new DataView(footer.buffer).setUint32(0, body.length);
    if (!buggy) new DataView(footer.buffer).setUint32(4, checksum(body));
    return {
      run(fs) {
        using file = fs.create("/segment");
        file.write(body);
        file.write(footer);
        file.sync();
        syncDirectory(fs, "/");
      },
      check(fs) {
        if (!exists(fs, "/segment")) return;
        const content = readAll(fs, "/segment");
        if (content.length < 12 || text(content.subarray(-4)) !== "DONE") return;
        const view = new DataView(content.buffer, content.length - 12);
        const found = content.subarray(0, view.getUint32(0));
        // Right: a footer whose checksum does not fit is no footer.
        if (!buggy && view.getUint32(4) !== checksum(found)) return;
        assert.equal(text(found) === text(body), true, "a complete segment with a hole");
      },
    };
  }));

Deno.test("testCrashes() can repeat the one crash that failed", async () => {
  const scenario: CrashScenario<string> = {
    run(fs, promise) {
      fs.create("/a").close();
      promise("a");
    },
    check: (fs, promised) => assert.ok(promised.length === 0 || exists(fs, "/a")),
  };
  const failure = await testCrashes(scenario, { seed: 40 }).then(
    () => assert.fail("not found"),
    (error: Error) => error,
  );
  const found = /before (.*) \(moment (\d+), seed (\d+)\)/.exec(failure.message);
  assert.equal(found?.[1], "the end");
  const only = { moment: Number(found?.[2]), seed: Number(found?.[3]) };
  await assert.rejects(testCrashes(scenario, { seed: 40, only }), { message: failure.message });
  const other = { moment: 0, seed: 40 };
  assert.deepEqual(await testCrashes(scenario, { seed: 40, only: other }), {
    moments: 2,
    crashes: 1,
  });
});

Deno.test("testCrashes() passes on what the program throws", async () => {
  const failure = new Error("mine");
  const run = () => {
    throw failure;
  };
  await assert.rejects(testCrashes({ run, check: () => {} }), failure);
});
