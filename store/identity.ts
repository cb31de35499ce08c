import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { HASH_SECRET_BYTES } from "../index/mod.ts";
import {
  atomicWrite,
  dirName,
  type Fs,
  joinPath,
  removeTemporaries,
  syncDirectory,
  temporarySuffix,
} from "../vfs/mod.ts";
import { FORMAT_VERSION, STORE_ID_BYTES } from "../wal/mod.ts";

/** File that makes a directory a store. */
export const STORE_FILE = "STORE";
/** File whose lock the owner holds. */
export const LOCK_FILE = "LOCK";

/** "FLAGSTOR". */
const MAGIC = new TextEncoder().encode("FLAGSTOR");
const ID_OFFSET = 16;
const SECRET_OFFSET = ID_OFFSET + STORE_ID_BYTES;
const CHECKSUM_OFFSET = 60;
const IDENTITY_BYTES = 64;

/** What makes one store different from every other. */
export interface Identity {
  /** 16 random bytes, repeated in each log and segment. */
  readonly storeId: Uint8Array;
  /** 16 random bytes that key the hash of the index. */
  readonly hashSecret: Uint8Array;
}

/**
 * Tells whether `directory` holds a store. A directory that is missing, empty, or left behind by a
 * creation that did not finish does not; one with other content throws `NOT_A_STORE`, so that no
 * file is added to it.
 */
export function holdsStore(fs: Fs, directory: string): boolean {
  let names: string[];
  try {
    names = fs.list(directory);
  } catch (error) {
    if (error instanceof FlagstoneError && error.code === "NOT_FOUND") return false;
    throw error;
  }
  if (names.includes(STORE_FILE)) return true;
  const foreign = names.filter((name) => name !== LOCK_FILE && !name.endsWith(temporarySuffix));
  if (foreign.length === 0) return false;
  throw new FlagstoneError(
    "NOT_A_STORE",
    `Cannot open ${directory} as a store: it has no ${STORE_FILE} file, but ` +
      `${foreign.length} other file(s) such as ${foreign[0]}. Give an empty or new directory.`,
    { path: directory, operation: "open" },
  );
}

/**
 * Creates a directory and those above it, each made durable in its parent, up to the root: whoever
 * made one of them may have ended before seeing to that. Parents that this program may not open, or
 * that cannot be synced, are left alone.
 */
export function createDirectory(fs: Fs, directory: string): void {
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

/** Makes up a new identity and writes it, durably and in one step. */
export function createIdentity(fs: Fs, directory: string): Identity {
  const bytes = new Uint8Array(IDENTITY_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, IDENTITY_BYTES, true);
  crypto.getRandomValues(bytes.subarray(ID_OFFSET, SECRET_OFFSET + HASH_SECRET_BYTES));
  view.setUint32(CHECKSUM_OFFSET, crc32(bytes.subarray(0, CHECKSUM_OFFSET)), true);
  removeTemporaries(fs, directory);
  atomicWrite(fs, joinPath(directory, STORE_FILE), bytes);
  return identityOf(bytes);
}

/** Reads the identity. Throws `NOT_A_STORE`, `NEWER_FORMAT` or `CORRUPT`. */
export function readIdentity(fs: Fs, directory: string): Identity {
  const path = joinPath(directory, STORE_FILE);
  const bytes = new Uint8Array(IDENTITY_BYTES);
  const file = fs.open(path);
  let length: number;
  try {
    length = file.readAt(bytes, 0);
  } finally {
    file.close();
  }
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new FlagstoneError(
      "NOT_A_STORE",
      `Cannot open ${directory} as a store: its ${STORE_FILE} file does not begin as one. If this ` +
        `was a store, the file was damaged; restore it from a copy.`,
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
      `Cannot open ${directory}: the store has format version ${version}, this Flagstone knows up ` +
        `to ${FORMAT_VERSION}. Open it with a newer Flagstone.`,
      { path, offset: 8 },
    );
  }
  return identityOf(bytes);
}

function identityOf(bytes: Uint8Array): Identity {
  return {
    storeId: bytes.slice(ID_OFFSET, ID_OFFSET + STORE_ID_BYTES),
    hashSecret: bytes.slice(SECRET_OFFSET, SECRET_OFFSET + HASH_SECRET_BYTES),
  };
}
