import type { Feature } from "./_feature.ts";

const hints = "sync(), syncData(), syncTo(), preallocate() and prefetch() leave content and length";
const noFlag = "Deno opens no file with it; a hint that nothing follows would be a promise";

/** Neon: `virtual_file`, `crashsafe`, `owned_buffers_io`. */
export const neon: readonly Feature[] = [
  {
    feature: "VirtualFile, init(num_slots): more handles than descriptors",
    by: [
      "VirtualFs() keeps hundreds of files open with few descriptors",
      "N5: maxOpen must be an integer from 1 up",
    ],
  },
  {
    feature: "Slot tags, find_victim_slot: clock sweep",
    by: [
      "VirtualFs() rarely closes what is used all the time",
      "N2: clean descriptors are closed before dirty ones",
    ],
  },
  {
    feature: "lock_file: opened again without create and truncate",
    by: [
      "VirtualFs() creates and truncates nothing when it opens again",
      "N1: a name that was given to another file meanwhile is noticed",
    ],
  },
  {
    feature: "FileGuard pins during input and output",
    by: ["N6: more reads under way than descriptors wait for nothing, and the bound returns"],
  },
  {
    feature: "create, open, open_with_options, sync_all, sync_data, metadata, remove",
    by: [
      "create() makes an empty file that can be read and written",
      "openReadWrite() keeps the content, and creates what is missing",
      hints,
      "stat() tells files from directories, and what is missing",
      "remove() takes a name; the open file lives on",
    ],
  },
  {
    feature: "seek",
    by: ["read() and write() share a cursor that positional calls leave alone"],
    not: "read and write go on from start to end; every other place is named in the call",
  },
  {
    feature: "read_exact_at, write_all_at, write_all, read_at, write_at",
    by: [
      "readAt() is short only at the end of the file",
      "DenoFs writes and reads all, over short counts and interruptions",
      "DenoFs throws where a device takes no bytes",
    ],
  },
  {
    feature: "Fatal errors apart from the others",
    by: [
      "N7: classifyIoError() calls fatal what leaves the disk unknown, and nothing else",
      "DenoFs names every failure of the system",
    ],
  },
  {
    feature: "Latency histograms, byte counters, descriptor gauge",
    by: [
      "withMetrics() counts calls, errors, bytes and categories",
      "withMetrics() times every sync, and of reads and writes one in so many",
      "LatencyHistogram.percentileMs() is at most an eighth of a doubling too high",
    ],
  },
  {
    feature: "crashsafe_overwrite, crashsafe::overwrite",
    by: [
      "atomicWrite() replaces a content, and leaves only that",
      "atomicWrite() leaves the old content or the new one, whenever it crashes",
      "N8: atomicWrite() leaves no temporary file where it fails, and the old content",
    ],
  },
  { feature: "Drop closes", by: ["N9: close() closes the descriptor at once"] },
  {
    feature: "IoMode Direct, alignment, aligned buffers, custom open flags",
    by: [],
    not: noFlag,
  },
  { feature: "set_len", by: ["truncate() cuts, and what comes back by extending is zeros"] },
  {
    feature: "read_to_string",
    by: ["readText() gives all of a file, and refuses what is no text"],
  },
  {
    feature: "SyncMode UnsafeNoSync",
    by: ["FaultFs.arm() with a lying sync makes nothing durable and says nothing"],
  },
  {
    feature: "Engines: std, tokio-epoll-uring",
    by: ["readAtAsync() runs many at once, beside synchronous calls"],
    not: "Deno has one way to the system; reads can go beside the thread",
  },
  {
    feature: "TempVirtualFile, disarm",
    by: [
      "TemporaryFile is gone when it is closed, unless it was kept",
      "TemporaryFile.persist() gives it a name to stay, replaces a file, or refuses to",
      "TemporaryFile.persist() is all there when it returns, and not in part before, " +
      "whenever it crashes",
      "TemporaryFile.persist() leaves the old file or the new one, whichever call fails",
    ],
  },
  {
    feature: "BufferedWriter, maybe_flushed",
    by: [
      "BufferedWriter writes what it took, in order, with bounded memory",
      "BufferedWriter.readAt() sees what was taken, written or not; it can begin anywhere",
      "BufferedWriter.sync() and syncData() make durable all that was taken",
      "N8: BufferedWriter throws the first error again and again, and tries nothing once more",
    ],
  },
  {
    feature: "BufferedWriter: second buffer in the background, padding at the end",
    by: ["BufferedWriter writes in pieces of its buffer, and long ones at once"],
    not: "calls are synchronous; padding serves direct writes, which Deno does not have",
  },
  {
    feature: "crashsafe: durable_rename, create_dir_all, fsync, fsync_file_and_parent",
    by: [
      "durableMkdirAll(), durableRename() and durableRemove() do what they say",
      "durableRename() keeps the file whole under one of its names, whenever it crashes",
      "durableRemove() and durableMkdirAll() are durable when they return",
      "syncPath() syncs files and directories with their names, and creates nothing",
      "atomicWrite(), durable…(), syncPath() and readText() throw one error with a code " +
      "where a close fails too",
    ],
  },
  { feature: "crashsafe: syncfs", by: [], not: "Deno has no such call" },
];
