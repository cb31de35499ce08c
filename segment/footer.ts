import { crc32 } from "node:zlib";
import {
  alignRecord,
  EXPIRY_BYTES,
  FILE_HEADER_BYTES,
  FORMAT_VERSION,
  highWord,
  joinWords,
  RECORD_HEADER_BYTES,
  recordExpiry,
  RecordFlag,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  type SegmentImage,
  writeExpiry,
} from "../wal/mod.ts";
import { sharedPrefixBytes } from "./bytes.ts";
import {
  BLOCK_BYTES,
  BLOCK_INDEX_ENTRY_BYTES,
  ENTRY_HEADER_BYTES,
  FLAGS_SHIFT,
  SEQUENCE_HIGH_BITS,
  TRAILER_BYTES,
  TRAILER_MAGIC_HIGH,
  TRAILER_MAGIC_LOW,
  TrailerWord,
} from "./format.ts";
import { newestInKeyOrder } from "./sort.ts";

/** Some 0.5 ms of work. */
const ADDED_PER_PAUSE = 1024;

/**
 * Builds the footer of the segment whose records fill `[header, recordsEnd)` of `image`: an entry
 * for the newest record of each key, in key order, in checksummed blocks; an index of the blocks; a
 * trailer. It goes into the file at `recordsEnd`. The trailer tells of `lastSequence`, if that is
 * higher than those of all records. Records without a key count as well: a mark skips numbers, which
 * must not be given again. `pause` is called now and then: it takes some 0.5 ms for 1000 records.
 */
export function buildFooter(
  image: SegmentImage,
  recordsEnd: number,
  salt: number,
  lastSequence = 0,
  pause: () => void = () => {},
): Uint8Array {
  const last = Math.max(lastSequence, lastSequenceIn(image, recordsEnd));
  const footer = new FooterBuilder(image, recordsEnd, last);
  const records = keyedRecords(image, recordsEnd);
  pause();
  let added = 0;
  for (const offset of newestInKeyOrder(image, records, pause)) {
    footer.add(offset);
    if (++added % ADDED_PER_PAUSE === 0) pause();
  }
  return footer.finish(salt);
}

/** Space of the puts in a footer that `buildFooter` made: what its trailer says. */
export function putBytesOf(footer: Uint8Array): number {
  const trailer = new DataView(
    footer.buffer,
    footer.byteOffset + footer.length - TRAILER_BYTES,
    TRAILER_BYTES,
  );
  return joinWords(
    trailer.getUint32(TrailerWord.liveBytesLow * 4, true),
    trailer.getUint32(TrailerWord.liveBytesHigh * 4, true),
  );
}

/** Offsets of the puts and deletes in `[header, recordsEnd)`, all of which were verified or just written. */
export function keyedRecords(image: SegmentImage, recordsEnd: number): Uint32Array {
  const offsets = new Uint32Array((recordsEnd / RECORD_HEADER_BYTES) | 0);
  let count = 0;
  let offset = FILE_HEADER_BYTES;
  while (offset < recordsEnd) {
    const length = recordLength(image, offset);
    // Reserved, but not published yet: what follows is newer than the call.
    if (length === 0) break;
    const kind = recordKind(image, offset);
    if (kind === RecordKind.put || kind === RecordKind.delete) offsets[count++] = offset;
    offset += alignRecord(length);
  }
  return offsets.slice(0, count);
}

/** The sequence number of the last record before `recordsEnd`. */
function lastSequenceIn(image: SegmentImage, recordsEnd: number): number {
  let last = 0;
  for (let offset = FILE_HEADER_BYTES; offset < recordsEnd;) {
    last = recordSequence(image, offset);
    offset += alignRecord(recordLength(image, offset));
  }
  return last;
}

/** Flags that say something of the key or value, rather than of the record's neighbours. */
export function lastingFlags(image: SegmentImage, offset: number): number {
  return recordFlags(image, offset) & ~RecordFlag.batchContinues;
}

class FooterBuilder {
  readonly #image: SegmentImage;
  readonly #recordsEnd: number;
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #index: { offset: number; bytes: number; entries: number; firstKey: Uint8Array }[] = [];
  #blockStart = 0;
  #blockEntries = 0;
  #blockKey: Uint8Array = new Uint8Array();
  #lastKey: Uint8Array = new Uint8Array();
  #puts = 0;
  #deletes = 0;
  #liveBytes = 0;
  #lastSequence: number;

  constructor(image: SegmentImage, recordsEnd: number, lastSequence: number) {
    this.#image = image;
    this.#recordsEnd = recordsEnd;
    this.#lastSequence = lastSequence;
  }

  add(offset: number): void {
    const image = this.#image;
    const keyStart = offset + RECORD_HEADER_BYTES;
    const key = image.bytes.subarray(keyStart, keyStart + recordKeyBytes(image, offset));
    const shared = this.#blockEntries === 0 ? 0 : sharedPrefixBytes(this.#lastKey, key);
    const suffix = key.subarray(shared);
    const flags = lastingFlags(image, offset);
    const expires = (flags & RecordFlag.expires) !== 0;
    this.#room(ENTRY_HEADER_BYTES + EXPIRY_BYTES + suffix.length);
    const length = recordLength(image, offset);
    const sequence = recordSequence(image, offset);
    const kind = recordKind(image, offset);
    const view = this.#view;
    let at = this.#length;
    view.setUint16(at, shared, true);
    view.setUint16(at + 2, suffix.length, true);
    view.setUint32(at + 4, offset, true);
    view.setUint32(at + 8, length, true);
    view.setUint32(at + 12, sequence >>> 0, true);
    const tail = highWord(sequence) | (kind << SEQUENCE_HIGH_BITS) |
      (flags << FLAGS_SHIFT);
    view.setUint32(at + 16, tail, true);
    at += ENTRY_HEADER_BYTES;
    if (expires) {
      writeExpiry(this.#bytes, at, recordExpiry(image, offset));
      at += EXPIRY_BYTES;
    }
    this.#bytes.set(suffix, at);
    this.#length = at + suffix.length;
    if (this.#blockEntries++ === 0) this.#blockKey = key;
    this.#lastKey = key;
    if (kind === RecordKind.put) {
      this.#puts++;
      this.#liveBytes += alignRecord(length);
    } else {
      this.#deletes++;
    }
    if (sequence > this.#lastSequence) this.#lastSequence = sequence;
    if (this.#length - this.#blockStart >= BLOCK_BYTES) this.#closeBlock();
  }

  finish(salt: number): Uint8Array {
    if (this.#blockEntries > 0) this.#closeBlock();
    const indexStart = this.#length;
    for (const block of this.#index) {
      this.#room(BLOCK_INDEX_ENTRY_BYTES + block.firstKey.length);
      const view = this.#view;
      const at = this.#length;
      const content = this.#bytes.subarray(block.offset, block.offset + block.bytes);
      view.setUint32(at, this.#recordsEnd + block.offset, true);
      view.setUint32(at + 4, block.bytes, true);
      view.setUint32(at + 8, crc32(content, salt >>> 0), true);
      view.setUint32(at + 12, block.entries, true);
      view.setUint32(at + 16, block.firstKey.length, true);
      this.#bytes.set(block.firstKey, at + BLOCK_INDEX_ENTRY_BYTES);
      this.#length = at + BLOCK_INDEX_ENTRY_BYTES + block.firstKey.length;
    }
    const index = this.#bytes.subarray(indexStart, this.#length);
    this.#room(TRAILER_BYTES);
    this.#bytes.set(this.#trailer(index, indexStart, salt), this.#length);
    this.#length += TRAILER_BYTES;
    return this.#bytes.subarray(0, this.#length);
  }

  #trailer(index: Uint8Array, indexStart: number, salt: number): Uint8Array {
    const words = new Uint32Array(TRAILER_BYTES / 4);
    words[TrailerWord.magicLow] = TRAILER_MAGIC_LOW;
    words[TrailerWord.magicHigh] = TRAILER_MAGIC_HIGH;
    words[TrailerWord.version] = FORMAT_VERSION;
    words[TrailerWord.salt] = salt;
    words[TrailerWord.recordsEnd] = this.#recordsEnd;
    words[TrailerWord.blockIndexOffset] = this.#recordsEnd + indexStart;
    words[TrailerWord.blockIndexBytes] = index.length;
    words[TrailerWord.blockIndexChecksum] = crc32(index, salt >>> 0);
    words[TrailerWord.blocks] = this.#index.length;
    words[TrailerWord.puts] = this.#puts;
    words[TrailerWord.deletes] = this.#deletes;
    words[TrailerWord.liveBytesLow] = this.#liveBytes >>> 0;
    words[TrailerWord.liveBytesHigh] = highWord(this.#liveBytes);
    words[TrailerWord.lastSequenceLow] = this.#lastSequence >>> 0;
    words[TrailerWord.lastSequenceHigh] = highWord(this.#lastSequence);
    const bytes = new Uint8Array(words.buffer);
    words[TrailerWord.checksum] = crc32(bytes.subarray(0, TrailerWord.checksum * 4), salt >>> 0);
    return bytes;
  }

  #closeBlock(): void {
    this.#index.push({
      offset: this.#blockStart,
      bytes: this.#length - this.#blockStart,
      entries: this.#blockEntries,
      firstKey: this.#blockKey,
    });
    this.#blockStart = this.#length;
    this.#blockEntries = 0;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
