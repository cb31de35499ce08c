import { FlagstoneError } from "../errors/mod.ts";
import type { StoreCore } from "./core.ts";
import { listKeys } from "./listing.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import { readMany } from "./read_many.ts";
import { ReadPath, type View } from "./read_path.ts";
import type { OpenSnapshot } from "./snapshots.ts";
import { jsonOf, textOf } from "./text.ts";
import type { Entry, Key, ListEntry, ListOptions, StreamOptions } from "./types.ts";

/** The store as a snapshot sees it. */
class SnapshotView implements View {
  readonly #core: StoreCore;
  readonly #snapshot: OpenSnapshot;

  constructor(core: StoreCore, snapshot: OpenSnapshot) {
    this.#core = core;
    this.#snapshot = snapshot;
  }

  pendingWrite(): PreparedWrite | undefined {
    return undefined;
  }

  find(): boolean {
    return this.#core.snapshots.find(this.#core.keys.hash, this.#snapshot);
  }

  foundExpiry(): number {
    return this.#core.snapshots.foundExpiry(this.#core.keys.hash, this.#snapshot);
  }
}

/** Lists what is there when the listing begins, whatever is written meanwhile: see `ListOptions.consistent`. */
export async function* listConsistently(
  core: StoreCore,
  options: ListOptions,
): AsyncGenerator<ListEntry> {
  await core.pending.settled();
  using snapshot = new Snapshot(core);
  yield* snapshot.list(options);
}

/**
 * The store as it was when `Store.snapshot` was called, however much is written, flushed and compacted
 * since. Made by `Store.snapshot`, ended by `dispose` or `using`.
 *
 * Every call throws, or rejects with, `CLOSED` once the snapshot is disposed of or the store is
 * closed or cleared; otherwise as that of the store.
 */
export class Snapshot implements Disposable {
  /** All writes with versions up to this one are seen, and no others. */
  readonly version: number;
  readonly #core: StoreCore;
  readonly #snapshot: OpenSnapshot;
  readonly #view: View;
  readonly #reads: ReadPath;
  #ended: string | undefined;

  /** Not for users: `Store.snapshot` makes snapshots. */
  constructor(core: StoreCore) {
    core.assertOpen();
    this.#core = core;
    this.#snapshot = core.snapshots.add((reason) => this.#ended = reason);
    this.version = this.#snapshot.position - 1;
    this.#view = new SnapshotView(core, this.#snapshot);
    this.#reads = new ReadPath(core, this.#view);
  }

  /** As `Store.get`. */
  get(key: Key): Promise<Uint8Array | undefined> {
    try {
      this.#assertOpen();
      return this.#reads.get(key);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `Store.getSync`. */
  getSync(key: Key): Uint8Array | undefined {
    this.#assertOpen();
    return this.#reads.getSync(key);
  }

  /** As `Store.getEntry`. */
  async getEntry(key: Key): Promise<Entry | undefined> {
    this.#assertOpen();
    return await this.#reads.getEntry(key);
  }

  /** As `Store.getText`. */
  async getText(key: Key): Promise<string | undefined> {
    return textOf(await this.get(key));
  }

  /** As `Store.getJson`. */
  async getJson(key: Key): Promise<unknown> {
    return jsonOf(await this.get(key));
  }

  /** As `Store.getMany`. */
  async getMany(keys: readonly Key[]): Promise<(Uint8Array | undefined)[]> {
    return await readMany(this.#core, this.#reads, keys, () => this.#assertOpen());
  }

  /** As `Store.has`. */
  has(key: Key): Promise<boolean> {
    try {
      this.#assertOpen();
      return Promise.resolve(this.#reads.has(key));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `Store.stream`. */
  stream(
    key: Key,
    options?: StreamOptions,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    this.#assertOpen();
    return this.#reads.stream(key, options);
  }

  /** As `Store.list`, but what comes or goes meanwhile makes no difference. */
  list(options: ListOptions = {}): AsyncIterableIterator<ListEntry> {
    this.#assertOpen();
    return listKeys(this.#core, options, this.#view, () => this.#assertOpen());
  }

  /** Ends the snapshot: what only it has seen goes. Idempotent. */
  dispose(): void {
    if (this.#ended !== undefined) return;
    this.#ended = "disposed of";
    this.#core.snapshots.delete(this.#snapshot);
    this.#core.compaction.consider();
  }

  /** As `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #assertOpen(): void {
    this.#core.assertOpen();
    if (this.#ended === undefined) return;
    const { directory } = this.#core;
    const message = `Cannot use a snapshot of ${directory}: it was ${this.#ended}. Make another.`;
    throw new FlagstoneError("CLOSED", message, { path: directory });
  }
}
