import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import {
  atomicWrite,
  dirName,
  type Fs,
  joinPath,
  type Lock,
  readFile,
  removeTemporaries,
  syncDirectory,
  temporarySuffix,
} from "../vfs/mod.ts";
import { FORMAT_VERSION, highWord, joinWords, lowWord, STORE_ID_BYTES } from "../wal/mod.ts";

/** Bytes of the secret that keys the hash of an index. */
const HASH_SECRET_BYTES = 16;

/** File whose lock the owner holds. */
export const LOCK_FILE = "LOCK";

/** What a directory can be. */
export interface DirectoryKind {
  /** For messages. */
  readonly noun: string;
  /** File that makes a directory one. */
  readonly file: string;
  /** First eight bytes of that file. */
  readonly magic: string;
}

/** A store: keys and values. */
export const STORE_KIND: DirectoryKind = { noun: "store", file: "STORE", magic: "FLAGSTOR" };
/** A log on its own. */
export const LOG_KIND: DirectoryKind = { noun: "log", file: "WAL", magic: "FLAGSWAL" };

const ID_OFFSET = 16;
const SECRET_OFFSET = ID_OFFSET + STORE_ID_BYTES;
const FIRST_SEGMENT_OFFSET = SECRET_OFFSET + HASH_SECRET_BYTES;
const SEQUENCE_FLOOR_OFFSET = FIRST_SEGMENT_OFFSET + 4;
const CHECKSUM_OFFSET = 60;
const IDENTITY_BYTES = 64;

/** From where on the files of a directory count: what is older was cleared. */
export interface Beginning {
  /** Segments with lower numbers do not count, whether they are still there or not; 0: all count. */
  readonly firstSegment: number;
  /** Sequence numbers up to this one were given out by them. */
  readonly sequenceFloor: number;
}

/** What makes one store, or log, different from every other. */
export interface Identity extends Beginning {
  /** 16 random bytes, repeated in each log and segment. */
  readonly storeId: Uint8Array;
  /** 16 random bytes that key the hash of the index. */
  readonly hashSecret: Uint8Array;
}

/**
 * Tells whether `directory` holds what `kind` says. A directory that is missing, empty, or left behind by a
 * creation that did not finish does not; one with other content throws `NOT_A_STORE`, so that no
 * file is added to it.
 */
function holdsOne(fs: Fs, directory: string, kind: DirectoryKind): boolean {
  let names: string[];
  try {
    names = fs.list(directory);
  } catch (error) {
    if (error instanceof FlagstoneError && error.code === "NOT_FOUND") return false;
    throw error;
  }
  if (names.includes(kind.file)) return true;
  const foreign = names.filter((name) => name !== LOCK_FILE && !name.endsWith(temporarySuffix));
  if (foreign.length === 0) return false;
  throw new FlagstoneError(
    "NOT_A_STORE",
    `Cannot open ${directory} as a ${kind.noun}: it has no ${kind.file} file, but ` +
      `${foreign.length} other file(s) such as ${foreign[0]}. Give an empty or new directory.`,
    { path: directory, operation: "open" },
  );
}

/**
 * Creates a directory and those above it, each made durable in its parent, up to the root: whoever
 * made one of them may have ended before seeing to that. Parents that this program may not open, or
 * that cannot be synced, are left alone.
 */
function createDirectory(fs: Fs, directory: string): void {
  fs.mkdirAll(directory);
  let path = directory;
  for (let parent = dirName(path); parent !== path; parent = dirName(path)) {
    try {
      syncDirectory(fs, parent);
    } catch (error) {
      const spared = ["PERMISSION", "READ_ONLY", "UNSUPPORTED", "INVALID"];
      if (!(error instanceof FlagstoneError) || !spared.includes(error.code)) throw error;
    }
    path = parent;
  }
}

/** Makes up a new identity, with `storeId` if that is given, and writes it, durably and in one step. */
function createIdentity(
  fs: Fs,
  directory: string,
  kind: DirectoryKind,
  storeId?: Uint8Array,
): Identity {
  const bytes = new Uint8Array(IDENTITY_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(kind.magic));
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, IDENTITY_BYTES, true);
  crypto.getRandomValues(bytes.subarray(ID_OFFSET, SECRET_OFFSET + HASH_SECRET_BYTES));
  if (storeId !== undefined) bytes.set(storeId, ID_OFFSET);
  view.setUint32(CHECKSUM_OFFSET, crc32(bytes.subarray(0, CHECKSUM_OFFSET)), true);
  removeTemporaries(fs, directory);
  atomicWrite(fs, joinPath(directory, kind.file), bytes);
  return identityOf(bytes);
}

/** Reads the identity. Throws `NOT_A_STORE`, `NEWER_FORMAT` or `CORRUPT`. */
function readIdentity(fs: Fs, directory: string, kind: DirectoryKind): Identity {
  const path = joinPath(directory, kind.file);
  const bytes = new Uint8Array(IDENTITY_BYTES);
  const file = fs.open(path);
  let length: number;
  try {
    length = file.readAt(bytes, 0);
  } finally {
    file.close();
  }
  if (new TextDecoder("latin1").decode(bytes.subarray(0, 8)) !== kind.magic) {
    throw new FlagstoneError(
      "NOT_A_STORE",
      `Cannot open ${directory} as a ${kind.noun}: its ${kind.file} file does not begin as one. If ` +
        `this was a ${kind.noun}, the file was damaged; restore it from a copy.`,
      { path, offset: 0 },
    );
  }
  const view = new DataView(bytes.buffer);
  const intact = length === IDENTITY_BYTES &&
    view.getUint32(CHECKSUM_OFFSET, true) === crc32(bytes.subarray(0, CHECKSUM_OFFSET));
  if (!intact) {
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot read ${path}: it does not match its checksum. Restore it from a copy.`,
      { path, offset: 0 },
    );
  }
  const version = view.getUint32(8, true);
  if (version > FORMAT_VERSION) {
    throw new FlagstoneError(
      "NEWER_FORMAT",
      `Cannot open ${directory}: the ${kind.noun} has format version ${version}, this Flagstone knows up ` +
        `to ${FORMAT_VERSION}. Open it with a newer Flagstone.`,
      { path, offset: 8 },
    );
  }
  return identityOf(bytes);
}

/**
 * Writes the file anew that makes a directory a store. `error` is `CORRUPT`, or `NOT_A_STORE` if not even
 * the first bytes are those of such a file. False if that cannot be: then `error` is thrown.
 */
export type RepairIdentity = (error: FlagstoneError) => boolean;

function readOrRepair(
  fs: Fs,
  directory: string,
  kind: DirectoryKind,
  repair: RepairIdentity | undefined,
): Identity {
  try {
    return readIdentity(fs, directory, kind);
  } catch (error) {
    const isDamaged = error instanceof FlagstoneError &&
      (error.code === "CORRUPT" || error.code === "NOT_A_STORE");
    if (!isDamaged || repair === undefined || !repair(error)) throw error;
    return readIdentity(fs, directory, kind);
  }
}

/** Makes `directory` what `kind` says once more, of which nothing is known but the id in its files. */
export function rewriteIdentity(
  fs: Fs,
  directory: string,
  kind: DirectoryKind,
  storeId: Uint8Array,
): void {
  createIdentity(fs, directory, kind, storeId);
}

/**
 * Writes down, durably and in one step, that everything below `beginning` does not count any more.
 * If it throws, {@linkcode readBeginning} tells whether the name leads to the old file or the new.
 */
export function writeBeginning(
  fs: Fs,
  directory: string,
  kind: DirectoryKind,
  { firstSegment, sequenceFloor }: Beginning,
): void {
  const path = joinPath(directory, kind.file);
  const bytes = readFile(fs, path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(FIRST_SEGMENT_OFFSET, firstSegment, true);
  view.setUint32(SEQUENCE_FLOOR_OFFSET, lowWord(sequenceFloor), true);
  view.setUint32(SEQUENCE_FLOOR_OFFSET + 4, highWord(sequenceFloor), true);
  view.setUint32(CHECKSUM_OFFSET, crc32(bytes.subarray(0, CHECKSUM_OFFSET)), true);
  atomicWrite(fs, path, bytes);
}

/** From where on the files in `directory` count, as its identity says now. */
export function readBeginning(fs: Fs, directory: string, kind: DirectoryKind): Beginning {
  return readIdentity(fs, directory, kind);
}

function identityOf(bytes: Uint8Array): Identity {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const floor = SEQUENCE_FLOOR_OFFSET;
  return {
    firstSegment: view.getUint32(FIRST_SEGMENT_OFFSET, true),
    sequenceFloor: joinWords(view.getUint32(floor, true), view.getUint32(floor + 4, true)),
    storeId: bytes.slice(ID_OFFSET, ID_OFFSET + STORE_ID_BYTES),
    hashSecret: bytes.slice(SECRET_OFFSET, SECRET_OFFSET + HASH_SECRET_BYTES),
  };
}

/** Locks a directory for its one owner. Throws `LOCKED`. */
function lockDirectory(fs: Fs, directory: string, kind: DirectoryKind): Lock {
  try {
    return fs.lock(joinPath(directory, LOCK_FILE));
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "LOCKED") throw error;
    throw new FlagstoneError(
      "LOCKED",
      `Cannot open ${directory}: the ${kind.noun} is open already, here or in another process. A ` +
        `${kind.noun} has one owner; close it there first.`,
      { path: directory, operation: "open", cause: error },
    );
  }
}

/**
 * Locks the directory of an existing `kind`, or makes it one if `create` says so. Throws
 * `NOT_A_STORE`, `NOT_FOUND`, `LOCKED`, `CORRUPT`, `NEWER_FORMAT`, or what the file system has. If the
 * file that makes it one is damaged, `repair` is called, if given, with the lock held.
 */
export function openDirectory(
  fs: Fs,
  directory: string,
  kind: DirectoryKind,
  create: boolean,
  repair?: RepairIdentity,
): { identity: Identity; lock: Lock; isNew: boolean } {
  const exists = holdsOne(fs, directory, kind);
  if (!exists && !create) {
    throw new FlagstoneError(
      "NOT_FOUND",
      `Cannot open ${directory}: there is no ${kind.noun}, and the option "create" is false.`,
      { path: directory, operation: "open" },
    );
  }
  if (!exists) createDirectory(fs, directory);
  const lock = lockDirectory(fs, directory, kind);
  try {
    // Looked at again: the last owner may have created it in the meantime.
    const isNew = !holdsOne(fs, directory, kind);
    const identity = isNew
      ? createIdentity(fs, directory, kind)
      : readOrRepair(fs, directory, kind, repair);
    return { identity, lock, isNew };
  } catch (error) {
    lock.close();
    throw error;
  }
}
