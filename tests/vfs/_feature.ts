/** What one of the systems that this one learnt from has, and what holds it here. */
export interface Feature {
  /** The feature, in that system's words. */
  readonly feature: string;
  /** Conformance cases, which run over every file system, and named tests. */
  readonly by: readonly string[];
  /** Why there is nothing of it here, or not all of it. */
  readonly not?: string;
}
