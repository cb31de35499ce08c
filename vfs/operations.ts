/** Every call that a file system and its handles take, by name; `fileStat` and `close` are of handles, `unlock` of locks. */
export type FsOperationKind =
  | "create"
  | "open"
  | "openReadWrite"
  | "openDir"
  | "link"
  | "remove"
  | "removeAll"
  | "rename"
  | "reuseForWrite"
  | "mkdirAll"
  | "lock"
  | "unlock"
  | "list"
  | "stat"
  | "diskUsage"
  | "read"
  | "readAt"
  | "readAtAsync"
  | "write"
  | "writeAt"
  | "writeVectorAt"
  | "sync"
  | "syncData"
  | "syncTo"
  | "preallocate"
  | "prefetch"
  | "truncate"
  | "punchHole"
  | "fileStat"
  | "close";

/** One call, as wrappers see it. */
export interface FsOperation {
  /** Which call. */
  readonly kind: FsOperationKind;
  /** What it is about; of a rename, link or reuse the existing name. */
  readonly path: string;
  /** The new name of a rename, link or reuse. */
  readonly to?: string;
  /** Where a read, write or hint begins, in bytes. */
  readonly offset?: number;
  /** How much a read, write, truncate, syncTo or hint is about, in bytes. */
  readonly length?: number;
}

/** Operations that bring content from the disk. */
export const readOperations: readonly FsOperationKind[] = ["read", "readAt", "readAtAsync"];

/** Operations that change content. */
export const writeOperations: readonly FsOperationKind[] = [
  "write",
  "writeAt",
  "writeVectorAt",
  "truncate",
  "punchHole",
];

/** Operations that make something durable. */
export const syncOperations: readonly FsOperationKind[] = ["sync", "syncData", "syncTo"];

/** Operations that change names. */
export const nameOperations: readonly FsOperationKind[] = [
  "create",
  "openReadWrite",
  "link",
  "remove",
  "removeAll",
  "rename",
  "reuseForWrite",
  "mkdirAll",
  "lock",
];

/** All operations. */
export const allOperations: readonly FsOperationKind[] = [
  ...readOperations,
  ...writeOperations,
  ...syncOperations,
  ...nameOperations,
  "open",
  "openDir",
  "unlock",
  "list",
  "stat",
  "diskUsage",
  "preallocate",
  "prefetch",
  "fileStat",
  "close",
];

/** An operation as text, such as `rename /a -> /b` or `writeAt /log @4096 +512`. */
export function printOperation(operation: FsOperation): string {
  const to = operation.to === undefined ? "" : ` -> ${operation.to}`;
  const offset = operation.offset === undefined ? "" : ` @${operation.offset}`;
  const length = operation.length === undefined ? "" : ` +${operation.length}`;
  return `${operation.kind} ${operation.path}${to}${offset}${length}`;
}
