/**
 * The index: from the keyed hash of a key to the place of its newest record.
 *
 * ```ts
 * import { HashIndex, KeyHasher } from "./mod.ts";
 * const hasher = new KeyHasher(crypto.getRandomValues(new Uint8Array(16)));
 * const index = new HashIndex();
 * hasher.hash(new Int32Array([0x61]), 1); // the key "a"
 * index.put(hasher, 100, 1, 64, 40, 0);
 * console.assert(index.find(hasher) && index.offset === 64);
 * ```
 * @module
 */
export * from "./expiry_table.ts";
export * from "./hash_index.ts";
export * from "./index_reader.ts";
export { INDEX_SHARDS, type KeyHash } from "./_layout.ts";
export type { IndexHandle } from "./_memory.ts";
export type { Step } from "./_time_trie.ts";
export * from "./key_hash.ts";
export * from "./visit_table.ts";
