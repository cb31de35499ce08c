import { FlagstoneError } from "../errors/mod.ts";
import type { Memtable, Slab, SlabPool } from "../memtable/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { type Control, LogFileState, logName, SlotState, SlotWord, Word } from "../wal/mod.ts";
import { type Host, Role } from "../workers/mod.ts";
import { Acknowledgements, endOf } from "./acknowledgements.ts";
import { wantsOfAttached } from "./attached_wants.ts";
import { DiskSpace } from "./disk_space.ts";
import { EarlyLook } from "./early_look.ts";
import type { Durability, LogWriterParts, StoreLog } from "./log_parts.ts";
import { FlushedWaiters } from "./flushed_waiters.ts";
import { SpaceQueue } from "./space_queue.ts";
import { stalled, StallWatch } from "./stall_watch.ts";
import { TurnBell } from "./turn_bell.ts";

/** A slab of which less than one part in so many is used is not sealed at the end. */
const LEAST_SEALED_PART = 4;

/**
 * The owner's side of the log: takes space in slabs, calls the workers, and turns their watermarks
 * into kept promises. Belongs to one thread; what other threads see is in the control block.
 */
export class LogWriter implements StoreLog {
  readonly control: Control;
  readonly pool: SlabPool;
  readonly memtable: Memtable;
  readonly space: SpaceQueue = new SpaceQueue();
  readonly #parts: LogWriterParts;
  readonly #host: Host;
  readonly #disk: DiskSpace;
  readonly #acks: Acknowledgements;
  readonly #bell: TurnBell;
  readonly #look: EarlyLook;
  /** `Word.progress` at the last look. */
  #seen = 0;
  /** The disk was full at the last look. */
  #isFull = false;
  /** That, or the log has failed: nothing is taken in. */
  #refuses = false;
  /** Who waits first asked for so much, and there was no slab for it. */
  #missedBytes = 0;
  #failure: FlagstoneError | undefined;
  #watching = false;
  readonly #flushed: FlushedWaiters;
  readonly #stalls: StallWatch;
  #syncTimer: ReturnType<typeof setTimeout> | undefined;

  /** Takes over the parts. */
  constructor(parts: LogWriterParts) {
    this.#parts = parts;
    this.control = parts.control;
    this.pool = parts.pool;
    this.memtable = parts.memtable;
    this.#host = parts.host;
    this.#disk = new DiskSpace(parts.control, parts.directory);
    this.#flushed = new FlushedWaiters(parts.control);
    const { directory, stallTimeoutMs } = parts;
    this.#stalls = new StallWatch(
      // Who is attached and dies on his way is given up on in less than twice the time for that.
      () => Math.max(stallTimeoutMs, 2 * Atomics.load(this.control.words, Word.gapTimeoutMs)),
      () => {
        this.#onProgress();
        return Atomics.load(this.control.words, Word.progress);
      },
      // A full disk is no stall: whoever waits has been told.
      () => this.#outstanding() && !this.#disk.logIsFull && !this.#disk.flushIsFull,
      () => this.#fail(stalled(directory, stallTimeoutMs)),
    );
    this.#acks = new Acknowledgements(parts.control, this.memtable.active);
    this.#look = new EarlyLook({
      hasNews: () => Atomics.load(this.control.words, Word.progress) !== this.#seen,
      isAwaited: () => this.#acks.isAwaited,
      onNews: () => this.#onProgress(),
      syncMs: () => Atomics.load(this.control.words, Word.syncMicros) / 1000,
      onEager: (is) => Atomics.store(this.control.words, Word.eager, is ? 1 : 0),
    });
    this.#bell = new TurnBell(
      parts.control,
      parts.host,
      () => this.#look.asked(),
      () => this.#watch(),
    );
  }

  /** Worker threads running. */
  get threads(): number {
    return this.#host.threads;
  }

  /** Where the worker threads note their calls of the file system. */
  get disks(): readonly SharedArrayBuffer[] {
    return this.#host.disks;
  }

  /** Promises waiting for the log worker. */
  get pendingAcks(): number {
    return this.#acks.pending;
  }

  /** Every record below this sequence number is durable. */
  get durable(): number {
    return this.#acks.durable;
  }

  /** The failure that ended writing, if one did. */
  get failure(): FlagstoneError | undefined {
    return this.#failure;
  }

  /**
   * Takes `bytes` of the active slab, rotating if it is full. Returns the offset in
   * `memtable.active`, or -1 if no slab is free. Throws the log's failure if it has one.
   */
  reserve(bytes: number): number {
    const { memtable } = this;
    if (this.#refuses) return this.#refuse();
    const offset = memtable.reserve(bytes);
    if (offset !== -1) {
      if (offset >= memtable.prepareAt && memtable.prepare()) this.#host.ring(Role.flush);
      return offset;
    }
    const rotated = memtable.rotate(bytes);
    this.#missedBytes = rotated ? 0 : bytes;
    this.#rotated(rotated);
    return rotated ? memtable.reserve(bytes) : this.#askForSpace();
  }

  /** Seals the active slab, and goes on in a new one if one is free. */
  rotate(): void {
    this.#rotated(this.memtable.rotate(0));
  }

  /** Asks for what `durability` means for the active slab up to `end`, and promises `value` for then. */
  acknowledge<T extends number | boolean>(
    slab: Slab,
    end: number,
    durability: Durability,
    value: T,
  ): Promise<T> {
    this.#bell.ringAt(slab.baseSequence + end);
    if (durability !== "synced" && this.#parts.syncIntervalMs > 0) this.#armSyncTimer();
    return this.#acks.promise(slab, end, durability, value);
  }

  /** As `acknowledge`, for a call that wrote nothing, but whose answer rests on what others wrote. */
  confirm<T extends number | boolean>(durability: Durability, value: T): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const slab = this.#acks.newest;
    if (slab === undefined || !this.#acks.owes(slab, durability)) return Promise.resolve(value);
    return this.acknowledge(slab, this.endOf(slab), durability, value);
  }

  /** Resolves when everything that was acknowledged or not, but published, is durable. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const slab = this.#acks.newest;
    if (slab === undefined) return;
    if (this.#isFull) this.#askForSpace();
    const end = this.endOf(slab);
    if (end > this.control.get(slab.slot, SlotWord.synced)) await this.synced(slab, end);
  }

  /** Resolves when the segment in `slab` is durable up to `end`, and with it all that is older. */
  synced(slab: Slab, end: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (slab.baseSequence + end <= this.durable) return Promise.resolve();
    this.ring();
    return this.#acks.wait(slab, end);
  }

  /**
   * From now on other threads may append: they are given up on when they have taken space and not
   * used it for `gapTimeoutMs`, and the owner listens for as long as the program runs.
   */
  share(gapTimeoutMs: number): void {
    Atomics.store(this.control.words, Word.gapTimeoutMs, gapTimeoutMs);
    this.#watch();
  }

  /** Resolves when every sealed slab, of segments up to `upTo` only if given, is a segment. */
  async flushed(upTo = Infinity): Promise<void> {
    while (this.#failure === undefined && this.#flushed.unsealed(upTo) > 0) {
      const settled = this.#flushed.wait(upTo);
      this.#watch();
      await settled;
      if (this.#disk.flushIsFull) throw this.#disk.refusal();
    }
    if (this.#failure !== undefined) throw this.#failure;
    // Whoever waited finds all of them told to `onSegment`.
    this.#replenish();
  }

  /**
   * Makes everything durable, and segments of what is sealed, and of the active slab if enough is in
   * it. False if some are none for want of space: the next `open` replays them.
   */
  async finish(): Promise<boolean> {
    await this.flush();
    const slab = this.memtable.active;
    const used = slab === undefined ? 0 : this.control.reservedEnd(slab.slot);
    if (slab !== undefined && used * LEAST_SEALED_PART >= slab.image.bytes.length) {
      this.memtable.seal();
      this.ring();
    }
    try {
      await this.flushed();
      return true;
    } catch (error) {
      if (!this.#disk.flushIsFull || this.#failure !== undefined) throw error;
      return false;
    }
  }

  /** There may be room on the disk that there was not: who waits for it tries again. */
  roomMade(): void {
    if (this.space.length === 0) return;
    this.control.announce();
    this.#onProgress();
  }

  /** Calls the log worker: something was written, or is wanted. */
  ring(): void {
    this.#bell.ring();
  }

  /**
   * Ends the workers. What still waits is rejected with `reason`. Resolves to false if a worker hangs
   * in a call of the system: it may yet write when that returns; `onceEnded` tells.
   */
  async release(reason: FlagstoneError): Promise<boolean> {
    const ended = await this.#host.stop(this.#parts.stallTimeoutMs);
    // Attached threads learn of the end.
    this.control.announce();
    Atomics.notify(this.control.words, Word.epoch);
    this.#stalls.stop();
    clearTimeout(this.#syncTimer);
    this.#onProgress();
    this.#fail(this.#failure ?? reason);
    if (ended) this.#removeNext();
    return ended;
  }

  /** Calls `listener` once no worker runs any more, after a `release` that could not wait. */
  onceEnded(listener: () => void): void {
    this.#host.onceEnded(listener);
  }

  /** Listens for news while anything is outstanding. */
  #watch(): void {
    if (this.#failure !== undefined) return;
    if (!this.#watching) {
      this.#watching = true;
      this.#host.onceProgress(Atomics.load(this.control.words, Word.progress), this.#news);
    }
    // Also if news are awaited already: what was asked for in this turn may have been done before.
    this.#onProgress();
    this.#look.begin();
    this.#stalls.arm();
  }

  readonly #news = (): void => {
    this.#watching = false;
    this.#onProgress();
    if (this.#outstanding() || this.#isShared()) this.#watch();
  };

  #isShared(): boolean {
    return Atomics.load(this.control.words, Word.gapTimeoutMs) > 0;
  }

  #outstanding(): boolean {
    return this.#acks.isAwaited || this.space.length > 0 || this.#flushed.unsealed() > 0;
  }

  /** Brings the main thread's view up to date with the workers' words. */
  #onProgress(): void {
    const progress = Atomics.load(this.control.words, Word.progress);
    if (progress !== this.#seen) this.#look.heard();
    this.#seen = progress;
    try {
      this.#catchUp();
    } catch (error) {
      this.control.fail(error);
      this.#fail(this.control.failure() ?? unknownFailure(error));
    }
  }

  #catchUp(): void {
    const failure = this.#failure ?? this.control.failure();
    this.#acks.settle();
    if (failure !== undefined) return this.#fail(failure);
    this.#replenish();
    // One flush worker syncs what was written, while another finishes a segment.
    if (Atomics.exchange(this.control.words, Word.helpWanted, 0) !== 0) {
      this.#host.keep(Role.flush, 2);
    }
    if (this.#isShared()) {
      const wants = wantsOfAttached(this.control, this.memtable);
      if (wants.rotation) this.rotate();
      if (wants.next && this.memtable.prepare()) this.#host.ring(Role.flush);
      if (wants.log && !this.#disk.logIsFull) this.#host.ring(Role.log);
    }
    this.#isFull = this.#refuses = this.#disk.logIsFull;
    if (this.#disk.logIsStillFull) this.#acks.rejectAll(this.#disk.inDoubt());
    if (this.space.length > 0) this.#serveSpace();
    this.#flushed.serve(this.#disk.flushIsFull);
  }

  /** Lets the first of those in who wait for memory, or tells all that the disk is full. */
  #serveSpace(): void {
    const { pool } = this;
    const hasSlab = this.memtable.active !== undefined || pool.next !== undefined ||
      pool.hasSpaceFor(this.#missedBytes);
    if (this.#isFull ? this.#disk.logIsStillFull : !hasSlab && this.#disk.flushIsStillFull) {
      this.space.fail(this.#disk.refusal());
    } else if (!this.#isFull) this.space.offer(() => hasSlab);
  }

  /** Nothing is taken in now. Returns -1, or throws. */
  #refuse(): number {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#askForSpace();
  }

  /** Has the workers try again, in case the disk is full. Returns -1. */
  #askForSpace(): number {
    this.#disk.ask();
    if (this.#isFull) this.#host.ring(Role.log);
    if (this.#disk.flushIsFull) this.#host.ring(Role.flush);
    return -1;
  }

  #rotated(done: boolean): void {
    if (done) {
      const slab = this.memtable.active!;
      this.#acks.add(slab);
      this.#parts.onActive?.(slab);
    }
    this.#replenish();
    this.ring();
    this.#host.ring(Role.log);
  }

  #armSyncTimer(): void {
    if (this.#syncTimer !== undefined) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      this.flush().catch(() => {});
    }, this.#parts.syncIntervalMs);
    Deno.unrefTimer(this.#syncTimer);
  }

  /**
   * Learns of new segments, sees to it that a slab is free or will be, and that somebody works on
   * what the flush worker has to do.
   */
  #replenish(): void {
    this.pool.replenish((slab) => {
      const fileBytes = this.control.get(slab.slot, SlotWord.fileBytes);
      if (fileBytes > 0) this.#parts.onSegment(slab.segment, fileBytes, slab);
    });
    // While the disk is full, it tries again by itself after a while, or when somebody asks.
    const logged = this.#disk.flushIsFull ? 0 : this.pool.count(SlotState.logged);
    const work = logged + this.pool.count(SlotState.cleaning);
    if (work > 0) this.#host.ring(Role.flush, work);
  }

  #fail(error: FlagstoneError): void {
    if (this.#failure === undefined) this.#parts.onFailure?.(error);
    this.#failure = error;
    this.#refuses = true;
    if (this.#parts.waives === true && error.code !== "CLOSED") this.#acks.waive(error);
    else this.#acks.rejectAll(error);
    this.space.fail(error);
    this.#flushed.serve(true);
  }

  /** The log that was created ahead of time is of no use to a store that is closed. */
  #removeNext(): void {
    const { next } = this.pool;
    if (next === undefined || this.control.get(next.slot, SlotWord.file) === LogFileState.none) {
      return;
    }
    try {
      this.#parts.fs.remove(joinPath(this.#parts.directory, logName(next.segment)));
    } catch {
      // It may not be there yet, or the disk may be gone; the next open removes what it finds.
    }
  }

  /** Up to where `slab`'s space is taken. */
  endOf(slab: Slab): number {
    return endOf(this.control, slab);
  }
}

function unknownFailure(cause: unknown): FlagstoneError {
  return new FlagstoneError("WRITE_FAILED", `Cannot write to the log: ${cause}`, { cause });
}
