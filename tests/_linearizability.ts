import assert from "node:assert/strict";

/**
 * What a call did to one key, or saw of it. `called` and `ended` are moments of one clock that counts
 * calls and answers; a call takes effect at some moment in between.
 */
export interface KeyEvent {
  readonly called: number;
  readonly ended: number;
  /** For messages. */
  readonly what: string;
  /** Value that was seen: its tag, `undefined` for none. Left out: none was looked at. */
  readonly saw?: { readonly tag: string | undefined };
  /** Version that was seen, 0 for none. */
  readonly sawVersion?: number;
  /** Some value was there, whichever. */
  readonly sawSome?: boolean;
  /** Version that must not have been there: a condition that failed. */
  readonly notVersion?: number;
  /** What was written; the version of a delete may be unknown. */
  readonly wrote?: { readonly tag: string | undefined; readonly version: number | undefined };
}

interface State {
  readonly tag: string | undefined;
  /** 0: no value. */
  readonly version: number;
  /** The highest version so far, also of deletes. */
  readonly newest: number;
}

/** Steps that the search for an order may take, an event each: far more than a right history needs. */
const MAX_STEPS = 2_000_000;

/**
 * Asserts that the events of one key, which had no value at first, fit an order in which each takes
 * effect between its call and its answer, and in which versions ascend. (Wing and Gong's search;
 * versions leave it little choice: only deletes whose version is unknown have more than one place.)
 */
export function assertLinearizable(key: string, events: readonly KeyEvent[]): void {
  const open = events.toSorted((a, b) => a.called - b.called);
  let steps = 0;
  let furthest: { left: number; state: State; next: readonly KeyEvent[] } | undefined;

  const search = (left: readonly KeyEvent[], state: State): boolean => {
    for (;;) {
      if (left.length === 0) return true;
      if (steps++ > MAX_STEPS) throw new Error(`${key}: the search takes too long`);
      const possible = firstOf(left);
      // Who only looks, and sees what is there, may as well do so now.
      const looks = possible.filter((event) => event.wrote === undefined && fits(event, state));
      if (looks.length > 0) {
        const done = new Set(looks);
        left = left.filter((event) => !done.has(event));
        continue;
      }
      if (furthest === undefined || left.length < furthest.left) {
        furthest = { left: left.length, state, next: possible };
      }
      const lowest = left.reduce(
        (least, { wrote }) => Math.min(least, wrote?.version ?? least),
        Infinity,
      );
      const writes = possible.filter((event) =>
        event.wrote !== undefined && fits(event, state) &&
        (event.wrote.version === undefined || event.wrote.version === lowest)
      );
      if (writes.length === 0) return false;
      if (writes.length > 1) {
        return writes.some((event) =>
          search(left.filter((other) => other !== event), after(event, state))
        );
      }
      state = after(writes[0]!, state);
      left = left.filter((event) => event !== writes[0]);
    }
  };

  if (search(open, { tag: undefined, version: 0, newest: 0 })) return;
  const { left, state, next } = furthest!;
  assert.fail(
    `${key}: no order fits. At best ${left} of ${events.length} events are left, with ` +
      `${JSON.stringify(state)}, and next is one of ${JSON.stringify(next.slice(0, 8), null, 1)}`,
  );
}

/** Those that nobody has to precede: called before any other has ended. */
function firstOf(left: readonly KeyEvent[]): KeyEvent[] {
  let end = Infinity;
  const first: KeyEvent[] = [];
  for (const event of left) {
    if (event.called > end) break;
    first.push(event);
    end = Math.min(end, event.ended);
  }
  return first.filter((event) => event.called < end || event.ended === end);
}

function fits(event: KeyEvent, state: State): boolean {
  const { saw, sawVersion, sawSome, notVersion, wrote } = event;
  if (sawSome === true && state.version === 0) return false;
  if (saw !== undefined && saw.tag !== state.tag) return false;
  // The version of a write that was seen is known by now, but for those of deletes.
  if (sawVersion !== undefined && sawVersion !== state.version) return false;
  if (notVersion !== undefined && notVersion === state.version) return false;
  return wrote?.version === undefined || wrote.version > state.newest;
}

function after({ wrote }: KeyEvent, state: State): State {
  const { tag, version } = wrote!;
  const newest = version ?? state.newest;
  return { tag, version: tag === undefined ? 0 : newest, newest };
}

/** Asserts that a write that was answered before another was called has the lower version, whatever their keys. */
export function assertVersionsFollowTime(events: readonly KeyEvent[]): void {
  const writes = events.filter(({ wrote }) => wrote?.version !== undefined);
  const byEnd = writes.toSorted((a, b) => a.ended - b.ended);
  let at = 0;
  let newest: KeyEvent | undefined;
  for (const write of writes.toSorted((a, b) => a.called - b.called)) {
    for (; byEnd[at]!.ended < write.called; at++) {
      if (byEnd[at]!.wrote!.version! > (newest?.wrote?.version ?? 0)) newest = byEnd[at];
    }
    const late = newest !== undefined && newest.wrote!.version! >= write.wrote!.version!;
    assert(
      !late,
      `${write.what} was called after ${newest?.what} had ended, and has a lower version`,
    );
  }
  const versions = new Set(writes.map(({ wrote }) => wrote!.version));
  assert.equal(versions.size, writes.length, "no version is given twice");
}
