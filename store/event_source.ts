import type { StoreEventMap } from "./events.ts";

/**
 * Where the parts of a store tell what happens. Events are made only if somebody has ever listened
 * for them, and delivered a moment later: a listener may call the store, whose parts are then at rest.
 */
export class EventSource {
  readonly #wanted = new Set<string>();
  readonly #kept = new Map<string, () => Event>();
  #target: EventTarget | undefined;

  /** Delivers to `target` from now on. */
  deliverTo(target: EventTarget): void {
    this.#target = target;
  }

  /** Somebody listens for `type`. True for the first time. */
  listen(type: string): boolean {
    if (this.#wanted.has(type)) return false;
    this.#wanted.add(type);
    const make = this.#kept.get(type);
    if (make !== undefined) this.#deliver(make());
    return true;
  }

  /** Tells of something. */
  emit<K extends keyof StoreEventMap>(type: K, make: () => StoreEventMap[K]): void {
    if (this.#wanted.has(type)) this.#deliver(make());
  }

  /** As `emit`, but if nobody listens, the event is kept for who listens first. */
  keep<K extends keyof StoreEventMap>(type: K, make: () => StoreEventMap[K]): void {
    if (this.#wanted.has(type)) this.#deliver(make());
    else this.#kept.set(type, make);
  }

  #deliver(event: Event): void {
    queueMicrotask(() => this.#target?.dispatchEvent(event));
  }
}
