import { type ErrorCode, type ErrorDetails, FlagstoneError } from "../errors/mod.ts";

/** Words at the start of the shared memory. */
const LOCK = 0; // client threads: 0 free, 1 taken
const STATE = 1; // whose turn it is; see below
const TEXT_BYTES = 2; // length of the request or reply text
const DATA_BYTES = 3; // length of the bytes that go with it
const WORDS = 4;

const IDLE = 0;
const REQUEST = 1;
const REPLY = 2;
const CLOSED = 3;

/** Room for the text of a call: paths and numbers, or the names in a directory. */
const TEXT_ROOM = 256 * 1024;
const TEXT_AT = WORDS * 4;
const DATA_AT = TEXT_AT + TEXT_ROOM;

/** What is asked: a method of the file system, or of a handle. */
export interface ChannelRequest {
  readonly method: string;
  /** The number of the handle; absent for the file system itself. */
  readonly handle?: number;
  readonly args: readonly (string | number)[];
}

/** What comes back. */
export interface ChannelReply {
  readonly value?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string } & ErrorDetails;
}

/** Both ends of a piece of shared memory through which one call at a time goes. */
export class Channel {
  readonly #words: Int32Array;
  readonly #text: Uint8Array;
  readonly #data: Uint8Array;

  /** `memory` as {@linkcode Channel.allocate} made it. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#text = new Uint8Array(memory, TEXT_AT, TEXT_ROOM);
    this.#data = new Uint8Array(memory, DATA_AT);
  }

  /** Memory for calls that carry up to `dataBytes` at once. */
  static allocate(dataBytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(DATA_AT + dataBytes);
  }

  /** How many bytes a call can carry. */
  get dataRoom(): number {
    return this.#data.length;
  }

  /** Client: asks and blocks until the answer is there. `send` goes along, `receive` is filled by the answer's bytes. */
  call(request: ChannelRequest, send?: Uint8Array, receive?: Uint8Array): unknown {
    this.#lock();
    try {
      this.#put(JSON.stringify(request), send);
      if (Atomics.compareExchange(this.#words, STATE, IDLE, REQUEST) !== IDLE) {
        throw closed(request);
      }
      Atomics.notify(this.#words, STATE);
      while (Atomics.load(this.#words, STATE) === REQUEST) {
        Atomics.wait(this.#words, STATE, REQUEST);
      }
      if (Atomics.load(this.#words, STATE) === CLOSED) throw closed(request);
      const reply: ChannelReply = JSON.parse(this.#takeText());
      const { error } = reply;
      if (error !== undefined) throw new FlagstoneError(error.code, error.message, error);
      receive?.set(this.#data.subarray(0, this.#words[DATA_BYTES] ?? 0));
      return reply.value;
    } finally {
      Atomics.compareExchange(this.#words, STATE, REPLY, IDLE);
      this.#unlock();
    }
  }

  /**
   * Server: answers until closed. `answer` gets the request, the bytes that came along and the
   * room for those to send back; it returns the value and how many bytes it put there.
   */
  async serve(
    answer: (request: ChannelRequest, data: Uint8Array, sent: number) => Promise<[unknown, number]>,
  ): Promise<void> {
    while (true) {
      const state = Atomics.load(this.#words, STATE);
      if (state === CLOSED) return;
      if (state !== REQUEST) {
        const waiting = Atomics.waitAsync(this.#words, STATE, state);
        if (waiting.async) await waiting.value;
        continue;
      }
      let reply: ChannelReply;
      let filled = 0;
      try {
        const request: ChannelRequest = JSON.parse(this.#takeText());
        const sent = this.#words[DATA_BYTES] ?? 0;
        const [value, count] = await answer(request, this.#data, sent);
        filled = count;
        reply = value === undefined ? {} : { value };
      } catch (error) {
        reply = { error: errorReply(error) };
      }
      this.#putReply(reply);
      this.#words[DATA_BYTES] = filled;
      Atomics.compareExchange(this.#words, STATE, REQUEST, REPLY);
      Atomics.notify(this.#words, STATE);
    }
  }

  /** Ends it for both sides: calls under way and later ones throw `CLOSED`. */
  close(): void {
    Atomics.store(this.#words, STATE, CLOSED);
    Atomics.notify(this.#words, STATE);
  }

  #put(text: string, data: Uint8Array | undefined): void {
    this.#putText(text);
    if (data !== undefined) this.#data.set(data);
    this.#words[DATA_BYTES] = data?.length ?? 0;
  }

  #putReply(reply: ChannelReply): void {
    try {
      this.#putText(JSON.stringify(reply));
    } catch (error) {
      this.#putText(JSON.stringify({ error: errorReply(error) }));
    }
  }

  #putText(text: string): void {
    // Encoded aside, because encodeInto does not take shared memory everywhere.
    const encoded = new TextEncoder().encode(text);
    if (encoded.length > TEXT_ROOM) {
      throw new FlagstoneError(
        "INVALID",
        `Cannot call: ${encoded.length} bytes of text are too many`,
      );
    }
    this.#text.set(encoded);
    this.#words[TEXT_BYTES] = encoded.length;
  }

  #takeText(): string {
    return new TextDecoder().decode(this.#text.slice(0, this.#words[TEXT_BYTES] ?? 0));
  }

  #lock(): void {
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) {
      Atomics.wait(this.#words, LOCK, 1);
    }
  }

  #unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
    Atomics.notify(this.#words, LOCK, 1);
  }
}

function closed(request: ChannelRequest): FlagstoneError {
  const path = request.args.find((arg) => typeof arg === "string");
  return new FlagstoneError(
    "CLOSED",
    `Cannot ${request.method}: the thread that has the file system serves it no more`,
    { operation: request.method, path: String(path ?? "") },
  );
}

function errorReply(error: unknown): NonNullable<ChannelReply["error"]> {
  if (!(error instanceof FlagstoneError)) {
    return { code: "IO", message: `Cannot serve the file system: ${error}` };
  }
  const { code, message, path, offset, operation } = error;
  return {
    code,
    message,
    ...(path === undefined ? undefined : { path }),
    ...(offset === undefined ? undefined : { offset }),
    ...(operation === undefined ? undefined : { operation }),
  };
}
