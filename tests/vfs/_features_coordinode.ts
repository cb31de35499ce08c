import type { Feature } from "./_feature.ts";

const crashStates =
  "CrashFs.everyCrash() gives exactly the states of the model, for random histories";
const noFlag = "Deno opens no file with it; a hint that nothing follows would be a promise";

/** CoordiNode's storage engine: `fs`. */
export const coordinode: readonly Feature[] = [
  {
    feature: "CrashFs: new, from_shared, over another file system",
    by: [
      "CrashFs({ over }) rewrites the file system below, and leaves what is outside of its root",
    ],
  },
  {
    feature: "CrashFs: crash()",
    by: [
      "CrashFs.crash() loses power in place: handles are dead, locks are free",
      "C9: after crash() no old handle does anything, and a failure is an error",
    ],
  },
  {
    feature: "CrashFs: what was there first counts as durable",
    by: ["CrashFs({ over }) keeps holes and ends of zeros", crashStates],
  },
  {
    feature: "CrashFs: remove, rename and hard_link carry what is durable along",
    by: [
      crashStates,
      "C7: an unsynced file renamed over a synced one may leave the old one",
      "C8: a durable file that was removed may come back, with its content",
    ],
  },
  {
    feature: "CrashFs: sync reaches the open file, flush makes nothing durable",
    by: ["C4: a sync reaches the open file after a rename and after an unlink"],
  },
  {
    feature: "FaultFs: operations, Error, ShortWrite, skip, times, first rule wins",
    by: [
      "C10: FaultFs.arm() strikes every operation without exception, and only that one",
      "C10: a rule that is used up leaves the call to the next rule",
      "P10: a write can stop after any number of bytes, also at none",
    ],
  },
  {
    feature: "open: read, write, create, truncate, append",
    by: [
      "openReadWrite() keeps the content, and creates what is missing",
      "truncate() cuts, and what comes back by extending is zeros",
      "BufferedWriter writes what it took, in order, with bounded memory",
    ],
  },
  {
    feature: "open: create_new",
    by: [
      "TemporaryFile.persist() gives it a name to stay, replaces a file, or refuses to",
      "copyFile() changes nothing and leaves nothing where it throws",
    ],
  },
  {
    feature: "read_blocks_batched, read_many",
    by: [
      "readBlocks() fills many blocks, a few at once, short only at the end",
      "readBlocks() keeps to its number of reads, begins none after a failure, and waits for all",
    ],
  },
  {
    feature: "create_dir, create_dir_all",
    by: ["mkdirAll() makes all that is missing, and refuses a file in the way"],
  },
  {
    feature: "read_dir; a name that is not UTF-8 is an error",
    by: [
      "list() sorts by code unit",
      "DenoFs.list() refuses a name that is not UTF-8, and takes one that looks so",
    ],
  },
  {
    feature: "remove_file, remove_dir_all, rename",
    by: [
      "remove() takes a name; the open file lives on",
      "removeAll() takes a tree, and minds nothing that is missing",
      "rename() replaces a file in one step, handles stay with their files",
    ],
  },
  {
    feature: "metadata, exists",
    by: [
      "stat() tells files from directories, and what is missing",
      "exists() tells what has a name from what has none",
    ],
  },
  {
    feature: "sync_directory, SyncMode Full",
    by: ["syncDirectory() makes names durable and leaves nothing open"],
    not: "every sync is the strongest that Deno has: F_FULLFSYNC on macOS",
  },
  {
    feature: "hard_link, hard_link_count, CrossesDevices",
    by: [
      "link() gives one file two names",
      "C11: a hard link is the same file, and the capacity holds for writes",
      "DenoFs names every failure of the system",
    ],
  },
  {
    feature: "backend_id, volume_id",
    by: [
      "name says what it is; a spec, where there is one, makes the same file system again",
      "link() gives one file two names",
    ],
  },
  {
    feature: "capabilities",
    by: ["punchHole() makes zeros of a range and of nothing else, or is UNSUPPORTED"],
    not: "a call that cannot be done answers UNSUPPORTED; a flag could say something else",
  },
  { feature: "try_disable_cow", by: [], not: "needs a call of the system that Deno has not" },
  {
    feature: "punch_hole, accounting of what was punched",
    by: [
      "punchHole() makes zeros of a range and of nothing else, or is UNSUPPORTED",
      "P8: punchHole() of MemFs gives whole pages back, on a full disk too",
      "punchHole() that was not synced is undone by a crash, and one that was is not",
    ],
  },
  {
    feature: "reflink_file: shares blocks, or copies, durably, into a new name",
    by: [
      "copyFile() copies bytes, holes and length, and the copy is a file of its own",
      "copyFile() changes nothing and leaves nothing where it throws",
    ],
    not: "always a copy: Deno has no call that shares blocks and says so",
  },
  {
    feature: "truncate_file, set_len",
    by: [
      "truncate() cuts, and what comes back by extending is zeros",
      "truncate() makes a long sparse file at no cost",
    ],
  },
  { feature: "available_space", by: ["diskUsage() tells consistent figures, or why not"] },
  {
    feature: "lock_exclusive, try_lock_exclusive: fails closed",
    by: [
      "lock() creates the file, lets one owner in, and can be closed again and again",
      "DenoFs.lock() of a file that replaced the locked one is another lock",
    ],
  },
  {
    feature: "hint: Sequential, Random, WriteOnce; direct_io; backing_fd",
    by: [],
    not: noFlag,
  },
  {
    feature: "MemFs: with_capacity, set_capacity",
    by: [
      "MemFs({ capacityBytes }) throws NO_SPACE, keeps the prefix, and goes on once there is space",
    ],
  },
  {
    feature: "MemFs: set_punch_hole_supported",
    by: ["C10: FaultFs.arm() strikes every operation without exception, and only that one"],
  },
  { feature: "IoUringFs", by: [], not: "Deno has one way to the system" },
  {
    feature: "rewrite_atomic",
    by: [
      "atomicWrite() replaces a content, and leaves only that",
      "removeTemporaries() removes what a crash left, and nothing else",
    ],
  },
];
