import { DenoFs, type Fs, MemFs, VirtualFs } from "../vfs/mod.ts";
import { FileLogStore } from "../wal/file_log_store.ts";
import type { LogStore } from "../wal/log_store.ts";
import { MemoryLogStore } from "../wal/memory_log_store.ts";
import { SegmentedLogStore } from "../wal/segmented_log_store.ts";

/** Where a test has its log, and of which kind it is. */
export interface LogStorePlace {
  /** A new, empty log. */
  create(): LogStore;
  /** Closes a log and opens it again. */
  reopen(store: LogStore): LogStore;
}

/** A kind of log store over files: how to open one. */
export interface FileKind {
  readonly name: string;
  /** Opens the log below `dir`. */
  open(fs: Fs, dir: string): LogStore;
  /** True if it drops a prefix to the byte. */
  readonly dropsExactly: boolean;
}

/** The stores that have files, in the settings that differ most. */
export const fileKinds: readonly FileKind[] = [
  ...[0, 10, 1024 * 1024].map((preallocateBytes) => ({
    name: `file, ${preallocateBytes} ahead`,
    open: (fs: Fs, dir: string) => FileLogStore.open(`${dir}/a.log`, { fs, preallocateBytes }),
    dropsExactly: false,
  })),
  ...[1, 7, 1024].map((segmentBytes) => ({
    name: `segments of ${segmentBytes}`,
    open: (fs: Fs, dir: string) => SegmentedLogStore.open(`${dir}/log`, { fs, segmentBytes }),
    dropsExactly: true,
  })),
];

/** Log `kind` below `dir` of `fs`. */
export function placeOf(kind: FileKind, fs: Fs, dir: string): LogStorePlace {
  const create = () => kind.open(fs, dir);
  const reopen = (store: LogStore) => {
    store.close();
    return create();
  };
  return { create, reopen };
}

/** A log in memory: what it holds is copied for who opens it again. */
export const memoryPlace: LogStorePlace = {
  create: () => new MemoryLogStore(),
  reopen(store) {
    const copy = (store as MemoryLogStore).clone();
    store.close();
    return copy;
  },
};

/** Every kind of store on every kind of place; `use` gets a new one. */
export function everyPlace(): [string, (use: (place: LogStorePlace) => void) => void][] {
  const places: [string, (use: (place: LogStorePlace) => void) => void][] = [
    ["memory", (use) => use(memoryPlace)],
  ];
  for (const kind of fileKinds) {
    const { name } = kind;
    places.push([`${name}, MemFs`, (use) => use(placeOf(kind, new MemFs(), "/d"))]);
    places.push([
      `${name}, MemFs as Windows`,
      (use) => use(placeOf(kind, new MemFs({ windows: true }), "/d")),
    ]);
    places.push([
      `${name}, VirtualFs of 1`,
      (use) => use(placeOf(kind, new VirtualFs(new MemFs(), { maxOpen: 1 }), "/d")),
    ]);
    places.push([
      `${name}, DenoFs`,
      (use) => inTempDir((d) => use(placeOf(kind, new DenoFs(), d))),
    ]);
    places.push([
      `${name}, VirtualFs of 2 over DenoFs`,
      (use) => inTempDir((d) => use(placeOf(kind, new VirtualFs(new DenoFs(), { maxOpen: 2 }), d))),
    ]);
  }
  return places;
}

/** Gives `use` a directory that is removed afterwards. */
export function inTempDir(use: (dir: string) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    use(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** What a log holds, from its head to its end. */
export function contentOf(store: LogStore): Uint8Array {
  const content = new Uint8Array(store.length - store.head);
  const count = store.readAt(content, store.head);
  if (count !== content.length) throw new Error(`${count} bytes of ${content.length}`);
  return content;
}

/** `count` bytes, none of them 0: `start`, and up from there. */
export function bytesFrom(start: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => 1 + (start + i) % 255);
}
