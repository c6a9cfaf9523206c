import t from 'tap';
import { Effort, Pace, threadsFor } from '../../../migrator/memory/pace.ts';
import type { Pressure } from '../../../migrator/memory/pressure.ts';
import { PressureGauge } from '../../../migrator/memory/pressure.ts';

const MIB = 1 << 20;
const idle: Pressure = { cpu: 0, memory: 0 };
const busy: Pressure = { cpu: 0.2, memory: 0 };
const crowded: Pressure = { cpu: 0.6, memory: 0 };

/** A pace that looks at the pressure each time it is asked to. */
function paceUnder(most: number) {
  let now = 0;
  let pressure: Pressure | undefined;
  const pace = new Pace({ most, pressure: async () => pressure, now: () => now });
  const under = async (next: Pressure | undefined, times = 1) => {
    pressure = next;
    for (let time = 0; time < times; time++) {
      now += 1000;
      await pace.adapt();
    }
    return pace.threads;
  };
  return { pace, under };
}

t.test('threads are as many as cores, limit and memory allow, and one at least', (t) => {
  t.equal(threadsFor(4, 64 * 1024 * MIB), 4);
  t.equal(threadsFor(4, 300 * MIB), 2);
  t.equal(threadsFor(4, 0), 1);
  t.ok(threadsFor() >= 1);
  t.end();
});

t.test('an idle host gives one thread more each time, up to all', async (t) => {
  const { under } = paceUnder(4);
  t.equal(await under(busy), 2, 'half of them to begin with, while there is nothing to say');
  t.equal(await under(idle), 3);
  t.equal(await under(idle, 5), 4);
});

t.test('where tasks wait it falls back by halves, to one thread of low priority', async (t) => {
  const { pace, under } = paceUnder(8);
  t.equal(await under(idle, 10), 8);
  t.equal(await under(crowded), 4);
  t.equal(await under({ cpu: 0, memory: 0.5 }), 2, 'for memory too');
  t.equal(await under(crowded, 10), 1);
  t.ok(pace.nice > 0);
  t.equal(await under(idle), 2, 'and comes back');
});

t.test('a frozen app has all of them, whatever else there is', async (t) => {
  const { pace, under } = paceUnder(4);
  await under(crowded, 10);
  t.ok(pace.nice > 0);
  pace.effort = Effort.behind;
  t.equal(await under(crowded), 4);
  t.equal(pace.nice, 0, 'behind CRIU, which has the precedence of the agent');
  pace.effort = Effort.full;
  t.equal(await under(crowded), 4);
  t.ok(pace.nice < 0);
});

t.test('a host that does not tell its pressure has half of them at work', async (t) => {
  t.equal(await paceUnder(4).under(undefined, 5), 2);
  t.equal(await paceUnder(1).under(undefined, 5), 1);
});

t.test('pressure is told as a share of the time since it was last asked', async (t) => {
  const gauge = new PressureGauge();
  t.equal(await gauge.read(), undefined, 'nothing to compare with yet');
  const pressure = await gauge.read();
  if (pressure === undefined) return t.comment('this kernel does not tell');
  t.ok(pressure.cpu >= 0 && pressure.memory >= 0);
});
