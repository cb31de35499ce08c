import assert from "node:assert/strict";
import { EarlyLook } from "../log/early_look.ts";
import { turn } from "./_support.ts";

/** Somebody who waits for news, by a clock that goes on by 0.04 ms with each look at it. */
class Waiter {
  nowMs = 0;
  news = false;
  isAwaited = true;
  isEager = false;
  looks = 0;
  heard = 0;
  syncMs = 0.1;
  readonly look: EarlyLook;

  constructor(processors = 2) {
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
        this.look.heard();
      },
      syncMs: () => this.syncMs,
      onEager: (isEager) => this.isEager = isEager,
      nowMs: () => this.nowMs += 0.04,
    });
  }

  /** Asks, `afterMs` after news; then turns of the event loop. Returns how many of them looked. */
  async ask(turns: number, afterMs = 0): Promise<number> {
    const before = this.looks;
    this.look.heard();
    this.nowMs += afterMs;
    this.isAwaited = true;
    this.look.asked();
    this.look.begin();
    for (let i = 0; i < turns; i++) await turn();
    return this.looks - before;
  }

  /** As often as makes it eager, and answered at once. */
  async becomeEager(): Promise<void> {
    this.news = true;
    while (!this.isEager) await this.ask(1);
    await turn();
    this.news = false;
  }
}

Deno.test("an early look finds the news of a worker in the turn after they came, and ends", async () => {
  const waiter = new Waiter();
  await waiter.becomeEager();
  waiter.heard = 0;
  await waiter.ask(1);
  assert.equal(waiter.heard, 0);
  waiter.news = true;
  await turn();
  assert.equal(waiter.heard, 1);
  const { looks } = waiter;
  for (let i = 0; i < 9; i++) await turn();
  assert.equal(waiter.looks, looks);
});

Deno.test("who asks again, before the last look has ended, prolongs it", async () => {
  const waiter = new Waiter();
  await waiter.becomeEager();
  for (let i = 0; i < 100; i++) assert.equal(await waiter.ask(1), 1);
});

Deno.test("who asks once in a while sleeps, and the worker may, from the first such call on", async () => {
  const waiter = new Waiter();
  for (let i = 0; i < 20; i++) {
    assert.equal(await waiter.ask(5, 1), 0);
    assert.equal(waiter.isEager, false);
  }
  await waiter.becomeEager();
  assert.equal(await waiter.ask(5, 1), 0);
  assert.equal(waiter.isEager, false);
});

Deno.test("a disk that takes long is not waited for, but for one slow sync among fast ones", async () => {
  const waiter = new Waiter();
  await waiter.becomeEager();
  waiter.syncMs = 0.6;
  assert((await waiter.ask(2)) > 0);
  for (let i = 0; i < 20; i++) await waiter.ask(2);
  assert.equal(waiter.isEager, false);
  for (let i = 0; i < 20; i++) assert.equal(await waiter.ask(2), 0);
  waiter.syncMs = 0.1;
  for (let i = 0; i < 20; i++) await waiter.ask(2);
  assert.equal(waiter.isEager, true);
});

Deno.test("looks in vain end, and become rare, and rarer, until one is of use", async () => {
  const waiter = new Waiter();
  await waiter.becomeEager();
  /** Calls until there is a look, or none, as asked for; each look takes its full time. */
  const callsUntil = async (looks: boolean) => {
    for (let calls = 1;; calls++) {
      if ((await waiter.ask(60)) > 0 === looks) return calls;
      assert(calls < 10_000);
    }
  };
  const tries = await callsUntil(false);
  assert(tries > 5 && tries < 100, `${tries} looks`);
  const rests: number[] = [];
  for (let i = 0; i < 4; i++) {
    rests.push(await callsUntil(true));
    assert.equal(await callsUntil(false), tries - 1);
  }
  rests.forEach((rest, i) => assert(i === 0 || rest > 1.9 * rests[i - 1]!, `${rests}`));
  await callsUntil(true);
  waiter.news = true;
  await waiter.ask(1);
  waiter.news = false;
  while ((await waiter.ask(60)) > 0);
  assert((await callsUntil(true)) <= rests[0]!);
});

Deno.test("nobody looks early on one processor, or if nobody waits", async () => {
  const alone = new Waiter(1);
  for (let i = 0; i < 20; i++) assert.equal(await alone.ask(2), 0);
  assert.equal(alone.isEager, false);
  const idle = new Waiter();
  await idle.becomeEager();
  const { looks } = idle;
  idle.isAwaited = false;
  idle.look.begin();
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(idle.looks, looks);
});
