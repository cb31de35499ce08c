import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { MAX_LOG_LENGTH } from "./log_store.ts";

/** First bytes of every file of a log store, as text. */
const MAGIC = new TextEncoder().encode("FLAGWLOG");

/** Version of the files of log stores that this code writes, and the newest that it reads. */
const LOG_STORE_VERSION = 1;

/** Bytes of the identity of a log. */
const LOG_ID_BYTES = 16;

/** Bytes of the header: magic, version u32, header bytes u32, kind u32, zero u32, position u64, extent u64, id, zero u32, checksum u32. */
export const LOG_STORE_HEADER_BYTES = 8 + 4 + 4 + 4 + 4 + 8 + 8 + LOG_ID_BYTES + 4 + 4;

const CHECKSUM_OFFSET = LOG_STORE_HEADER_BYTES - 4;

/** What a file of a log store is. */
export const LogStoreFileKind = { file: 1, segment: 2, head: 3 } as const;
export type LogStoreFileKind = (typeof LogStoreFileKind)[keyof typeof LogStoreFileKind];

/** What the first 64 bytes of a file of a log store say. */
export interface LogStoreHeader {
  readonly kind: LogStoreFileKind;
  /** Of a file or segment: the position of the byte behind the header. Of HEAD: the head. */
  readonly position: number;
  /** Of a segment: how many positions it is for. Of HEAD: where the first segment begins. Of a file: 0. */
  readonly extent: number;
  /** Identity of the log, the same in all of its files. */
  readonly id: Uint8Array;
}

/** A new identity. */
export function newLogId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(LOG_ID_BYTES));
}

/** True if two identities are the same. */
export function sameLogId(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** The bytes of a header. */
export function encodeLogStoreHeader(header: LogStoreHeader): Uint8Array {
  const bytes = new Uint8Array(LOG_STORE_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, LOG_STORE_VERSION, true);
  view.setUint32(12, LOG_STORE_HEADER_BYTES, true);
  view.setUint32(16, header.kind, true);
  view.setBigUint64(24, BigInt(header.position), true);
  view.setBigUint64(32, BigInt(header.extent), true);
  bytes.set(header.id, 40);
  view.setUint32(CHECKSUM_OFFSET, crc32(bytes.subarray(0, CHECKSUM_OFFSET)), true);
  return bytes;
}

/**
 * Reads the header at the start of `bytes`. Throws `NEWER_FORMAT` for a later version, and `CORRUPT`
 * for what is no header of this kind; but `NOT_A_STORE` where not even the magic is there and
 * nothing else says that the file is of a log (`vouched`).
 */
export function decodeLogStoreHeader(
  bytes: Uint8Array,
  kind: LogStoreFileKind,
  path: string,
  vouched: boolean,
): LogStoreHeader {
  if (bytes.length < MAGIC.length || MAGIC.some((byte, i) => byte !== bytes[i])) {
    if (vouched) throw corruptLog(path, 0, "its first bytes are not those of a log file");
    throw new FlagstoneError(
      "NOT_A_STORE",
      `Cannot open the log ${path}: its first bytes are not those of a log. It is another file, ` +
        `or its start was destroyed. It was not changed.`,
      { path, offset: 0, operation: "open" },
    );
  }
  if (bytes.length < LOG_STORE_HEADER_BYTES) {
    throw corruptLog(path, bytes.length, `it ends within its header, after ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LOG_STORE_HEADER_BYTES);
  const checksum = crc32(bytes.subarray(0, CHECKSUM_OFFSET));
  if (view.getUint32(CHECKSUM_OFFSET, true) !== checksum) {
    throw corruptLog(path, CHECKSUM_OFFSET, "the checksum of its header does not match");
  }
  const version = view.getUint32(8, true);
  if (version > LOG_STORE_VERSION) {
    throw new FlagstoneError(
      "NEWER_FORMAT",
      `Cannot open the log ${path}: it has format version ${version}, this Flagstone knows up to ` +
        `${LOG_STORE_VERSION}. Open it with a newer Flagstone.`,
      { path, offset: 8, operation: "open" },
    );
  }
  const [position, extent] = [view.getBigUint64(24, true), view.getBigUint64(32, true)];
  const found = view.getUint32(16, true);
  if (
    version !== LOG_STORE_VERSION || view.getUint32(12, true) !== LOG_STORE_HEADER_BYTES ||
    found !== kind || position > MAX_LOG_LENGTH || extent > MAX_LOG_LENGTH
  ) {
    throw corruptLog(path, 8, `its header is that of another kind of file (${found}, not ${kind})`);
  }
  const id = bytes.slice(40, 40 + LOG_ID_BYTES);
  return { kind, position: Number(position), extent: Number(extent), id };
}

/** The error of a log whose files are not as they were left. */
export function corruptLog(path: string, offset: number | undefined, found: string) {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot use the log file ${path}: ${found}. A crash does not do that: it was damaged, cut or ` +
      `removed. Nothing was changed; restore the file, or the whole log, from a copy.`,
    offset === undefined ? { path } : { path, offset },
  );
}
