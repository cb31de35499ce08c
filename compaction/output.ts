import { FlagstoneError } from "../errors/mod.ts";
import { buildFooter, putBytesOf, type SegmentReader } from "../segment/mod.ts";
import { type File, type Fs, joinPath, syncDirectory, temporarySuffix } from "../vfs/mod.ts";
import {
  alignRecord,
  checksumRecord,
  compactedName,
  FILE_HEADER_BYTES,
  highWord,
  kindAndFlags,
  lowWord,
  RECORD_HEADER_BYTES,
  RecordFlag,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  SegmentImage,
  verifyRecord,
  writeFileHeader,
} from "../wal/mod.ts";
import { type CompactedFile, type CompactionJob, MoveWord, Over } from "./job.ts";
import { RecordList } from "./record_list.ts";

/** One read brings so many bytes, or one record that is longer. */
const READ_BYTES = 1024 * 1024;
/** A stretch of so many bytes that are not wanted is read along rather than left out. */
const MAX_GAP_BYTES = 64 * 1024;

/**
 * The compacted segment that is being made: records are copied one window of a source after another,
 * each verified on the way; then footer, sync, name, sync of the directory.
 */
export class CompactedOutput {
  /** Where each copied put is now. */
  readonly moves: RecordList = new RecordList();
  /** Records copied. */
  records = 0;
  /** Bytes read and written. */
  bytes = 0;
  /** From here on the file may have its name, whatever fails. */
  mayBeNamed = false;
  readonly #fs: Fs;
  readonly #job: CompactionJob;
  readonly #sources: readonly SegmentReader[];
  readonly #lists: readonly RecordList[];
  readonly #image: SegmentImage;
  readonly #salt: number;
  readonly #path: string;
  readonly #file: File;
  #source = 0;
  /** The records of the current source by offset, and how many of them are done. */
  #order: Uint32Array | undefined;
  #done = 0;
  #end = FILE_HEADER_BYTES;
  #written = 0;
  #footer: Uint8Array | undefined;

  /** Will copy the records in `lists`, of each source its own, into a new file. */
  constructor(
    fs: Fs,
    job: CompactionJob,
    sources: readonly SegmentReader[],
    lists: readonly RecordList[],
  ) {
    this.#fs = fs;
    this.#job = job;
    this.#sources = sources;
    this.#lists = lists;
    let space = FILE_HEADER_BYTES;
    let first = Infinity;
    for (const list of lists) {
      for (let i = 0; i < list.length; i++) {
        space += alignRecord(list.get(i, MoveWord.length));
        first = Math.min(first, newSequence(list, i));
      }
    }
    this.#image = new SegmentImage(new ArrayBuffer(space));
    this.#salt = writeFileHeader(this.#image, {
      segment: job.number,
      capacityBytes: space,
      storeId: job.storeId,
      baseSequence: first === Infinity ? this.#lastSequence : first - 1,
      upTo: job.upTo,
    });
    this.#path = joinPath(job.directory, compactedName(job.upTo, job.number));
    this.#file = fs.create(this.#path + temporarySuffix);
  }

  /** Does one thing: copies one window, ends the file, names it. Returns the file once it is durable under its name. */
  step(): CompactedFile | undefined {
    const source = this.#sources[this.#source];
    if (source !== undefined) {
      this.#order ??= this.#lists[this.#source]!.byOffset();
      if (this.#done < this.#order.length) this.#copyWindow(source, this.#order);
      else {
        this.#source++;
        this.#order = undefined;
        this.#done = 0;
      }
      return undefined;
    }
    if (this.#footer === undefined) {
      this.#footer = buildFooter(this.#image, this.#end, this.#salt, this.#lastSequence);
      this.#write();
      this.#file.writeAt(this.#footer, this.#end);
      this.bytes += this.#footer.length;
      this.#file.sync();
      this.#file.close();
      return undefined;
    }
    this.mayBeNamed = true;
    this.#fs.rename(this.#path + temporarySuffix, this.#path);
    syncDirectory(this.#fs, this.#job.directory);
    return {
      fileBytes: this.#end + this.#footer.length,
      recordsEnd: this.#end,
      putBytes: putBytesOf(this.#footer),
      salt: this.#salt,
    };
  }

  /** Leaves nothing behind, unless the file may have its name. */
  abandon(): void {
    this.#file.close();
    if (!this.mayBeNamed) this.#fs.removeAll(this.#path + temporarySuffix);
  }

  /** The highest number in the sources, so that it is not given again once they are gone. */
  get #lastSequence(): number {
    return this.#sources.reduce((most, { summary }) => Math.max(most, summary.lastSequence), 0);
  }

  #copyWindow(source: SegmentReader, order: Uint32Array): void {
    const list = this.#lists[this.#source]!;
    const start = list.get(order[this.#done]!, MoveWord.offset);
    let end = start;
    let last = this.#done;
    for (; last < order.length; last++) {
      const offset = list.get(order[last]!, MoveWord.offset);
      const next = offset + alignRecord(list.get(order[last]!, MoveWord.length));
      if (end > start && (next - start > READ_BYTES || offset - end > MAX_GAP_BYTES)) break;
      end = next;
    }
    const window = new SegmentImage(new ArrayBuffer(end - start));
    source.readAt(
      window.bytes.subarray(0, Math.min(end, source.summary.recordsEnd) - start),
      start,
    );
    this.bytes += end - start;
    for (; this.#done < last; this.#done++) {
      this.#copy(source, list, order[this.#done]!, window, start);
    }
    this.#write();
  }

  #copy(
    source: SegmentReader,
    list: RecordList,
    record: number,
    window: SegmentImage,
    start: number,
  ): void {
    const offset = list.get(record, MoveWord.offset);
    const length = list.get(record, MoveWord.length);
    const from = offset - start;
    const whole = recordLength(window, from) === length &&
      recordSequence(window, from) === list.sequence(record) &&
      verifyRecord(window, from, length, source.header.salt);
    if (!whole) throw damaged(source.path, offset);
    const { bytes, words } = this.#image;
    const to = this.#end;
    const isOver = list.get(record, MoveWord.over) !== Over.not;
    const copied = isOver ? RECORD_HEADER_BYTES + recordKeyBytes(window, from) : length;
    bytes.set(window.bytes.subarray(from, from + copied), to);
    const word = to >> 2;
    const kind = isOver ? RecordKind.delete : recordKind(window, from);
    // It is in no batch here, and no mark of another file means anything.
    const flags = isOver
      ? recordFlags(window, from) & RecordFlag.bytesKey
      : recordFlags(window, from) & ~RecordFlag.batchContinues;
    words[word] = copied;
    const sequence = newSequence(list, record);
    words[word + 2] = lowWord(sequence);
    words[word + 3] = highWord(sequence);
    words[word + 4] = 0;
    words[word + 5] = recordKeyBytes(window, from) | (kindAndFlags(kind, flags) << 16);
    words[word + 1] = checksumRecord(bytes, to, copied, this.#salt);
    if (kind === RecordKind.put) {
      list.set(record, MoveWord.offset, to);
      this.moves.take(list, record);
    }
    this.#end = to + alignRecord(copied);
    this.records++;
  }

  #write(): void {
    if (this.#written === this.#end) return;
    this.#file.writeAt(this.#image.bytes.subarray(this.#written, this.#end), this.#written);
    this.bytes += this.#end - this.#written;
    this.#written = this.#end;
  }
}

/**
 * The number that record `i` is to have: its own. But what takes the place of a value that is gone comes
 * just before it: where the value is still there, it says itself that it is over, and what deleted it counts.
 */
function newSequence(list: RecordList, i: number): number {
  return list.sequence(i) - (list.get(i, MoveWord.over) === Over.gone ? 1 : 0);
}

function damaged(path: string, offset: number): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot compact ${path}: the record at offset ${offset} does not match its checksum. The file ` +
      `was damaged after it was written, and stays as it is; restore it from a copy.`,
    { path, offset },
  );
}
