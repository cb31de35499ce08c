import { attachWal, type Durability, type WalHandle } from "../log/wal_mod.ts";

/** What a test asks of this Worker. */
export interface AppendOrder {
  readonly handle: WalHandle;
  readonly writer: number;
  readonly count: number;
  readonly durability: Durability;
  /** Appends that are under way at once. */
  readonly window: number;
}

/** What it answers: how many of its appends were acknowledged so far, or what failed. */
export type AppendReport = { readonly acknowledged: number } | { readonly error: string };

/** A record says who wrote it, and as his how-manieth. */
export function recordOf(writer: number, i: number): Uint8Array {
  const bytes = new Uint8Array(16 + (i * 7 + writer) % 100);
  new DataView(bytes.buffer).setUint32(0, writer, true);
  new DataView(bytes.buffer).setUint32(4, i, true);
  return bytes.fill(writer + i, 8);
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<AppendOrder>) => void;
  postMessage(report: AppendReport): void;
  close(): void;
};

if (typeof DedicatedWorkerGlobalScope !== "undefined") {
  scope.onmessage = async ({ data: { handle, writer, count, durability, window } }) => {
    try {
      using wal = attachWal(handle);
      for (let i = 0; i < count; i += window) {
        const length = Math.min(window, count - i);
        await Promise.all(
          Array.from({ length }, (_, k) => wal.append(recordOf(writer, i + k), { durability })),
        );
        if (durability === "synced") scope.postMessage({ acknowledged: i + length });
      }
      await wal.sync();
      scope.postMessage({ acknowledged: count });
    } catch (error) {
      scope.postMessage({ error: String(error instanceof Error ? error.stack : error) });
    }
    scope.close();
  };
}
