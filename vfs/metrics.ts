import { ForwardFile, ForwardFs, type OpenKind } from "./_forward_fs.ts";
import { LatencyHistogram } from "./latency_histogram.ts";
import { allOperations, type FsOperationKind } from "./operations.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/** How {@linkcode withMetrics} counts; all of it may be left out. */
export interface MetricsOptions {
  /** What a file's bytes are counted under, such as `log`. Asked once for each open. Default: all under `all`. */
  readonly category?: (path: string) => string;
  /** The clock, in milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
  /** Of reads and writes one in so many is timed: asking the clock twice costs half of a 1 KiB write. Default 64. */
  readonly timeOneIn?: number;
}

/** What one operation did so far. */
export interface OperationMetrics {
  /** Calls, the failed ones too. */
  readonly count: number;
  /** Calls that threw. */
  readonly errors: number;
  /** Bytes read or written. */
  readonly bytes: number;
  /** How long calls took: of reads and writes a sample, of the rest all. */
  readonly latency: LatencyHistogram;
}

/** Bytes that files of one category read and wrote. */
export interface CategoryMetrics {
  /** Bytes read. */
  readonly bytesRead: number;
  /** Bytes written. */
  readonly bytesWritten: number;
}

/** A file system that counts. */
export interface MetricsFs extends Fs {
  /** Live figures of each operation. */
  readonly operations: { readonly [kind in FsOperationKind]: OperationMetrics };
  /** Live figures of each category that was opened. */
  readonly categories: ReadonlyMap<string, CategoryMetrics>;
}

/** Counts calls, errors, bytes and latencies of each operation, and bytes of each category of files. */
export function withMetrics(fs: Fs, options: MetricsOptions = {}): MetricsFs {
  return new Metrics(fs, options);
}

class Counter implements OperationMetrics {
  readonly latency = new LatencyHistogram();
  count = 0;
  errors = 0;
  bytes = 0;
}

type Counters = { readonly [kind in FsOperationKind]: Counter };

interface Category {
  bytesRead: number;
  bytesWritten: number;
}

/** Shared by all files of one wrapper. */
class Meter {
  readonly counters: Counters;
  readonly now: () => number;
  readonly timeOneIn: number;

  constructor(options: MetricsOptions) {
    this.now = options.now ?? (() => performance.now());
    this.timeOneIn = options.timeOneIn ?? 64;
    const counters: Partial<Record<FsOperationKind, Counter>> = {};
    for (const kind of allOperations) counters[kind] = new Counter();
    this.counters = counters as Counters;
  }

  run<T>(kind: FsOperationKind, action: () => T): T {
    const counter = this.counters[kind];
    counter.count++;
    const begun = this.now();
    try {
      return action();
    } catch (error) {
      counter.errors++;
      throw error;
    } finally {
      counter.latency.record(this.now() - begun);
    }
  }
}

class Metrics extends ForwardFs implements MetricsFs {
  readonly operations: Counters;
  readonly categories = new Map<string, Category>();
  readonly #meter: Meter;
  readonly #categoryOf: (path: string) => string;

  constructor(inner: Fs, options: MetricsOptions) {
    super("metrics", inner);
    this.#meter = new Meter(options);
    this.operations = this.#meter.counters;
    this.#categoryOf = options.category ?? (() => "all");
  }

  override create(path: string): File {
    return this.#meter.run("create", () => super.create(path));
  }

  override open(path: string): File {
    return this.#meter.run("open", () => super.open(path));
  }

  override openReadWrite(path: string): File {
    return this.#meter.run("openReadWrite", () => super.openReadWrite(path));
  }

  override openDir(path: string): File {
    return this.#meter.run("openDir", () => super.openDir(path));
  }

  override link(existing: string, path: string): void {
    this.#meter.run("link", () => super.link(existing, path));
  }

  override remove(path: string): void {
    this.#meter.run("remove", () => super.remove(path));
  }

  override removeAll(path: string): void {
    this.#meter.run("removeAll", () => super.removeAll(path));
  }

  override rename(from: string, to: string): void {
    this.#meter.run("rename", () => super.rename(from, to));
  }

  override reuseForWrite(from: string, to: string): File {
    return this.#meter.run("reuseForWrite", () => super.reuseForWrite(from, to));
  }

  override mkdirAll(path: string): void {
    this.#meter.run("mkdirAll", () => super.mkdirAll(path));
  }

  override lock(path: string): Lock {
    const lock = this.#meter.run("lock", () => super.lock(path));
    const close = () => this.#meter.run("unlock", () => lock.close());
    return { close, [Symbol.dispose]: close };
  }

  override list(path: string): string[] {
    return this.#meter.run("list", () => super.list(path));
  }

  override stat(path: string): FileInfo {
    return this.#meter.run("stat", () => super.stat(path));
  }

  override diskUsage(path: string): DiskUsage {
    return this.#meter.run("diskUsage", () => super.diskUsage(path));
  }

  protected override wrap(file: File, _how: OpenKind): File {
    const name = this.#categoryOf(file.path);
    let category = this.categories.get(name);
    if (category === undefined) {
      category = { bytesRead: 0, bytesWritten: 0 };
      this.categories.set(name, category);
    }
    return new MetricsFile(file, this.#meter, category);
  }
}

class MetricsFile extends ForwardFile {
  readonly #meter: Meter;
  readonly #category: Category;
  /** Calls until the next that is timed. */
  #untimed = 0;

  constructor(inner: File, meter: Meter, category: Category) {
    super(inner);
    this.#meter = meter;
    this.#category = category;
  }

  override read(into: Uint8Array): number {
    return this.#readCounted(this.#meter.counters.read, into, undefined);
  }

  override readAt(into: Uint8Array, offset: number): number {
    return this.#readCounted(this.#meter.counters.readAt, into, offset);
  }

  override async readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    const counter = this.#meter.counters.readAtAsync;
    const begun = this.#begin();
    let count = 0;
    let failed = true;
    try {
      count = await super.readAtAsync(into, offset);
      failed = false;
      return count;
    } finally {
      this.#category.bytesRead += count;
      this.#end(counter, begun, count, failed);
    }
  }

  override write(bytes: Uint8Array): void {
    this.#writeCounted(this.#meter.counters.write, bytes, undefined);
  }

  override writeAt(bytes: Uint8Array, offset: number): void {
    this.#writeCounted(this.#meter.counters.writeAt, bytes, offset);
  }

  override writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    const counter = this.#meter.counters.writeVectorAt;
    const begun = this.#begin();
    let count = 0;
    let failed = true;
    try {
      super.writeVectorAt(parts, offset);
      for (const part of parts) count += part.length;
      failed = false;
    } finally {
      this.#category.bytesWritten += count;
      this.#end(counter, begun, count, failed);
    }
  }

  override sync(): void {
    this.#meter.run("sync", () => super.sync());
  }

  override syncData(): void {
    this.#meter.run("syncData", () => super.syncData());
  }

  override syncTo(length: number): boolean {
    return this.#meter.run("syncTo", () => super.syncTo(length));
  }

  override preallocate(offset: number, length: number): void {
    this.#meter.run("preallocate", () => super.preallocate(offset, length));
  }

  override prefetch(offset: number, length: number): void {
    this.#meter.run("prefetch", () => super.prefetch(offset, length));
  }

  override punchHole(offset: number, length: number): void {
    this.#meter.run("punchHole", () => super.punchHole(offset, length));
  }

  override truncate(length: number): void {
    this.#meter.run("truncate", () => super.truncate(length));
  }

  override stat(): FileInfo {
    return this.#meter.run("fileStat", () => super.stat());
  }

  override close(): void {
    this.#meter.run("close", () => super.close());
  }

  #readCounted(counter: Counter, into: Uint8Array, offset: number | undefined): number {
    const begun = this.#begin();
    let count: number;
    try {
      count = offset === undefined ? this.inner.read(into) : this.inner.readAt(into, offset);
    } catch (error) {
      this.#end(counter, begun, 0, true);
      throw error;
    }
    this.#category.bytesRead += count;
    this.#end(counter, begun, count, false);
    return count;
  }

  #writeCounted(counter: Counter, bytes: Uint8Array, offset: number | undefined): void {
    const begun = this.#begin();
    try {
      if (offset === undefined) this.inner.write(bytes);
      else this.inner.writeAt(bytes, offset);
    } catch (error) {
      this.#end(counter, begun, 0, true);
      throw error;
    }
    this.#category.bytesWritten += bytes.length;
    this.#end(counter, begun, bytes.length, false);
  }

  /** The time, for one call of a sample; undefined for the others. */
  #begin(): number | undefined {
    if (this.#untimed > 0) {
      this.#untimed--;
      return undefined;
    }
    this.#untimed = this.#meter.timeOneIn - 1;
    return this.#meter.now();
  }

  #end(counter: Counter, begun: number | undefined, bytes: number, failed: boolean): void {
    counter.count++;
    counter.bytes += bytes;
    if (failed) counter.errors++;
    if (begun !== undefined) counter.latency.record(this.#meter.now() - begun);
  }
}
