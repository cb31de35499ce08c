/** A feature of the store that this one takes after, in its words, and what holds it here. */
export interface Feature {
  readonly feature: string;
  /** Tests, as `file: title`; files are in this folder, without `_test.ts`. */
  readonly by: readonly string[];
  /** Why there is nothing of it here, or what is here in its place. */
  readonly not?: string;
}

const sizes = "sizes: every size is put, overwritten, deleted, reopened, replayed";
const anyMoment =
  "power_loss: power loss at every call, with some sectors and names kept, seed ${seed}";
const olderLogs = "memtable_bugs_replay: B1, B14, B20, B27: logs older than sealed segments are " +
  "replayed, and the newest of each key wins";
const rotations =
  "memtable_bugs: B38: hundreds of rotations in one go neither nest nor wait for the disk one by one";
const reading =
  "memtable_bugs: B28: what was written is read at every moment, with ${slabs} slabs going round";
const closing =
  "memtable_bugs: B25, B29: close() in the midst of everything: each call gets an answer, and no answer lies";
const writesTell = "fault_sweep: the n-th ${on} fails (${what}), for every n";

/** Its memtable. */
export const memtableFeatures: readonly Feature[] = [
  {
    feature: "slabs of WriteBufferSize, a pool of MaxCachedSlabs + MaxInflightSlabs + 2",
    by: [
      "store: slabs are sealed into segments, reused, and read from afterwards",
      "store: open() with other slab sizes and counts reads what is there",
      "memtable_bugs: B33: a slab that comes back has nothing of its old records",
    ],
    not: "one number of slabs: each serves writes, waits, or serves reads, as there is need",
  },
  {
    feature: "FlushConcurrency",
    by: [
      "flush_workers: footers are made in any order, names are given in order",
      "flush_workers: a slab is zeroed by one worker only",
    ],
  },
  {
    feature: "maybeCompress: before the lock, an eighth saved or none, MinSize 512",
    by: [
      "store_compression: a value is stored compressed if that saves an eighth, header and all, and not else",
      "store_compression: zstd: every size comes back, by every call, before and after reopening",
      "store_compression: puts to one key keep their order, whoever compresses them",
      "power_loss: power loss at every call, with values compressed by ${compression}",
    ],
  },
  {
    feature: "codecs none, zstd, lz4, s2, and levels",
    by: [
      "store_compression: compression is chosen per store, per write, from a size on",
      "store_compression: compression is chosen per operation of a batch",
      "store_compression: a codec of the user's: deflate, also for what waits for memory",
    ],
    not: "lz4 and s2 are not in the runtime; whoever has them registers a codec",
  },
  { feature: "Put", by: ["store: put() and get() return what was put, across sizes"] },
  {
    feature: "PutChecksummed: a checksum of the caller's",
    by: [
      "memtable_bugs_replay: B9, B17: values larger than a slab are replayed, each with its checksum over key and value",
    ],
    not: "it covers less than replay has to verify (B17); the record's own covers key, value and " +
      "the identity of its segment, and costs 50 ns for 1 KiB",
  },
  {
    feature: "writeToSlab: guard against sequence numbers that are too old",
    by: [
      "store: put() returns versions that grow",
      "memtable_bugs: B22, B23: puts and deletes side by side across rotations: none is refused, and each key's versions grow",
      "memtable_bugs: B23: the sequence numbers of a segment all lie between its base and the next one's",
    ],
    not: "a write gets its number with its place, in one step, so there is no error to guard with",
  },
  {
    feature: "writeToSlab: waits until a slab is ready",
    by: [
      "store_events: a stall event tells that writes begin to wait, once",
      "store_waiting: a write beyond maxWaitingBytes is refused with BUSY, at once",
      "store_waiting: a signal ends writes that wait for memory, and nobody behind them waits longer",
    ],
  },
  {
    feature: "writeToSlab: pendingWrites, the last one on a retired slab closes writesDone",
    by: [
      "memtable_bugs: B7: after the log's disk has failed, whoever waits for a slab, a key or the end is told",
      "wal_threads: W11: a writer that dies between taking space and publishing is given up on; nobody waits for ever",
    ],
    not: "nothing is counted: a record is published by its first word, and the log worker sees " +
      "the first one that is not",
  },
  {
    feature: "writeToSlab: the log first, then the slab, with rollback",
    by: [writesTell, anyMoment],
    not: "the slab is what the log worker writes: there is one copy, and nothing to roll back",
  },
  {
    feature: "writeToSlab: per-shard index, put only if the sequence number is newer",
    by: [
      "index: HashIndex ends with the newest of each key, in whatever order updates arrive",
      "index_threads: IndexReader sees whole entries only, none older than before, while another isolate writes",
    ],
  },
  {
    feature: "writeToSlab: filter before index, frozen at rotation",
    by: [
      "index_growth: HashIndex keeps its misses cheap while keys come and go: filters are made anew",
      reading,
    ],
    not: "slabs have no filter; the index's own changes in the step that changes its entries",
  },
  {
    feature: "XL values: memory of their own, at a position of no width in the slab",
    by: [
      sizes,
      "memtable_bugs: B11: small and large values put together are each at their place, in slab and segment",
      "blobs: a large value is in one file, which goes when it is overwritten or deleted",
    ],
    not: "a record points at a file that a thread of its own writes, in constant memory",
  },
  {
    feature: "XL values: at most 2 × WriteBufferSize, then rotation",
    by: [
      "memtable_bugs: B10: values of any size need one slab each, and leave no segment without a record",
      "blobs_stream: put() of a stream stores what it brings, short or long, and returns its version",
    ],
    not: "there is no limit, and a large value causes no rotation",
  },
  {
    feature: "rotation: barrier, maxSealedSeq, retire, freeze, detach, wait, enqueue, new slab",
    by: [
      rotations,
      "log_engine: the next log is created before it is needed, and removed by recovery if it never was",
      "store_events: rotation and flush events tell of each slab, once",
    ],
    not: "a seal record is the barrier; the next slab is ready before, so nobody waits",
  },
  {
    feature: "sendToFlusher: a channel of MaxInflightSlabs is the back-pressure",
    by: ["parts: SpaceQueue serves in order and rejects all who wait on failure"],
    not: "writers wait in one queue, in the order of asking, and may give up",
  },
  { feature: "Flush", by: ["store: every durability ends up on disk"] },
  {
    feature: "Drain",
    by: [
      "memtable_bugs: B29: flush() makes no file, however often; it has everything that was called before",
    ],
  },
  {
    feature: "Close, ClosePools",
    by: [closing, "lifecycle: close() is idempotent, and every call after it says CLOSED"],
  },
  {
    feature: "flushViaRename: the log becomes the segment",
    by: [
      "memtable_bugs_replay: B4: whatever of a footer a crash leaves, the segment is made anew from its log",
      "memtable_bugs_replay: B3: at each promise the names of everything that it rests on are durable",
    ],
  },
  {
    feature: "flushViaMerge: slab and XL values interleaved into a new file",
    by: [sizes],
    not: "nothing is written twice: a slab's log is the segment, a large value's file stays",
  },
  {
    feature: "finalizeFlush: .meta, then the index in memory, then the index of keys",
    by: [
      "segment: a sealed segment gives back every key's newest record, in order",
      "segment: a flipped bit anywhere in a footer is told, with the file and an offset",
    ],
    not:
      "the footer is in the file itself, synced before the name; the index was changed at the put",
  },
  {
    feature: "ReplayRecord: verbatim, nothing is compressed again",
    by: [
      olderLogs,
      "memtable_bugs_replay: B8: more logs than slabs are replayed, none of them is lost afterwards, and writing goes on",
    ],
    not: "a log that is replayed is not written again: it goes on, or gets a footer",
  },
  {
    feature: "knobs InjectWriteErr, InjectIndexErr, InjectEvictErr",
    by: [
      writesTell,
      "compaction_crash: the n-th call of every kind fails while compactions run (${what}), for every n",
    ],
    not: "every call of the file system can be made to fail, from outside (FaultFs); index and " +
      "eviction are memory, and have nothing that fails",
  },
  {
    feature: "SequenceVendor",
    by: [
      "versions: versions of ${durability} writes that a crash took are never given again, also after a clean close",
      "memtable_bugs_replay: B2: a clock that goes back changes no order",
    ],
    not: "numbers are places in the log, not a clock's; a simulation has them the same each time",
  },
  {
    feature: "degraded mode: memory only, or panic, one-way",
    by: [
      "degraded: after a failed ${on}, writes go to memory and say so",
      "degraded: whichever ${on} fails, and after a power loss, a cache tells the truth",
      "degraded: without the option, a failed store refuses writes",
    ],
  },
];

/** Its log. */
export const walFeatures: readonly Feature[] = [
  {
    feature: "group commit: a leader, two queues that change places",
    by: [
      "wal: W16: appends of one turn go out in few writes, into a file of full length",
      "wal_threads: four threads append ${count} records each to one log, ${durability}",
    ],
    not: "a worker is always the leader; what was published meanwhile is its next group",
  },
  {
    feature: "O_DIRECT | O_DSYNC",
    by: ["power_loss: a power loss keeps a prefix of the writes, durability ${durability}"],
    not: "the runtime opens no file with them; what is durable is what an fdatasync covered",
  },
  {
    feature: "16 MB of staging memory",
    by: ["flush_workers: a large sync is left to a flush worker, and writing goes on meanwhile"],
    not: "the slab is the staging memory: it is written from as it is",
  },
  {
    feature: "records padded to 4096",
    by: ["memtable_bugs: B36: a record takes its own length in the log, and a header"],
    not: "to 8 bytes; without O_DIRECT there is no reason for more",
  },
  {
    feature: "oversized records, on a slow path",
    by: [
      "store: batch() may be larger than a slab",
      "log_review: when there is no memory for a large record, nothing is lost, and writing goes on",
    ],
  },
  {
    feature: "a batch is split where it does not fit",
    by: [
      "sizes: a batch that just fits, or just does not, is there as a whole",
      "hostile_log: a batch cut anywhere is gone as a whole, and what came before it is there",
    ],
    not: "batches are atomic, so none is split: a larger slab takes it",
  },
  {
    feature: "ErrSequenceRegression, a guard at the seal",
    by: [
      "memtable_bugs: B22, B23: puts and deletes side by side across rotations: none is refused, and each key's versions grow",
      "memtable_bugs: B24: one write that is refused takes none with it",
    ],
    not: "the log gives the numbers, in its own order",
  },
  {
    feature: "stats: WrittenBytes, Recs, SyncCount, GroupCommits",
    by: [
      "memtable_bugs: B36: a record takes its own length in the log, and a header",
      "memtable_features: stats() tells what the log took, and how many writes share a sync",
    ],
  },
  {
    feature: "WriteResult: Offset, BytesWritten, BytesAligned",
    by: [
      "wal: append() gives ascending LSNs; iteration and a reopened log have the records",
      "memtable_bugs: B23: the sequence numbers of a segment all lie between its base and the next one's",
    ],
    not: "a version is base plus offset, so it says where the record is",
  },
  { feature: "EnqueueRotation", by: [rotations] },
  {
    feature: "DeleteFile",
    by: [
      "wal: truncateBefore() drops whole segments and never a record above, also when reopened",
      "wal_bugs: W1: a crash at any moment of truncateBefore() loses no record that it keeps",
    ],
  },
  {
    feature: "ListWALFiles",
    by: ["parts: parseFileName() compares segments as numbers and ignores other names"],
  },
  {
    feature: "ScanMaxSeqID",
    by: [
      "wal_review: an LSN that was cut away is not given again, whatever happened before",
      "compaction: no version is given twice, also if everything was deleted and compacted",
    ],
  },
  {
    feature: "checkpoint: what was flushed is dropped from the log",
    by: [
      olderLogs,
      "memtable_bugs_replay: B1: segments are finished in the order of the log, and every moment in between is whole",
    ],
    not: "a log that is flushed becomes the segment, by its name, so there is nothing to drop",
  },
];
