/** A bug of the store that this one takes after, and what keeps it out of here. */
export interface KnownBug {
  /** Its number. */
  readonly bug: number;
  /** What was wrong there. */
  readonly what: string;
  /** Tests that fail if it is here, as `file: title`; files are in this folder, without `_test.ts`. */
  readonly by: readonly string[];
  /** Why it cannot be here, or a part of it. */
  readonly not?: string;
}

const anyMoment =
  "power_loss: power loss at every call, with some sectors and names kept, seed ${seed}";
const everyAnswer = "regressions: whatever moment the disk fails at, every write gets an answer";
const anyFailure =
  "memtable_bugs: B5, B30, B37: whichever call of the disk fails, once or for good, " +
  "what was acknowledged is readable, and survives a power loss";
const olderLogs = "memtable_bugs_replay: B1, B14, B20, B27: logs older than sealed segments are " +
  "replayed, and the newest of each key wins";

/** All of them. */
export const knownBugs: readonly KnownBug[] = [
  {
    bug: 1,
    what: "recovery takes a log for flushed because a newer one is",
    by: [
      olderLogs,
      "memtable_bugs_replay: B1: segments are finished in the order of the log, and every moment in between is whole",
      "log_engine: power loss at any moment, segments synced or not, keeps a prefix of the log",
    ],
  },
  {
    bug: 2,
    what: "the same when the clock goes back",
    by: ["memtable_bugs_replay: B2: a clock that goes back changes no order"],
  },
  {
    bug: 3,
    what: "files are created and renamed without a sync of the directory",
    by: [
      "memtable_bugs_replay: B3: at each promise the names of everything that it rests on are durable",
      "regressions: a log whose name was never synced is not relied on before it is",
      anyMoment,
    ],
  },
  {
    bug: 4,
    what:
      "a segment's list of keys is written in place, without a sync; its log's header does not fit",
    by: [
      "memtable_bugs_replay: B4: whatever of a footer a crash leaves, the segment is made anew from its log",
      "segment: a flipped bit anywhere in a footer is told, with the file and an offset",
      anyMoment,
    ],
  },
  {
    bug: 5,
    what: "a put succeeds though its write to the log failed",
    by: [anyFailure, "lifecycle: a failed ${on} of the log rejects the write and is not retried"],
  },
  {
    bug: 6,
    what: "a write that comes late is acknowledged because its key has some value",
    by: [
      "regressions: a batch that waits does not overwrite a put that was called after it",
      "store_linearizability: 100 writers on one key: some order explains every answer",
      "store_linearizability: some order explains every answer, whatever the workers' pace, seed ${seed}",
    ],
    not: "a write gets its number and its place in one step, so none comes late",
  },
  {
    bug: 7,
    what: "after a failed write to the log, rotation waits for ever",
    by: [
      "memtable_bugs: B7: after the log's disk has failed, whoever waits for a slab, a key or the end is told",
      everyAnswer,
    ],
  },
  {
    bug: 8,
    what: "replay drops full slabs, and runs out of them",
    by: [
      "memtable_bugs_replay: B8: more logs than slabs are replayed, none of them is lost afterwards, and writing goes on",
    ],
  },
  {
    bug: 9,
    what: "replay of a value larger than a slab fails",
    by: [
      "memtable_bugs_replay: B9, B17: values larger than a slab are replayed, each with its checksum over key and value",
      "sizes: every size is put, overwritten, deleted, reopened, replayed",
    ],
  },
  {
    bug: 10,
    what: "a value of more than two slabs rotates for ever, leaving empty segments",
    by: [
      "memtable_bugs: B10: values of any size need one slab each, and leave no segment without a record",
    ],
  },
  {
    bug: 11,
    what: "a small value beside a large one is read at the wrong offset",
    by: [
      "memtable_bugs: B11: small and large values put together are each at their place, in slab and segment",
    ],
  },
  {
    bug: 12,
    what: "memory of large values is never given back",
    by: [
      "memtable_bugs: B12, B13: the memory of large values is given back, also of those that were overwritten",
    ],
  },
  {
    bug: 13,
    what: "nor that of large values that were overwritten",
    by: [
      "memtable_bugs: B12, B13: the memory of large values is given back, also of those that were overwritten",
    ],
  },
  {
    bug: 14,
    what: "replay puts into the index without comparing sequence numbers",
    by: [
      olderLogs,
      "index: HashIndex ends with the newest of each key, in whatever order updates arrive",
    ],
  },
  {
    bug: 15,
    what: "an empty log, or one with half a header, keeps the store from opening",
    by: ["hostile_log: open() takes a log that is ${what} for one never begun"],
  },
  {
    bug: 16,
    what: "a torn end and damage are not told apart, and a loss is not reported",
    by: [
      "hostile_log: open() after any flipped bit in synced data: an error with file and offset",
      "hostile_log: open() after a flipped bit in what was never synced: a torn end, cut",
      "hostile_log: open() cuts garbage behind the records, says so, and goes on",
      "log_engine: recovery refuses a damaged log if a newer one says that it was durable",
    ],
  },
  {
    bug: 17,
    what: "a checksum of the caller's covers less than replay verifies",
    by: [
      "memtable_bugs_replay: B9, B17: values larger than a slab are replayed, each with its checksum over key and value",
    ],
    not: "callers bring no checksum: there is one, of key and value, and one function makes it",
  },
  {
    bug: 18,
    what: "keys of more than 65,535 bytes are cut",
    by: [
      "arguments: a key that is none is refused by every call, before anything changes",
      "arguments: the longest key works",
    ],
  },
  {
    bug: 19,
    what: "a delete of a key that is only in memory does nothing",
    by: [
      "memtable_bugs: B19: a delete of what is only in memory, or waits for memory, is no delete of nothing",
    ],
  },
  {
    bug: 20,
    what: "a flush under way brings a deleted key back",
    by: [
      "memtable_bugs_replay: B20: a delete during rotations and flushes lasts, whatever became of its key's older values",
      olderLogs,
    ],
  },
  {
    bug: 21,
    what: "acknowledged deletes are lost",
    by: [
      "memtable_bugs: B21: a delete that was acknowledged survives a power loss, wherever the value is",
      anyMoment,
    ],
  },
  {
    bug: 22,
    what: "the number of a delete makes later puts fail",
    by: [
      "memtable_bugs: B22, B23: puts and deletes side by side across rotations: none is refused, and each key's versions grow",
    ],
  },
  {
    bug: 23,
    what: "a rotation notes the first number of the wrong write",
    by: [
      "memtable_bugs: B22, B23: puts and deletes side by side across rotations: none is refused, and each key's versions grow",
      "memtable_bugs: B23: the sequence numbers of a segment all lie between its base and the next one's",
    ],
  },
  {
    bug: 24,
    what: "a refused write fails its whole group; one that failed comes back at replay",
    by: [
      "memtable_bugs: B24: one write that is refused takes none with it",
      "regressions: data that a failed sync dropped is not acknowledged after a reopening",
    ],
    not:
      "after a failed sync all that waits is in doubt, and the error says so: what replay then " +
      "shows is written again and stays",
  },
  {
    bug: 25,
    what: "closing races with the group commit",
    by: [
      "memtable_bugs: B25, B29: close() in the midst of everything: each call gets an answer, and no answer lies",
      "lifecycle: close() with writes pending finishes them first",
    ],
  },
  {
    bug: 26,
    what: "a slab's filter is frozen before its last writers are in it",
    by: [
      "index: HashIndex agrees with a Map, whatever is put, removed and found",
      "index_growth: HashIndex keeps its misses cheap while keys come and go: filters are made anew",
      "memtable_bugs: B28: what was written is read at every moment, with ${slabs} slabs going round",
    ],
    not: "slabs have no filters; those of the index change in the step that changes its entries",
  },
  {
    bug: 27,
    what: "the index keeps an older value; segments are read in the order 10, 9",
    by: [
      olderLogs,
      "index: HashIndex ends with the newest of each key, in whatever order updates arrive",
      "parts: parseFileName() compares segments as numbers and ignores other names",
    ],
  },
  {
    bug: 28,
    what: "a read falls through to an older slab, or to nothing, while slabs go round",
    by: [
      "memtable_bugs: B28: what was written is read at every moment, with ${slabs} slabs going round",
      "store: getSync() sees a put as soon as it was called",
    ],
  },
  {
    bug: 29,
    what: "each flush makes an empty segment, or returns early; writers hang after a close",
    by: [
      "memtable_bugs: B29: flush() makes no file, however often; it has everything that was called before",
      "memtable_bugs: B25, B29: close() in the midst of everything: each call gets an answer, and no answer lies",
    ],
  },
  {
    bug: 30,
    what: "a flush that fails drops the slab, or hides the segment",
    by: [
      anyFailure,
      "lifecycle: an error in a worker rejects what waits, refuses writes, lets reads go on",
    ],
  },
  {
    bug: 31,
    what: "compaction syncs neither files nor names; deletes have no checksum",
    by: [
      "compaction_crash: power loss at every call of a compaction, with some sectors and names kept, seed ${seed}",
      "hostile_log: open() after any flipped bit in synced data: an error with file and offset",
    ],
    not: "a delete is a record, with the checksum of a record",
  },
  {
    bug: 32,
    what: "space is given back before its delete is durable",
    by: [
      "compaction_order: a dead value stays until what replaced it is durable, also if nobody waits for that",
    ],
    not:
      "no hole is punched: a file goes as a whole, when what is alive in it is durable elsewhere",
  },
  {
    bug: 33,
    what: "reused slabs are not zeroed, and a scan finds their old records",
    by: [
      "memtable_bugs: B33: a slab that comes back has nothing of its old records",
      "hostile_log: a record of another log, or of this one before a cut, is never taken for valid",
    ],
  },
  {
    bug: 34,
    what: "creating a log truncates one of the same name",
    by: ["memtable_bugs_replay: B34: no log is ever created over one that is there"],
  },
  {
    bug: 35,
    what: "recovery deletes damaged segments; offsets end at 4 GiB",
    by: [
      "memtable_bugs_replay: B35: what is damaged is told and kept: opening changes and removes no file",
      "memtable_bugs_replay: B35: a damaged value is CORRUPT when it is read; all others are there, and its segment stays",
      "arguments: a batch over 1 GiB is refused with TOO_LARGE",
    ],
    not: "slabs and values end at 1 GiB, so no offset is near the end of its 32 bits",
  },
  {
    bug: 36,
    what: "each record takes 4 KiB of the log",
    by: ["memtable_bugs: B36: a record takes its own length in the log, and a header"],
  },
  {
    bug: 37,
    what: "a store whose log has failed goes on acknowledging",
    by: [anyFailure, "lifecycle: a failed ${on} of the log rejects the write and is not retried"],
  },
  {
    bug: 38,
    what: "each rotation nests one call deeper, and all writers wait for it",
    by: [
      "memtable_bugs: B38: hundreds of rotations in one go neither nest nor wait for the disk one by one",
      "log_engine: the next log is created before it is needed, and removed by recovery if it never was",
      "store: a slab that goes all the way round within one turn is neither forgotten nor waited for",
    ],
  },
];
