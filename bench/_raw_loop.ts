/** A thread that does nothing but small writes, each with its fdatasync: what a disk does for one writer. */

/** What it is asked for; it answers with the milliseconds that it took. */
interface Request {
  readonly path: string;
  readonly bytes: number;
  readonly count: number;
}

const FILE_BYTES = 16 * 1024 * 1024;
let file: Deno.FsFile | undefined;

function open(path: string): Deno.FsFile {
  const opened = Deno.openSync(path, { create: true, write: true });
  opened.truncateSync(FILE_BYTES);
  opened.syncSync();
  return opened;
}

self.onmessage = (event: MessageEvent<Request>) => {
  const { path, bytes, count } = event.data;
  file ??= open(path);
  file.seekSync(0, Deno.SeekMode.Start);
  const record = new Uint8Array(bytes).fill(7);
  const started = performance.now();
  for (let i = 0; i < count; i++) {
    file.writeSync(record);
    file.syncDataSync();
  }
  self.postMessage(performance.now() - started);
};
