import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { ExpiryTable, HashIndex } from "../index/mod.ts";
import type { Identity } from "../log/mod.ts";
import { SegmentReader } from "../segment/mod.ts";
import { type File, type Fs, joinPath, TemporaryFile } from "../vfs/mod.ts";
import { compactedName, highWord, joinWords, segmentName, STORE_ID_BYTES } from "../wal/mod.ts";
import type { SegmentFacts } from "./segment_set.ts";
import { nextTurn } from "./next_turn.ts";

/** Name of the file that holds an image of the index. */
export const INDEX_FILE = "INDEX";
/** Version of the image that this code writes, and the only one that it reads: others are ignored. */
const IMAGE_VERSION = 2;
const MAGIC = new TextEncoder().encode("FLAGINDX");

/** Other work gets its turn after so many bytes: a few ms of writing. */
const BREAK_BYTES = 8 * 1024 * 1024;

/** Offsets in the head; docs/FORMAT.md explains each. */
const Head = {
  version: 8,
  headBytes: 12,
  storeId: 16,
  sequenceEnd: 16 + STORE_ID_BYTES,
  logSegment: 40,
  logEnd: 44,
  logChecksum: 48,
  segments: 56,
  pieces: 60,
  expiryPieces: 64,
  tables: 68,
} as const;
/** Name i32, bytes u64, and u32s: end of the records, bytes of puts, dead bytes, salt, newest source. */
const SEGMENT_ENTRY_BYTES = 4 + 8 + 5 * 4;
/** Bytes u32, checksum u32. */
const PIECE_ENTRY_BYTES = 4 + 4;
const CHECKSUM_BYTES = 4;
/** Keys that expire are written in pieces of up to so many bytes. */
const EXPIRY_PIECE_BYTES = 4 * 1024 * 1024;
/** So many pieces are read at a time. */
const LANES = 2;
/** A head that says that it is longer is not believed: no memory is taken for it. */
const MOST_HEAD_BYTES = 64 * 1024 * 1024;

/** The place in a log up to which an image knows it. */
export interface LogPlace {
  /** Number of the segment. */
  readonly segment: number;
  /** Records up to here are durable, and in the image. */
  readonly end: number;
  /** CRC-32 of the file's first `end` bytes. */
  readonly checksum: number;
}

/** Which sealed file, as `SegmentSet` names it; `upTo` if it was compacted. */
export interface SealedName {
  readonly name: number;
  readonly upTo: number | undefined;
}

/** What an image knows of a segment. */
export interface ImagedSegment {
  readonly facts: SegmentFacts;
  readonly deadBytes: number;
}

/** Of what an image is an image: the state of the directory that it depends on. */
export interface ImageSource {
  /** The sealed segments whose records are all in it. */
  readonly segments: ReadonlyMap<number, ImagedSegment>;
  /** The log that went on when it was made; `undefined` if none held a record. */
  readonly log: LogPlace | undefined;
  /** Sequence numbers from here on had not been given out. */
  readonly sequenceEnd: number;
}

/** An index that was read, and what it knows. */
export interface IndexImage extends ImageSource {
  readonly index: HashIndex;
  readonly expiring: ExpiryTable;
}

/**
 * Writes the index as it is, and in one step puts it in place of the older image, durably. Nothing
 * may change the index until the promise settles, and all that it points to must be durable. Other
 * work gets its turn between pieces.
 */
export async function writeIndexImage(
  fs: Fs,
  directory: string,
  storeId: Uint8Array,
  { index, expiring }: { readonly index: HashIndex; readonly expiring: ExpiryTable },
  source: ImageSource,
): Promise<void> {
  const expiryPieces = [...expiring.image(EXPIRY_PIECE_BYTES)];
  const pieces = [...index.chunks(), ...expiryPieces];
  const head = encodeHead(storeId, source, pieces, expiryPieces.length);
  using temporary = TemporaryFile.create(fs, directory, { name: INDEX_FILE });
  temporary.file.write(head);
  let sinceBreak = 0;
  for (const piece of pieces) {
    temporary.file.write(piece);
    sinceBreak += piece.length;
    if (sinceBreak < BREAK_BYTES) continue;
    sinceBreak = 0;
    await nextTurn();
  }
  temporary.persist(joinPath(directory, INDEX_FILE));
}

/**
 * Reads the image in `directory`, if it is whole and everything in it is still there: each of its
 * segments, with the same length, of `sealed`, and of the newest the very same file. Files that came
 * later are no obstacle: they are read on top. `undefined` if it is of no use, for whatever reason;
 * nothing but time depends on it. That its log still begins with what the image knows is left to the caller.
 */
export async function readIndexImage(
  fs: Fs,
  directory: string,
  identity: Identity,
  sealed: readonly SealedName[],
): Promise<IndexImage | undefined> {
  try {
    using file = fs.open(joinPath(directory, INDEX_FILE));
    const found = readHead(file, identity.storeId);
    if (found === undefined) return undefined;
    const { source, headBytes, pieces, expiryPieces } = found;
    if (!isThere(fs, directory, source.segments, sealed)) return undefined;
    const chunks = await readPieces(file, headBytes, pieces);
    if (chunks === undefined) return undefined;
    const expiring = new ExpiryTable();
    for (const piece of chunks.splice(chunks.length - expiryPieces)) expiring.load(piece);
    return { ...source, index: HashIndex.fromChunks(chunks), expiring };
  } catch (error) {
    // A RangeError: pieces that are whole, but of another layout of the index.
    if (error instanceof FlagstoneError || error instanceof RangeError) return undefined;
    throw error;
  }
}

interface FoundHead {
  readonly source: ImageSource;
  readonly headBytes: number;
  readonly pieces: readonly { readonly bytes: number; readonly checksum: number }[];
  /** So many of the pieces, the last ones, tell of keys that expire. */
  readonly expiryPieces: number;
}

function encodeHead(
  storeId: Uint8Array,
  { segments, log, sequenceEnd }: ImageSource,
  pieces: readonly Uint8Array[],
  expiryPieces: number,
): Uint8Array {
  const tables = segments.size * SEGMENT_ENTRY_BYTES + pieces.length * PIECE_ENTRY_BYTES;
  const head = new Uint8Array(Head.tables + tables + CHECKSUM_BYTES);
  const view = new DataView(head.buffer);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => {
    u32(at, value);
    u32(at + 4, highWord(value));
  };
  head.set(MAGIC);
  u32(Head.version, IMAGE_VERSION);
  u32(Head.headBytes, head.length);
  head.set(storeId, Head.storeId);
  u64(Head.sequenceEnd, sequenceEnd);
  u32(Head.logSegment, log?.segment ?? 0);
  u32(Head.logEnd, log?.end ?? 0);
  u32(Head.logChecksum, log?.checksum ?? 0);
  u32(Head.segments, segments.size);
  u32(Head.pieces, pieces.length);
  u32(Head.expiryPieces, expiryPieces);
  let at: number = Head.tables;
  for (const [segment, { facts, deadBytes }] of segments) {
    u32(at, segment);
    u64(at + 4, facts.fileBytes);
    u32(at + 12, facts.recordsEnd);
    u32(at + 16, facts.putBytes);
    u32(at + 20, deadBytes);
    u32(at + 24, facts.salt);
    u32(at + 28, facts.upTo ?? 0);
    at += SEGMENT_ENTRY_BYTES;
  }
  for (const piece of pieces) {
    u32(at, piece.length);
    u32(at + 4, crc32(piece));
    at += PIECE_ENTRY_BYTES;
  }
  u32(at, crc32(head.subarray(0, at)));
  return head;
}

function readHead(file: File, storeId: Uint8Array): FoundHead | undefined {
  const start = new DataView(new ArrayBuffer(Head.tables));
  file.readAt(new Uint8Array(start.buffer), 0);
  const headBytes = start.getUint32(Head.headBytes, true);
  const known = MAGIC.every((byte, i) => start.getUint8(i) === byte) &&
    start.getUint32(Head.version, true) === IMAGE_VERSION;
  if (!known || headBytes < Head.tables + CHECKSUM_BYTES || headBytes > MOST_HEAD_BYTES) {
    return undefined;
  }
  const head = new Uint8Array(headBytes);
  const view = new DataView(head.buffer);
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => joinWords(u32(at), u32(at + 4));
  file.readAt(head, 0);
  const tablesEnd = headBytes - CHECKSUM_BYTES;
  if (u32(tablesEnd) !== crc32(head.subarray(0, tablesEnd))) return undefined;
  if (!storeId.every((byte, i) => head[Head.storeId + i] === byte)) return undefined;
  const segments = new Map<number, ImagedSegment>();
  let at: number = Head.tables;
  for (let i = u32(Head.segments); i > 0; i--, at += SEGMENT_ENTRY_BYTES) {
    const [fileBytes, recordsEnd, putBytes] = [u64(at + 4), u32(at + 12), u32(at + 16)];
    const facts = { fileBytes, recordsEnd, putBytes, salt: u32(at + 24) | 0 };
    const upTo = u32(at + 28);
    segments.set(u32(at) | 0, {
      facts: upTo === 0 ? facts : { ...facts, upTo },
      deadBytes: u32(at + 20),
    });
  }
  const pieces: { bytes: number; checksum: number }[] = [];
  for (let i = u32(Head.pieces); i > 0; i--, at += PIECE_ENTRY_BYTES) {
    pieces.push({ bytes: u32(at), checksum: u32(at + 4) });
  }
  const expiryPieces = Math.min(u32(Head.expiryPieces), pieces.length);
  const segment = u32(Head.logSegment);
  const log = segment === 0
    ? undefined
    : { segment, end: u32(Head.logEnd), checksum: u32(Head.logChecksum) };
  const source = { segments, log, sequenceEnd: u64(Head.sequenceEnd) };
  return { source, headBytes, pieces, expiryPieces };
}

/**
 * True if all the segments are there. Numbers of logs are never given twice in the history of a store,
 * so name and length would tell; the salt of the newest tells apart what two copies of a store, which
 * went on separately, call by the same number. Compacted segments leave nothing behind that would keep
 * their numbers from being given again: each is looked into.
 */
function isThere(
  fs: Fs,
  directory: string,
  segments: ReadonlyMap<number, ImagedSegment>,
  sealed: readonly SealedName[],
): boolean {
  const found = new Map(sealed.map(({ name, upTo }) => [name, upTo ?? 0]));
  const newest = Math.max(...segments.keys());
  for (const [name, { facts: { fileBytes, salt, upTo = 0 } }] of segments) {
    if (found.get(name) !== upTo) return false;
    const path = joinPath(directory, upTo > 0 ? compactedName(upTo, -name) : segmentName(name));
    if (fs.stat(path).size !== fileBytes) return false;
    if ((upTo > 0 || name === newest) && saltOf(fs, path) !== salt) return false;
  }
  return true;
}

function saltOf(fs: Fs, path: string): number {
  using reader = SegmentReader.open(fs, path);
  return reader.header.salt;
}

/**
 * Reads the pieces into memory that the index can take over; `undefined` if one is not what was written.
 * Several at a time: most of what it costs is new memory, which threads of the system's can be given
 * at once.
 */
async function readPieces(
  file: File,
  offset: number,
  pieces: FoundHead["pieces"],
): Promise<Uint8Array[] | undefined> {
  const starts: number[] = [];
  let end = offset;
  for (const { bytes } of pieces) {
    starts.push(end);
    end += bytes;
  }
  if (file.stat().size !== end) return undefined;
  const chunks: Uint8Array[] = [];
  let next = 0;
  let isWhole = true;
  const lane = async () => {
    while (isWhole && next < pieces.length) {
      const i = next++;
      const { bytes, checksum } = pieces[i]!;
      const chunk = chunks[i] = new Uint8Array(new SharedArrayBuffer(bytes));
      const got = await file.readAtAsync(chunk, starts[i]!);
      if (got !== bytes || crc32(chunk) !== checksum) isWhole = false;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return isWhole ? chunks : undefined;
}
