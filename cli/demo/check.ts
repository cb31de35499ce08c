import { createHash } from "node:crypto";
import type { Store } from "../../mod.ts";
import { failureOf } from "../failures.ts";
import { showKey } from "../keys.ts";
import type { Ledger } from "./ledger.ts";
import type { SourceFile } from "./protocol.ts";

/** What a store has of what was acknowledged. */
export interface CheckReport {
  /** Files with an acknowledged put that were read back. */
  readonly files: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Keys whose interrupted last put is there: allowed, and whole. */
  readonly survivors: number;
  /** Source files that are no longer what was imported. */
  readonly sourceChanged: number;
  /** Acknowledged puts that are not there, or an older one in their place: key and story. */
  readonly lost: readonly string[];
  /** Values that nobody put under their key. */
  readonly different: readonly string[];
}

/**
 * Reads everything back and compares it with what was acknowledged, by version and SHA-256. A value
 * that is newer than the last acknowledged one must be that of an interrupted put.
 */
export async function checkStore(
  store: Store,
  files: readonly SourceFile[],
  ledger: Ledger,
): Promise<CheckReport> {
  const versions = new Map<string, number>();
  for await (const { key, version } of store.list()) versions.set(showKey(key), version);
  const lost: string[] = [];
  const different: string[] = [];
  let bytes = 0;
  let checked = 0;
  let survivors = 0;
  let sourceChanged = 0;
  for (const [index, { key, path }] of files.entries()) {
    const version = versions.get(showKey(key));
    versions.delete(showKey(key));
    const acked = ledger.acked(index);
    if (acked !== undefined) checked++;
    if (version === undefined || version < (acked?.version ?? 0)) {
      if (acked === undefined) continue;
      const found = version === undefined ? "no value" : `the older version ${version}`;
      lost.push(`${key}: version ${acked.version} was acknowledged, there is ${found}`);
      continue;
    }
    const value = await valueOf(store, key);
    if (typeof value === "string") {
      lost.push(`${key}: cannot be read: ${value}`);
      continue;
    }
    const sha256 = hashOf(value);
    const isAcked = version === acked?.version;
    if (isAcked ? sha256 !== acked.sha256 : !ledger.isDoubtful(index, sha256)) {
      different.push(`${key}: version ${version} has SHA-256 ${sha256}, which was not put`);
      continue;
    }
    bytes += value.length;
    if (!isAcked) survivors++;
    if (await sourceHash(path) !== sha256) sourceChanged++;
  }
  for (const key of versions.keys()) different.push(`${key}: nobody put this key`);
  return { files: checked, bytes, survivors, sourceChanged, lost, different };
}

/** The value, or why there is none. */
async function valueOf(store: Store, key: string): Promise<Uint8Array | string> {
  try {
    return await store.get(key) ?? "it is listed, but has no value";
  } catch (error) {
    const { code, message } = failureOf(error);
    return `${code}: ${message}`;
  }
}

async function sourceHash(path: string): Promise<string | undefined> {
  try {
    return hashOf(await Deno.readFile(path));
  } catch (error) {
    failureOf(error);
    return undefined;
  }
}

function hashOf(value: Uint8Array): string {
  return createHash("sha256").update(value).digest("hex");
}
