/**
 * Shared words of a store, by index into `Control.words`. Words that different threads
 * write stand on different cache lines (16 words). ARCHITECTURE.md tells who writes and who waits.
 */
export const Word = {
  /** Counts calls for the log worker. Writer: any writer. The log worker waits on it. */
  logDoorbell: 0,
  /** Counts calls for the flush workers. Writers: main, all workers. The flush workers wait on it. */
  flushDoorbell: 1,
  /** 1 = workers end once they have nothing left to do. Writer: main. */
  stop: 2,
  /** 1 from the first write of a turn of main's event loop to the turn's end: more may follow. Writer: main. */
  turn: 3,
  /** 1 while main asks for one thing after the other, and so does not sleep in between. Writer: main. */
  eager: 4,

  /** 1 while the log worker waits on its doorbell. Writer: log worker. */
  logParked: 16,
  /** One of `WorkerLife`. Writers: main starts, the worker ends, both by compare-and-exchange. */
  logLife: 17,
  /** Writes issued so far. Writer: log worker. */
  logWrites: 18,
  /** Syncs of logs issued so far. Writers: log worker, flush workers. */
  logSyncs: 19,
  /** 1 while the disk has no space for what is to be written. Writer: log worker. */
  logFull: 20,
  /** Counts what became of that: tries that failed, and the one that did not. Writer: log worker. */
  logTries: 21,
  /** How long the last sync of a log took, in microseconds. Writers: log worker, flush workers. */
  syncMicros: 22,
  /** 1 = there is more than one flush worker has time for. Writers: log worker; main clears it. */
  helpWanted: 23,

  /** How many flush workers wait on their doorbell. Writers: flush workers. */
  flushParked: 32,

  /** Counts news for the main thread. Writers: all workers. Main waits on it, asynchronously. */
  progress: 48,
  /** 0 = none, 1 = being told, 2 = told: see `Control.fail`. First come, first told. */
  failure: 49,
  /** Length in bytes of the failure's description. Writer: who set `failure` to 1. */
  failureBytes: 50,

  /** Slot of the active slab, or -1. Writer: main. */
  activeSlot: 64,
  /** Counts the slabs that became active. Writer: main. Attached writers wait on it. */
  epoch: 65,
  /** Number of the segment that an attached writer found full, or 0. Writers: attached writers; main clears it. */
  rotateWanted: 66,
  /** Milliseconds after which the gap of an attached writer is closed; 0 = nobody is attached. Writer: main. */
  gapTimeoutMs: 67,
  /** Counts registrations of attached writers. Writers: who attaches. */
  registrations: 68,
} as const;

/** Writers of a log: main, and up to 15 that are attached. Four bits of `reserved` name them. */
export const WRITERS = 16;
/** Value of `reserved` of a slab that takes no records. */
export const CLOSED: number = 0x7fff_fff8 << 1;

/** Life of a worker: the values of `logLife` and `FlushWord.life`. */
export const WorkerLife = {
  /** No thread. */
  absent: 0,
  /** A thread runs, or is about to. */
  running: 1,
  /** The thread is about to end for want of work; main may take the role away from it. */
  leaving: 2,
} as const;

/** Words of one slab slot, relative to its base: see `Control.slotWord`. */
export const SlotWord = {
  /** One of `SlotState`. */
  state: 0,
  /** Number of the segment in the slab. Writer: main, before `state` becomes active. */
  segment: 1,
  /** Length of the file once its content is as it will be, durably; it may still lack its name. Writer: flush workers. */
  fileBytes: 2,
  /** Offset up to which space is taken, and by whom last: see `reservation`. Writers: all writers, by compare-and-exchange. */
  reserved: 3,
  /** Highest offset whose writing somebody waits for. Writers: all writers. */
  writeWanted: 4,
  /** Highest offset whose sync somebody waits for. Writers: all writers. */
  syncWanted: 5,
  /** Offset where the segment ends, once sealed. Writer: main. */
  end: 6,
  /** Counts the buffers that the slot has had. Writer: main, before it sends the new one. */
  generation: 7,
  /** Salt of the segment's checksums. Writer: main. */
  salt: 8,
  /** Base sequence, low and high word: a record's sequence is base + offset. Writer: main. */
  baseLow: 9,
  /** See `baseLow`. */
  baseHigh: 10,
  /** Space of the puts that are the newest of their keys in the segment, once the slab is flushed. Writer: flush worker. */
  putBytes: 11,

  /** Offset up to which the file has the slab's bytes; 0 = none yet. Writer: log worker. */
  written: 16,
  /** Offset up to which the file is durable, and all older segments are in full; 0 before the first sync. Writers: log worker, but while `syncAsked` is not 0; flush workers. */
  synced: 17,
  /** End of the newest mark record. Writer: log worker; main when it takes over a log. */
  marked: 18,
  /** End of the newest mark record that says that the store was closed. Writers: as `marked`. */
  closed: 19,
  /** One of `LogFileState`. Writers: main, then both workers, by compare-and-exchange. */
  file: 20,
  /** 1 = a gap was closed in it: a writer that is late may still scribble on it, so its memory is not used again. Writer: log worker. */
  scribbled: 21,
  /** 1 = a flush worker is at it: see `Control.claim`. Writers: flush workers, by compare-and-exchange. */
  claimed: 22,
  /** Offset up to which a flush worker is to sync the log; negative while one does, or finishes the file; 0 = none. Writers: log worker; flush workers, by compare-and-exchange. */
  syncAsked: 23,
} as const;

/** Life of a slab slot. */
export const SlotState = {
  /** All zeros, ready to be taken. */
  free: 0,
  /** Has its header, and soon its file: will be active once the active slab is full. main: free → next. */
  next: 1,
  /** Takes records. main: free or next → active. */
  active: 2,
  /** Takes no more; not all of it is in its log yet. main: active → sealed. */
  sealed: 3,
  /** All in its log, durable or not. log worker: sealed → logged. */
  logged: 4,
  /** Durable as a segment with its footer; serves reads. flush worker: logged → flushed. */
  flushed: 5,
  /** To be zeroed. main: flushed → cleaning; flush worker: cleaning → free. */
  cleaning: 6,
} as const;

/** Who sees to a slab's log file. */
export const LogFileState = {
  /** There is none: the log worker will create it when it gets there. */
  none: 0,
  /** Whoever comes first creates it; that should be the flush worker. */
  wanted: 1,
  /** A worker is creating it. */
  creating: 2,
  /** It is there, its header, length and name are durable. */
  ready: 3,
} as const;

/** Most flush workers of a store. */
export const MOST_FLUSH_WORKERS = 4;

/** Words of one flush worker, relative to its base: see `Control.flushWorker`. */
export const FlushWord = {
  /** One of `WorkerLife`. Writers: as of `logLife`. */
  life: 0,
  /** As `logFull`. Writer: itself. */
  full: 1,
  /** As `logTries`. Writer: itself. */
  tries: 2,
} as const;

/** Words of one attached writer, relative to its base: see `Control.writer`. Writer: itself, unless said otherwise. */
export const WriterWord = {
  /** Which registration has it, 0 = none. Writers: who attaches, by compare-and-exchange; the log worker when it gives up on the writer. */
  life: 0,
  /** Slot in which it is about to take space, or has. */
  slot: 1,
  /** Offset of that space. */
  offset: 2,
  /** Its length; 0 = it is not appending. */
  bytes: 3,
  /** Where the newest space ended that it is known to have taken, and in which segment. Writers: whoever takes the space after it; itself. */
  won: 4,
  /** Counts the times that somebody asked whether the thread is still there. Writers: who finds no room to attach. The writer waits on it. */
  asked: 5,
  /** The newest of those that it has answered. */
  answered: 6,
  /** When the newest was asked, in seconds. Writers: as `asked`. */
  askedAt: 7,
} as const;

/** Value of `reserved`: space is taken up to `end`, a multiple of 8, last by `writer`, 0 being main. */
export function reservation(end: number, writer: number): number {
  return (end << 1) | writer;
}

/** Up to where `word` says that space is taken. */
export function reservationEnd(word: number): number {
  return (word >>> 4) << 3;
}

/** Who took space last, according to `word`. */
export function reservationWriter(word: number): number {
  return word & (WRITERS - 1);
}

/** Value of `WriterWord.won`. The low bits of the segment keep late news of an earlier use of the slab apart. */
export function wonWord(end: number, segment: number): number {
  return (end << 1) | (segment & 15);
}
