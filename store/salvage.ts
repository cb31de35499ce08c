import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import type { Identity } from "../log/mod.ts";
import { newestInKeyOrder, type SegmentEntry, SegmentReader } from "../segment/mod.ts";
import { type Fs, joinPath, readFile, removeTemporaries } from "../vfs/mod.ts";
import {
  alignRecord,
  batchContinues,
  FILE_HEADER_BYTES,
  type FileHeader,
  type FileName,
  parseFileName,
  readFileHeader,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  scanLog,
  SegmentImage,
} from "../wal/mod.ts";
import { KeyBuffer } from "./keys.ts";
import { setAside, writeKept } from "./salvage_files.ts";
import { findGoodRecords, type GoodRecords } from "./salvage_scan.ts";
import type { SalvagedFile } from "./stats_types.ts";
import type { Key } from "./types.ts";

const FOREIGN = "it is of another store, or was renamed";

/** A log or segment of the directory. */
type NamedFile = FileName & { readonly name: string };

/** What is known of a log. */
interface LogFacts {
  readonly file: NamedFile;
  /** What is wrong with it; `undefined`: nothing. */
  readonly damage: string | undefined;
  readonly sealed: boolean;
  readonly saysDurable: boolean;
}

/** What can be had of a file. */
interface Content {
  readonly image: SegmentImage;
  readonly good: GoodRecords;
}

/**
 * Makes a damaged directory one that opens: reads every log and segment whole; what is damaged is
 * written anew, as far as it can be read, as a compacted segment, and then set aside. In this order, a
 * file at a time, the oldest first: whatever moment the power fails at, a plain open finds either the
 * damage or what was kept. An image of the index that knows of a file that was set aside is of no use
 * to any open.
 */
export class Salvage {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #keys: KeyBuffer;
  readonly #files: SalvagedFile[] = [];
  #nextNumber = 1;

  /** Will look at the files of `directory`, whose lock the caller has. */
  constructor(fs: Fs, directory: string, identity: Identity) {
    this.#fs = fs;
    this.#directory = directory;
    this.#identity = identity;
    this.#keys = new KeyBuffer(identity.hashSecret);
  }

  /** Does it. Throws `NEWER_FORMAT` before anything of that file is changed. */
  run(): SalvagedFile[] {
    const fs = this.#fs;
    removeTemporaries(fs, this.#directory);
    const files = fs.list(this.#directory).flatMap((name): NamedFile[] => {
      const file = parseFileName(name);
      return file === undefined || file.segment < this.#identity.firstSegment
        ? []
        : [{ ...file, name }];
    });
    for (const file of files) {
      if (file.kind === "compacted") this.#nextNumber = Math.max(this.#nextNumber, file.number + 1);
    }
    const sealed = files.filter(({ kind }) => kind !== "log");
    sealed.sort((a, b) => a.segment - b.segment);
    const isSealed = new Set<number>();
    let newestSealed = 0;
    for (const file of sealed) {
      const outcome = this.#segment(file);
      if (outcome !== "foreign") newestSealed = file.segment;
      // The log of one that was replaced may still be there, in a copy of a directory.
      if (outcome === "sound" && file.kind === "seg") isSealed.add(file.segment);
    }
    const logs = files.filter(({ kind, segment }) => kind === "log" && !isSealed.has(segment));
    logs.sort((a, b) => a.segment - b.segment);
    this.#logs(logs, newestSealed);
    return this.#files;
  }

  #segment(file: NamedFile): "sound" | "replaced" | "foreign" {
    const path = joinPath(this.#directory, file.name);
    let entries: SegmentEntry[] | undefined;
    let header: FileHeader | undefined;
    let recordsEnd: number | undefined;
    let lastSequence = 0;
    let damage: string | undefined;
    try {
      using reader = SegmentReader.open(this.#fs, path);
      header = reader.header;
      if (!this.#isOurs(header, file)) {
        this.#foreign(file);
        return "foreign";
      }
      ({ recordsEnd, lastSequence } = reader.summary);
      entries = reader.blocks.flatMap((block) => reader.readBlock(block));
    } catch (error) {
      damage = this.#damageOf(error);
    }
    const bytes = readFile(this.#fs, path);
    const isCompacted = file.kind === "compacted";
    const content = this.#read(bytes, header, path, recordsEnd, isCompacted);
    if (content !== undefined) {
      const { image, good } = content;
      damage ??= good.lostBytes > 0 ? "records do not match their checksums" : undefined;
      damage ??= agree(entries!, image, newest(image, good.offsets))
        ? undefined
        : "the footer does not agree with the records";
    }
    if (damage === undefined) return "sound";
    const at = new Set(content?.good.offsets);
    const lost = entries?.filter(({ offset }) => !at.has(offset))
      .map(({ key, flags }) => {
        this.#keys.load(key, flags);
        return this.#keys.key(flags);
      });
    const known = Math.max(lastSequence, header?.baseSequence ?? 0);
    this.#replace(file, damage, content, lost, known);
    return "replaced";
  }

  #logs(logs: readonly NamedFile[], newestSealed: number): void {
    const facts = logs.map((file) => this.#look(file));
    // If something newer says so, a log had an end; and what replaces a newer one says so.
    let isComplete = false;
    const damages = facts.toReversed().map(({ file, damage, sealed, saysDurable }) => {
      const hadEnd = isComplete || newestSealed > file.segment;
      const found = damage ?? (hadEnd && !sealed ? "its end is missing" : undefined);
      isComplete ||= saysDurable || (found !== undefined && found !== FOREIGN);
      return found;
    }).reverse();
    for (const [i, { file }] of facts.entries()) {
      const damage = damages[i];
      if (damage === undefined) continue;
      const path = joinPath(this.#directory, file.name);
      const bytes = readFile(this.#fs, path);
      if (damage === FOREIGN) {
        this.#foreign(file);
        continue;
      }
      const { header } = this.#headerOf(bytes, file, path);
      const content = this.#read(bytes, header, path, undefined, false);
      this.#replace(file, damage, content, undefined, header?.baseSequence ?? 0);
    }
  }

  /** Reads a log as recovery will, which must not throw then. */
  #look(file: NamedFile): LogFacts {
    const path = joinPath(this.#directory, file.name);
    const bytes = readFile(this.#fs, path);
    const { header, isForeign, isBlank } = this.#headerOf(bytes, file, path);
    if (isForeign) return { file, damage: FOREIGN, sealed: false, saysDurable: false };
    if (header === undefined) {
      const damage = isBlank ? undefined : "its header does not match its checksum";
      return { file, damage, sealed: false, saysDurable: false };
    }
    const image = imageOf(bytes, header.capacityBytes);
    try {
      const { sealed, durableEnd } = scanLog(image, header, path, () => {});
      return { file, damage: undefined, sealed, saysDurable: durableEnd > 0 };
    } catch (error) {
      return { file, damage: this.#damageOf(error), sealed: false, saysDurable: true };
    }
  }

  #headerOf(
    bytes: Uint8Array,
    file: NamedFile,
    path: string,
  ): { header: FileHeader | undefined; isForeign: boolean; isBlank: boolean } {
    const verdict = readFileHeader(bytes.subarray(0, FILE_HEADER_BYTES), bytes.length, path);
    if (verdict.ok) {
      const isForeign = !this.#isOurs(verdict.header, file);
      return { header: verdict.header, isForeign, isBlank: false };
    }
    const isBlank = !bytes.subarray(FILE_HEADER_BYTES).some((byte) => byte !== 0);
    return { header: undefined, isForeign: false, isBlank };
  }

  #isOurs({ storeId, segment, upTo }: FileHeader, file: NamedFile): boolean {
    const named = file.kind === "compacted" ? file.number : file.segment;
    const until = file.kind === "compacted" ? file.segment : 0;
    return segment === named && upTo === until &&
      storeId.every((byte, i) => byte === this.#identity.storeId[i]);
  }

  /**
   * The good records of a file. If its header is damaged, its salt may still be known: it stands in the
   * header, and is the checksum of the rest of it; one of the two may be right.
   */
  #read(
    bytes: Uint8Array,
    header: FileHeader | undefined,
    path: string,
    recordsEnd: number | undefined,
    isCompacted: boolean,
  ): Content | undefined {
    if (bytes.length < FILE_HEADER_BYTES) return undefined;
    const image = imageOf(bytes, bytes.length);
    const end = Math.min(recordsEnd ?? Infinity, bytes.length);
    const salts = header === undefined
      ? [image.words[15]!, crc32(bytes.subarray(0, FILE_HEADER_BYTES - 4)) | 0]
      : [header.salt];
    const base = isCompacted ? undefined : header?.baseSequence ?? 0;
    let best: GoodRecords | undefined;
    for (const salt of salts) {
      const good = findGoodRecords(image, salt, end, base, path);
      if (best === undefined || good.offsets.length > best.offsets.length) best = good;
    }
    return { image, good: best! };
  }

  #replace(
    file: NamedFile,
    damage: string,
    content: Content | undefined,
    lostKeys: readonly Key[] | undefined,
    knownSequence: number,
  ): void {
    const image = content?.image ?? new SegmentImage(new ArrayBuffer(FILE_HEADER_BYTES));
    const good = content?.good;
    const isOpen = file.kind === "log" && good?.sealed === false;
    const readable = good?.offsets ?? [];
    const kept = newest(image, isOpen ? withoutOpenBatch(image, readable) : readable);
    const offsets = kept.sort((a, b) => a - b);
    const replacement = writeKept(this.#fs, this.#directory, {
      storeId: this.#identity.storeId,
      upTo: file.segment,
      number: this.#nextNumber++,
      image,
      offsets,
      lastSequence: Math.max(knownSequence, good?.lastSequence ?? 0),
    });
    this.#files.push({
      path: joinPath(this.#directory, file.name),
      message: damage,
      movedTo: setAside(this.#fs, this.#directory, file.name),
      replacement: joinPath(this.#directory, replacement),
      keptRecords: offsets.length,
      lostBytes: good?.lostBytes ?? this.#lengthBehindHeader(image),
      lostKeys,
    });
  }

  #lengthBehindHeader({ bytes }: SegmentImage): number {
    return bytes.length - FILE_HEADER_BYTES;
  }

  /** A file of another store, or of another place: nothing of it belongs here. */
  #foreign(file: NamedFile): void {
    this.#files.push({
      path: joinPath(this.#directory, file.name),
      message: FOREIGN,
      movedTo: setAside(this.#fs, this.#directory, file.name),
      replacement: undefined,
      keptRecords: 0,
      lostBytes: 0,
      lostKeys: undefined,
    });
  }

  #damageOf(error: unknown): string {
    if (error instanceof FlagstoneError && error.code !== "CORRUPT") throw error;
    // What has the right checksum and makes no sense all the same is damage, too.
    return error instanceof Error ? error.message : String(error);
  }
}

/** `bytes` as an image of `length` bytes, which may be more or less. */
function imageOf(bytes: Uint8Array, length: number): SegmentImage {
  const image = new SegmentImage(new ArrayBuffer(alignRecord(length)));
  image.bytes.set(bytes.subarray(0, length));
  return image;
}

/** A batch at the end of a log that was not finished is no batch: nobody was told that it is there. */
function withoutOpenBatch(image: SegmentImage, offsets: readonly number[]): readonly number[] {
  let end = offsets.length;
  while (end > 0 && batchContinues(image, offsets[end - 1]!)) end--;
  return offsets.slice(0, end);
}

/** Of each key the newest of the records at `offsets`, in key order. */
function newest(image: SegmentImage, offsets: readonly number[]): number[] {
  const keyed = offsets.filter((offset) => {
    const kind = recordKind(image, offset);
    return kind === RecordKind.put || kind === RecordKind.delete;
  });
  return [...newestInKeyOrder(image, Uint32Array.from(keyed))];
}

function agree(
  entries: readonly SegmentEntry[],
  image: SegmentImage,
  offsets: readonly number[],
): boolean {
  return entries.length === offsets.length && entries.every((entry, i) => {
    const offset = offsets[i]!;
    return entry.offset === offset && entry.length === recordLength(image, offset) &&
      entry.sequence === recordSequence(image, offset);
  });
}
