import t from 'tap';
import { HeldRequests } from '../../../gateway/gate/held-requests.ts';
import type { GateLimits } from '../../../gateway/gate/limits.ts';
import { Refusal, Stage, Visit } from '../../../gateway/gate/visit.ts';

class Caller extends Visit {
  readonly replicaMayAnswer = false;
  readonly #bytes: number;

  constructor(bytes = 1) {
    super();
    this.#bytes = bytes;
  }

  pinnedBytes(): number {
    return this.#bytes;
  }
  onHeld(): void {}
  onSend(): void {}
  onRefused(): void {}
  onGoodbye(): void {}
}

const limits: GateLimits = {
  maxHeldRequests: 3,
  maxHeldBytes: 100,
  maxHoldMs: 60_000,
  releaseConcurrency: 1,
  drainTimeoutMs: 1_000,
};

t.test('they wait in order of arrival, wherever one of them leaves', async (t) => {
  const held = new HeldRequests(limits, () => {});
  const callers = [new Caller(), new Caller(), new Caller()] as const;
  for (const caller of callers) t.equal(held.admit(caller), undefined);
  t.ok(callers.every(({ stage }) => stage === Stage.held));
  held.remove(callers[1]);
  t.equal(held.first, callers[0]);
  held.remove(callers[0]);
  t.equal(held.first, callers[2]);
  held.remove(callers[2]);
  t.equal(held.first, undefined);
  t.match(held, { size: 0, bytes: 0 });
});

t.test('beyond a bound the next one may not wait, and those that do stay', async (t) => {
  const held = new HeldRequests(limits, () => {});
  const large = new Caller(90);
  held.admit(large);
  t.equal(held.admit(new Caller(11)), Refusal.tooManyBytesHeld);
  held.admit(new Caller());
  held.admit(new Caller());
  const late = new Caller();
  t.equal(held.admit(late), Refusal.tooManyHeld);
  t.equal(late.stage, Stage.arriving);
  t.match(held, { size: 3, bytes: 92 });
  held.remove(large);
  t.equal(held.admit(late), undefined, 'there is room again');
});

t.test('whoever has waited for too long is told, first those who came first', async (t) => {
  const alive = setInterval(() => {}, 1_000); // The sweep keeps no process.
  const expired: Visit[] = [];
  const callers = [new Caller(), new Caller()];
  await new Promise<void>((resolve) => {
    const held = new HeldRequests({ ...limits, maxHoldMs: 1 }, (visit) => {
      held.remove(visit);
      if (expired.push(visit) === callers.length) resolve();
    });
    for (const caller of callers) held.admit(caller);
  });
  clearInterval(alive);
  t.ok(expired[0] === callers[0] && expired[1] === callers[1]);
});
