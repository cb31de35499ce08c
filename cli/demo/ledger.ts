/** A put that was acknowledged. */
export interface AckedPut {
  /** Version that the store gave it. */
  readonly version: number;
  /** SHA-256 of the value, in hexadecimal. */
  readonly sha256: string;
  /** Length of the value in bytes. */
  readonly size: number;
}

/** What is known of one file. */
interface Entry {
  /** Its newest acknowledged put. */
  acked: AckedPut | undefined;
  /** SHA-256 of the values of later puts that a kill interrupted: each may be there or not. */
  doubtful: Set<string>;
}

/** A put that began in this round and was not acknowledged. */
interface PendingPut {
  readonly index: number;
  readonly sha256: string;
  readonly size: number;
}

/** What the children said: which puts were acknowledged, and which are in doubt. */
export class Ledger {
  readonly #entries: Entry[];
  readonly #pending = new Map<number, PendingPut>();
  #acks = 0;
  #ackedBytes = 0;

  /** Nothing is known of `files` files. */
  constructor(files: number) {
    this.#entries = Array.from(
      { length: files },
      () => ({ acked: undefined, doubtful: new Set() }),
    );
  }

  /** Acknowledged puts. */
  get acks(): number {
    return this.#acks;
  }

  /** Bytes of acknowledged puts. */
  get ackedBytes(): number {
    return this.#ackedBytes;
  }

  /** Puts of this round that began and are not acknowledged. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Numbers of the files that no put is acknowledged of. */
  get missing(): number[] {
    return this.#entries.flatMap(({ acked }, index) => acked === undefined ? [index] : []);
  }

  /** The newest acknowledged put of a file. */
  acked(index: number): AckedPut | undefined {
    return this.#at(index).acked;
  }

  /** True if an interrupted put of the file, later than the newest acknowledged one, had this value. */
  isDoubtful(index: number, sha256: string): boolean {
    return this.#at(index).doubtful.has(sha256);
  }

  /** A put begins. */
  begin(put: number, index: number, size: number, sha256: string): void {
    this.#at(index);
    this.#pending.set(put, { index, size, sha256 });
  }

  /** A put is acknowledged. */
  ack(put: number, version: number): void {
    const pending = this.#pending.get(put);
    if (pending === undefined) throw new Error(`Acknowledged, but never begun: put ${put}`);
    this.#pending.delete(put);
    const { index, size, sha256 } = pending;
    const entry = this.#at(index);
    this.#acks++;
    this.#ackedBytes += size;
    if (entry.acked !== undefined && entry.acked.version >= version) return;
    entry.acked = { version, size, sha256 };
    entry.doubtful.clear();
  }

  /** The child is gone: what is in flight now will not be acknowledged. Returns how many those are. */
  endRound(): number {
    const interrupted = this.#pending.size;
    for (const { index, sha256 } of this.#pending.values()) this.#at(index).doubtful.add(sha256);
    this.#pending.clear();
    return interrupted;
  }

  #at(index: number): Entry {
    const entry = this.#entries[index];
    if (entry === undefined) throw new RangeError(`There is no file ${index}`);
    return entry;
  }
}
