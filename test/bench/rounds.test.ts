import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Budget } from '../../bench/budget.ts';
import { inRounds } from '../../bench/rounds.ts';

const never = new AbortController().signal;
const HOUR_MS = 3_600_000;

t.test('tasks are carried out in turn, round after round', async (t) => {
  const done: string[] = [];
  const leftOut = await inRounds({
    tasks: ['a', 'b'],
    rounds: 2,
    signal: never,
    guessMs: () => HOUR_MS,
    async run(task, round) {
      done.push(`${task}${round}`);
    },
    failed: () => void t.fail('nothing failed'),
  });
  t.same(done, ['a1', 'b1', 'a2', 'b2']);
  t.equal(leftOut, 0);
});

t.test('one that fails is told, and the others go on', async (t) => {
  const done: string[] = [];
  const failures: string[] = [];
  await inRounds({
    tasks: ['a', 'b'],
    rounds: 1,
    signal: never,
    guessMs: () => 0,
    async run(task) {
      if (task === 'a') throw new Error('broken');
      done.push(task);
    },
    failed: (task, round, error) => void failures.push(`${task}${round}: ${(error as Error).message}`),
  });
  t.same([failures, done], [['a1: broken'], ['b']]);
});

t.test('what the budget has no room for is left out, and what is short goes on', async (t) => {
  const done: string[] = [];
  const leftOut = await inRounds({
    tasks: ['long', 'short'],
    rounds: 2,
    budget: new Budget(HOUR_MS / 2, 0),
    signal: never,
    guessMs: (task) => (task === 'long' ? HOUR_MS : 0),
    async run(task) {
      done.push(task);
    },
    failed: () => void t.fail('nothing failed'),
  });
  t.same(done, ['short', 'short']);
  t.equal(leftOut, 2);
});

t.test('what does not end within the budget is given up', async (t) => {
  const leftOut = await inRounds({
    tasks: ['endless'],
    rounds: 3,
    budget: new Budget(50, 0),
    signal: never,
    guessMs: () => 0,
    run: (_task, _round, signal) => delay(HOUR_MS, undefined, { signal }),
    failed: () => void t.fail('it did not fail: there was no time for it'),
  });
  t.equal(leftOut, 3);
});

t.test('whoever interrupts it is not taken for a failure', async (t) => {
  const interrupt = new AbortController();
  const running = inRounds({
    tasks: ['a', 'b'],
    rounds: 1,
    signal: interrupt.signal,
    guessMs: () => 0,
    run: (_task, _round, signal) => {
      interrupt.abort(new Error('Ctrl-C'));
      return delay(HOUR_MS, undefined, { signal });
    },
    failed: () => void t.fail('nothing failed'),
  });
  await t.rejects(running, /Ctrl-C/);
});
