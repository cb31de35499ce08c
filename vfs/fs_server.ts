import { Channel, type ChannelRequest } from "./_channel.ts";
import { closedError, fsError } from "./_check.ts";
import { fixedPath } from "./paths.ts";
import type { File, Fs, FsSpec, Lock } from "./types.ts";

/** How {@linkcode serveFs} serves; all of it may be left out. */
export interface FsServerOptions {
  /** How many bytes go through at once; longer reads and writes go in pieces. Default 1 MiB. */
  readonly dataBytes?: number;
  /** Called before each call of another thread is answered; a promise holds it back until it resolves, while this thread goes on. For tests: a disk that hangs. */
  readonly hold?: (call: HeldCall) => Promise<void> | undefined;
}

/** A call of another thread. */
export interface HeldCall {
  /** Method of `Fs` or `File`. */
  readonly method: string;
  /** The file or directory. */
  readonly path: string;
}

/** A file system of this thread that is within reach of others. */
export interface FsServer extends Disposable {
  /** What another thread makes its file system from, with `fsFromSpec`. */
  readonly spec: FsSpec & { readonly kind: "proxy" };
  /** Handles and locks that other threads have open. */
  readonly openHandles: number;
  /**
   * Serves no more: calls of other threads throw `CLOSED`, what they left open is closed.
   * Idempotent.
   */
  close(): void;
}

/**
 * Lets other threads use a file system that only this thread has, such as one in memory. Their
 * calls block them and are answered from this thread's event loop, one at a time; so this thread
 * must never block on them. Keeps no process alive.
 */
export function serveFs(fs: Fs, options: FsServerOptions = {}): FsServer {
  return new Server(fs, options);
}

class Server implements FsServer {
  readonly spec: FsSpec & { readonly kind: "proxy" };
  readonly #fs: Fs;
  readonly #channel: Channel;
  readonly #hold: FsServerOptions["hold"];
  readonly #handles = new Map<number, File | Lock>();
  #lastHandle = 0;
  #closed = false;

  constructor(fs: Fs, { dataBytes = 1 << 20, hold }: FsServerOptions) {
    this.#fs = fs;
    this.#hold = hold;
    const memory = Channel.allocate(dataBytes);
    this.spec = { kind: "proxy", name: fs.name, memory };
    this.#channel = new Channel(memory);
    this.#channel.serve((request, data, sent) => this.#answer(request, data, sent));
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #answer(
    request: ChannelRequest,
    data: Uint8Array,
    sent: number,
  ): Promise<[unknown, number]> {
    if (this.#hold !== undefined) await this.#hold(this.#callOf(request));
    if (request.handle === undefined) return [this.#answerFs(request), 0];
    const handle = this.#handles.get(request.handle);
    if (handle === undefined) throw closedError(request.method, "");
    if (request.method === "close") {
      this.#handles.delete(request.handle);
      handle.close();
      return [undefined, 0];
    }
    if (!("path" in handle)) throw unknownMethod(request);
    const [first = 0, second = 0] = request.args.map(Number);
    switch (request.method) {
      case "read":
        return filled(handle.read(data.subarray(0, first)));
      case "readAt":
        return filled(handle.readAt(data.subarray(0, first), second));
      case "readAtAsync":
        return filled(await handle.readAtAsync(data.subarray(0, first), second));
      default:
        return [answerFile(handle, request, data.subarray(0, sent), first, second), 0];
    }
  }

  #callOf({ method, handle, args }: ChannelRequest): HeldCall {
    if (handle === undefined) return { method, path: String(args[0]) };
    const open = this.#handles.get(handle);
    return { method, path: open !== undefined && "path" in open ? open.path : "" };
  }

  #answerFs({ method, args }: ChannelRequest): unknown {
    const [first = "", second = ""] = args.map(String);
    switch (method) {
      case "create":
        return this.#keep(this.#fs.create(first));
      case "open":
        return this.#keep(this.#fs.open(first));
      case "openReadWrite":
        return this.#keep(this.#fs.openReadWrite(first));
      case "openDir":
        return this.#keep(this.#fs.openDir(first));
      case "reuseForWrite":
        return this.#keep(this.#fs.reuseForWrite(first, second));
      case "lock":
        return this.#keep(this.#fs.lock(first));
      case "link":
        return this.#fs.link(first, second);
      case "remove":
        return this.#fs.remove(first);
      case "removeAll":
        return this.#fs.removeAll(first);
      case "rename":
        return this.#fs.rename(first, second);
      case "mkdirAll":
        return this.#fs.mkdirAll(first);
      case "list":
        return this.#fs.list(first);
      case "stat":
        return this.#fs.stat(first);
      case "diskUsage":
        return this.#fs.diskUsage(first);
      case "absolutePath":
        return fixedPath(this.#fs, first);
      default:
        throw unknownMethod({ method, args });
    }
  }

  #keep(handle: File | Lock): number {
    if (this.#closed) {
      handle.close();
      throw closedError("open", "path" in handle ? handle.path : "");
    }
    this.#handles.set(++this.#lastHandle, handle);
    return this.#lastHandle;
  }
}

function answerFile(
  file: File,
  request: ChannelRequest,
  data: Uint8Array,
  first: number,
  second: number,
): unknown {
  switch (request.method) {
    case "write":
      return file.write(data);
    case "writeAt":
      return file.writeAt(data, first);
    case "writeVectorAt":
      return file.writeVectorAt([data], first);
    case "sync":
      return file.sync();
    case "syncData":
      return file.syncData();
    case "syncTo":
      return file.syncTo(first);
    case "preallocate":
      return file.preallocate(first, second);
    case "prefetch":
      return file.prefetch(first, second);
    case "punchHole":
      return file.punchHole(first, second);
    case "truncate":
      return file.truncate(first);
    case "stat":
      return file.stat();
    default:
      throw unknownMethod(request);
  }
}

/** The count, and that as many bytes go back. */
function filled(count: number): [number, number] {
  return [count, count];
}

function unknownMethod(request: ChannelRequest): Error {
  return fsError("INVALID", request.method, "", "no such method");
}
