/** A sealed file that a compaction reads, or may have to. */
export interface CompactionFile {
  /** Its name in the index. */
  readonly segment: number;
  /** Where it is. */
  readonly path: string;
}

/** By what a compaction decides which keys are to go, if it makes room: see `sieve`. */
export interface SieveOrder {
  /** Memory of the `VisitTable`. */
  readonly visits: SharedArrayBuffer;
  /** In the first source, the hand has passed the records below this offset. */
  readonly from: number;
  /** Records with lower sequence numbers stay: a snapshot sees them. */
  readonly pinnedBelow: number;
  /** Nothing is done unless this part of the space of the sources comes back. */
  readonly leastPart: number;
  /** So many bytes of records stay at most. */
  readonly keptBytes: number;
  /** Everything goes, read or not. */
  readonly takesAll: boolean;
  /** Length of the file of each value that has one, by its version. */
  readonly fileBytes: ReadonlyMap<number, number>;
  /** The hand stops once the files of values that go have so many bytes. */
  readonly mostFileBytes: number;
}

/** What is to be compacted. Plain data: it is posted to a thread. */
export interface CompactionJob {
  /** Directory of the store. */
  readonly directory: string;
  /** Identity of the store, for the header. */
  readonly storeId: Uint8Array;
  /** Keys the hash of keys. */
  readonly hashSecret: Uint8Array;
  /** The files to be replaced, in the order in which they will be removed, each durably before the next. */
  readonly sources: readonly CompactionFile[];
  /** All other files in which something is dead: one may have an older record of a key that was deleted. */
  readonly others: readonly CompactionFile[];
  /** If others may have one, look whether they do; else such tombstones are simply kept. */
  readonly searchOthers: boolean;
  /** Number of the compacted segment. */
  readonly number: number;
  /** The newest segment of which the sources have records. */
  readonly upTo: number;
  /** A file is made even if there is nothing to put in it: else numbers would be given again. */
  readonly leaveFile: boolean;
  /** Bytes read and written in a second at most; 0 = as many as the disk gives. */
  readonly bytesPerSecond: number;
  /** Given if room is to be made: then keys go that nobody has read of late. */
  readonly sieve?: SieveOrder;
}

/** A compacted segment that is durable under its name. */
export interface CompactedFile {
  /** Length of the file. */
  readonly fileBytes: number;
  /** Where its records end. */
  readonly recordsEnd: number;
  /** Space of the puts in it: all of its records but tombstones. */
  readonly putBytes: number;
  /** The salt of its checksums. */
  readonly salt: number;
}

/** Words of one record in `CompactionResult.moves`. */
export const MoveWord = {
  /** Words of the key's hash. */
  h1: 0,
  h2: 1,
  h3: 2,
  /** Its sequence number. */
  sequenceLow: 3,
  sequenceHigh: 4,
  /** Offset in the file that it is from, then in the compacted one. */
  offset: 5,
  /** Length of the record. */
  length: 6,
  /** How a value that hides older ones as a delete does, and is copied as one, came to its end: see `Over`. */
  over: 7,
} as const;
/** What became of a value, in `MoveWord.over`. */
export const Over = {
  /** Nothing: it is alive, or a tombstone already. */
  not: 0,
  /**
   * The index has no record of its key: its time is over, or it was deleted, by a record that may not be
   * durable yet. So wherever the value itself is still there, that must count, and not the tombstone.
   */
  gone: 1,
  /** It makes room. Wherever a copy of the value is still there, the tombstone must hide it. */
  evicted: 2,
} as const;

/** How many they are. */
export const MOVE_WORDS: number = Object.keys(MoveWord).length;

/** What became of a {@linkcode SieveOrder}. */
export interface SieveResult {
  /** It was not worth it: nothing was copied, and the sources stay; the hand has passed them. */
  readonly passed: boolean;
  /** The keys that are to go, `MOVE_WORDS` words each: they are to be removed from the index after their files. */
  readonly evicted: Int32Array<ArrayBuffer>;
  /** How many puts in the new file the hand has passed; `Infinity`: all. */
  readonly examined: number;
}

/** What a compaction has done; nothing of it is known to the index yet. */
export interface CompactionResult {
  /** The file that was made; `undefined` if nothing was alive. */
  readonly file: CompactedFile | undefined;
  /** Where each put in it is now, `MOVE_WORDS` words each. */
  readonly moves: Int32Array<ArrayBuffer>;
  /** Records copied, tombstones included. */
  readonly records: number;
  /** Tombstones that nothing needs any more. */
  readonly droppedTombstones: number;
  /** Bytes read and written. */
  readonly bytes: number;
  /** There if room was to be made. */
  readonly sieve?: SieveResult;
}
