import { type Control, Word } from "../wal/mod.ts";
import { type Host, Role } from "../workers/mod.ts";

/** In one turn, the log worker is called again after so many bytes. */
const EARLY_CALL_BYTES = 256 * 1024;

/**
 * Calls the log worker, at the first write of a turn of the event loop and at the turn's end: it
 * wakes up while the turn goes on, and finds all of its writes together.
 */
export class TurnBell {
  readonly #control: Control;
  readonly #host: Host;
  readonly #onTurnBegin: () => void;
  readonly #onTurnEnd: () => void;
  #turnOpen = false;
  /** Position in the log at which the log worker was last called for sheer size. */
  #calledAt = 0;

  /** `onTurnBegin` is called when somebody rings first in a turn, `onTurnEnd` at the end of that turn. */
  constructor(control: Control, host: Host, onTurnBegin: () => void, onTurnEnd: () => void) {
    this.#control = control;
    this.#host = host;
    this.#onTurnBegin = onTurnBegin;
    this.#onTurnEnd = onTurnEnd;
  }

  /** Something was written, or is wanted. */
  ring(): void {
    if (this.#turnOpen) return;
    this.#turnOpen = true;
    Atomics.store(this.#control.words, Word.turn, 1);
    this.#host.ring(Role.log);
    this.#onTurnBegin();
    queueMicrotask(this.#endTurn);
  }

  /** As `ring`; the log has grown to `position`: a large turn is written in pieces. */
  ringAt(position: number): void {
    this.ring();
    if (position - this.#calledAt < EARLY_CALL_BYTES) return;
    this.#calledAt = position;
    this.#host.ring(Role.log);
  }

  readonly #endTurn = (): void => {
    this.#turnOpen = false;
    Atomics.store(this.#control.words, Word.turn, 0);
    this.#host.ring(Role.log);
    this.#onTurnEnd();
  };
}
