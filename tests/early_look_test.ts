import assert from "node:assert/strict";
import { EarlyLook } from "../log/early_look.ts";
import { turn } from "./_support.ts";

/** Somebody who waits for news, by a clock that goes on by 0.125 ms with each look at it. */
class Waiter {
  nowMs = 0;
  news = false;
  isAwaited = true;
  looks = 0;
  heard = 0;
  readonly look: EarlyLook;

  constructor(processors: number) {
    this.look = new EarlyLook({
      processors,
      hasNews: () => {
        this.looks++;
        return this.news;
      },
      isAwaited: () => this.isAwaited,
      onNews: () => {
        this.heard++;
        this.news = this.isAwaited = false;
      },
      nowMs: () => this.nowMs += 0.125,
    });
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await turn();
  }
}

Deno.test("an early look finds the news of a worker in the turn after they came, and ends", async () => {
  const waiter = new Waiter(2);
  waiter.look.begin();
  await waiter.turns(1);
  assert.equal(waiter.heard, 0);
  waiter.news = true;
  await waiter.turns(1);
  assert.equal(waiter.heard, 1);
  const { looks } = waiter;
  await waiter.turns(9);
  assert.equal(waiter.looks, looks);
});

Deno.test("who calls for a look again, before the last one has ended, prolongs it", async () => {
  const waiter = new Waiter(2);
  for (let i = 0; i < 50; i++) {
    waiter.look.begin();
    await waiter.turns(1);
  }
  assert.equal(waiter.looks, 50);
});

Deno.test("looks in vain end, and become rare until one is of use", async () => {
  const waiter = new Waiter(2);
  const looksOf = async (calls: number) => {
    const before = waiter.looks;
    for (let i = 0; i < calls; i++) {
      waiter.look.begin();
      await waiter.turns(5);
    }
    return waiter.looks - before;
  };
  const each = await looksOf(1);
  assert(each >= 1 && each < 5, `${each} looks`);
  assert.equal(await looksOf(7), 7 * each);
  const rare = await looksOf(640);
  assert(rare >= 9 * each && rare <= 11 * each, `${rare} looks`);
  waiter.news = true;
  while (waiter.heard === 0) await looksOf(1);
  waiter.isAwaited = true;
  assert.equal(await looksOf(8), 8 * each);
});

Deno.test("nobody looks early on one processor, or if nobody waits", async () => {
  const alone = new Waiter(1);
  alone.look.begin();
  const idle = new Waiter(2);
  idle.isAwaited = false;
  idle.look.begin();
  await alone.turns(5);
  assert.equal(alone.looks + idle.looks, 0);
});
