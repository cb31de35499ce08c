import type { Feature } from "./_feature.ts";

const crashStates =
  "CrashFs.everyCrash() gives exactly the states of the model, for random histories";
const missing = "create() tells a missing parent, a file as parent, and a directory of the name";
const spellings = "paths may have doubled and trailing slashes; empty ones and NUL are refused";
const hints = "sync(), syncData(), syncTo(), preallocate() and prefetch() leave content and length";
const noFlag = "Deno opens no file with it; a hint that nothing follows would be a promise";

/** Pebble: `vfs`, `vfs/errorfs`, `vfs/atomicfs`, the memory file system old and new. */
export const pebble: readonly Feature[] = [
  {
    feature: "NewMem: everything durable at once",
    by: ["MemFs({ strict: false }) refuses what needs to know what is synced"],
  },
  {
    feature: "NewStrictMem: file and directory need a sync each",
    by: ["MemFs.crashClone() keeps a synced file under a synced name, and nothing else"],
  },
  { feature: "SetIgnoreSyncs", by: ["MemFs.setIgnoreSyncs() freezes what a crash leaves"] },
  {
    feature: "ResetToSyncedState",
    by: ["P5: after resetToSyncedState() old handles are dead, locks are free, bytes stay lost"],
  },
  {
    feature: "NewMemFile",
    by: ["memFile() is a file for reading with a copy of the content"],
  },
  {
    feature: "UseWindowsSemantics",
    by: ["P3: with Windows semantics nothing removes, replaces or recreates what is open"],
  },
  { feature: "String: dump of the tree", by: ["MemFs.toString() prints names, sizes and depth"] },
  { feature: "walk: paths, missing parents, files as parents", by: [spellings, missing] },
  {
    feature: "Create: a fresh inode",
    by: [
      "create() makes an empty file that can be read and written",
      "create() over a file makes a fresh inode: links and handles keep the old content",
      "DenoFs.create() replaces a symbolic link, not what it leads to",
    ],
  },
  {
    feature: "Link",
    by: [
      "link() gives one file two names",
      "link() tells a missing source, a taken name and a directory",
    ],
  },
  {
    feature: "Open, OpenReadWrite, OpenDir",
    by: [
      "open() is for reading only",
      "open() tells what is missing and what is a directory",
      "openReadWrite() keeps the content, and creates what is missing",
      "openDir() gives a handle to sync and to stat, and nothing else",
    ],
  },
  {
    feature: "Remove, RemoveAll",
    by: [
      "remove() takes a name; the open file lives on",
      "remove() takes an empty directory and refuses one that is not",
      "removeAll() takes a tree, and minds nothing that is missing",
    ],
  },
  {
    feature: "Rename",
    by: [
      "rename() replaces a file in one step, handles stay with their files",
      "rename() changes nothing where it throws",
      "rename() moves directories, also over an empty one, and to where they are",
      "rename() of one hard link to the other does nothing",
      "P1: a rename into a missing directory loses nothing",
    ],
  },
  {
    feature: "ReuseForWrite",
    by: [
      "reuseForWrite() renames and keeps the old bytes under the new ones",
      "P12: a reused file shows old bytes, new bytes and the old tail, and nothing else",
    ],
  },
  {
    feature: "MkdirAll",
    by: ["mkdirAll() makes all that is missing, and refuses a file in the way"],
  },
  {
    feature: "Lock: in the process and beyond",
    by: [
      "lock() creates the file, lets one owner in, and can be closed again and again",
      "lock() knows a file by any spelling of its path",
      "lock() does not change what is in the file",
      "DenoFs.lock() keeps out other threads too",
    ],
  },
  { feature: "List", by: ["list() sorts by code unit"] },
  {
    feature: "Stat, FileInfo.DeviceID",
    by: ["stat() tells files from directories, and what is missing"],
  },
  {
    feature: "PathBase, PathJoin, PathDir",
    by: ["joinPath(), dirName() and baseName() take paths together and apart"],
  },
  {
    feature: "GetDiskUsage, TestingSetDiskUsage, IsNoSpaceError",
    by: [
      "diskUsage() tells consistent figures, or why not",
      "MemFs({ capacityBytes }) throws NO_SPACE, keeps the prefix, and goes on once there is space",
    ],
  },
  {
    feature: "File: Read, ReadAt, Write, WriteAt",
    by: [
      "read() and write() share a cursor that positional calls leave alone",
      "readAt() is short only at the end of the file",
      "writeAt() past the end leaves zeros between",
      "writeAt() of nothing changes nothing, wherever",
      "two handles of one file see each other's writes, each with a cursor of its own",
      "offsets and lengths that are none are refused",
    ],
  },
  {
    feature: "File: Write may change the caller's buffer (XOR in test builds)",
    by: ["writes neither keep the caller's buffer nor change it"],
    not: "here it must not: slabs are written while they are read",
  },
  {
    feature: "File: Sync, SyncData, SyncTo, Preallocate, Prefetch",
    by: [
      hints,
      "P13: DenoFs.syncTo() is a full sync and says so",
      "P13: syncTo() promises nothing here, and keeps nothing",
      "N10: vectored writes, preallocation and hints go through an evicted handle",
    ],
  },
  { feature: "File: Close", by: ["close() lets a read under way settle, and is idempotent"] },
  {
    feature: "File: Fd, Flush; modes of files; UnsafeGetFileDataBuffer",
    by: [],
    not: "a descriptor and a mode are of no use in Deno; a write is with the system at once; " +
      "a buffer given out could be changed",
  },
  {
    feature: "NewCrashableMem, CrashClone: blocks and entries survive each for itself",
    by: [
      crashStates,
      "CrashFs.crashClone() is the same for the same seed, and keeps all that is synced",
      "CrashFs.crashClone() gives a file system that is synced as it is and can crash again",
      "CrashFs.crashClone({ keepData, keepNames }) loses all with 0 and nothing with 1",
      "P4: blocks and sectors of one write survive each for itself",
    ],
  },
  {
    feature: "DiskWriteCategory, DiskWriteStatsCollector",
    by: ["withMetrics() counts calls, errors, bytes and categories"],
  },
  { feature: "OpenOptions RandomReads, SequentialReads", by: [], not: noFlag },
  {
    feature: "Copy, LimitedCopy",
    by: [
      "copyFile() copies bytes, holes and length, and the copy is a file of its own",
      "copyFile({ limitBytes }) copies a first part",
      "copyFile() leaves the old file or the whole copy, whenever it crashes",
      "copyFile() leaves the old file or the whole copy, whichever call fails",
    ],
  },
  {
    feature: "CopyAcrossFS",
    by: ["copyAcross() copies trees and files to another file system, and back"],
  },
  {
    feature: "LinkOrCopy",
    by: [
      "linkOrCopy() links where it can, and tells a taken name and a missing source",
      "linkOrCopy() is durable when it returns, linked or copied",
      "linkOrCopy() copies only where no link is possible",
    ],
  },
  {
    feature: "Clone: CloneSkip, CloneSync, CloneTryLink, false for nothing, sorted",
    by: [
      "copyAcross() copies a tree within one file system, hard links as one file",
      "copyAcross({ skip, link }) leaves out what it is told, and links the rest",
      "copyAcross() adds and replaces, removes nothing, and says where nothing is",
      "copyAcross() refuses a copy into itself, and a file and a directory of one name",
      "copyAcross() is durable when it returns, with all names",
      "copyAcross() throws whichever call fails, leaves the original, and nothing open",
      "copyFile({ sync: false }) and copyAcross({ sync: false }) sync nothing",
    ],
  },
  {
    feature: "Root, Unwrap",
    by: [],
    not: "nobody here needs what a wrapper wraps; who wraps it has it",
  },
  { feature: "WithLogging", by: ["withLogging() tells each call with its outcome"] },
  {
    feature: "OnDiskFull",
    by: [
      "withDiskFull() calls back once an episode and tries each call once more",
      "withDiskFull() does a write anew that stopped half way, from the same cursor",
      "withDiskFull() retries every call that can need space, and never a sync",
    ],
  },
  {
    feature: "WithDiskHealthChecks, DiskSlowInfo",
    by: [
      "withDiskHealth() lets a slow call be told while it goes on, once and at each doubling",
      "P11: withDiskHealth() covers openReadWrite files, reads, opens and syncs",
      "watchDiskHealth() looks by itself",
    ],
  },
  {
    feature: "SyncingFile",
    by: [
      "withSyncing() sends older bytes on their way, and syncs the rest on close",
      "withSyncing() syncs an empty new file, nothing that is clean, and nothing if told so",
    ],
  },
  {
    feature: "errorfs: Op kinds, injectors, predicates, Toggle, Counter, RandomLatency, WrapFile",
    by: [
      "C10: FaultFs.arm() strikes every operation without exception, and only that one",
      "FaultFs.arm() counts: skip, times, offset and path",
      "FaultFs.arm() with a probability is decided by the seed",
      "FaultFs.clear() ends all rules, ArmedFault.clear() one, at any time",
      "P10: a call can be slow; random latencies come from the seed",
    ],
  },
  {
    feature: "errorfs: ParseDSL, CallStackIncludes",
    by: ["FaultFs.toString() prints the rules and their counts"],
    not: "rules are plain data, and what a program's stack looks like is no contract",
  },
  {
    feature: "vfstest.WithOpenFileTracking",
    by: ["withTracking() knows what is open, and where it was opened"],
  },
  {
    feature: "atomicfs.Marker",
    by: [
      "Marker keeps one value under a name, through any number of owners",
      "Marker refuses what cannot be a name or a value, and goes on",
      "Marker counts iterations as numbers, removes old ones, and tells names that are wrong",
      "Marker has the old value or the new one, whenever it crashes",
      "Marker.move() that throws leaves the old value, durably, or says that it does not know",
      "C3: Marker.open() makes durable what it tells, though an earlier sync failed",
    ],
  },
  {
    feature: "record.LogWriter, LogRecycler, failover of the log",
    by: [],
    not: "about the log, not the file system: see wal/ and workers/",
  },
];
