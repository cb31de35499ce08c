let word: Int32Array<SharedArrayBuffer> | undefined;

/** Blocks the thread. */
export function sleepSync(ms: number): void {
  word ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(word, 0, 0, ms);
}
