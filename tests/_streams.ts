/** A stream of `value`, in chunks of `chunkBytes`, made as they are asked for. */
export function streamOf(value: Uint8Array, chunkBytes = 10_000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= value.length) return controller.close();
      controller.enqueue(value.slice(at, at + chunkBytes));
      at += chunkBytes;
    },
  }, { highWaterMark: 0 });
}

/** A stream that a test steers. */
export interface Steered {
  readonly stream: ReadableStream<Uint8Array>;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Resolves to the reason when nobody wants the stream any more. */
  readonly cancelled: Promise<unknown>;
}

/** A stream that goes on when it is told to. */
export function steered(): Steered {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const { promise: cancelled, resolve } = Promise.withResolvers<unknown>();
  const stream = new ReadableStream<Uint8Array>({
    start: (own) => void (controller = own),
    cancel: (reason) => resolve(reason),
  });
  return { stream, controller: controller!, cancelled };
}
