import { setImmediate } from "node:timers";

/**
 * Resolves once whatever else is due, timers and what the system has answered, has had its turn. A
 * timer of 0 ms would do so too, but takes 1 to 2 ms, and this a few microseconds.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
