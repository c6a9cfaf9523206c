import t from 'tap';
import { parseSteadyOptions } from '../../../bench/steady/options.ts';
import { proxies } from '../../../bench/steady/proxies.ts';

const keys = proxies.map(({ key }) => key);

t.test('without options every proxy is measured in eight rounds, for two seconds each time', async (t) => {
  t.same(parseSteadyOptions([]), { proxies: keys, rounds: 20, seconds: 2, connections: 64, json: false });
});

t.test('HAProxy alone comes right before HAProxy under Holdfast, whatever the order asked for', async (t) => {
  t.same(keys.slice(0, 2), ['haproxy', 'haproxy-holdfast']);
  t.match(parseSteadyOptions(['--proxies', 'nginx haproxy-holdfast haproxy']), {
    proxies: ['haproxy', 'haproxy-holdfast', 'nginx'],
  });
});

t.test('the quick run is shorter, and what is asked for still holds', async (t) => {
  t.match(parseSteadyOptions(['--quick']), { proxies: keys, rounds: 2, seconds: 1 });
  t.match(parseSteadyOptions(['--quick', '--rounds', '9', '--json', '--budget-min', '2']), {
    rounds: 9,
    seconds: 1,
    budgetMs: 120_000,
    json: true,
  });
});

t.test('what makes no sense is refused by name', async (t) => {
  for (const args of [
    ['--proxies', 'squid'],
    ['--proxies', ' '],
    ['--rounds', '0'],
    ['--seconds', 'some'],
    ['--connections', '-1'],
    ['--flpi'],
  ]) {
    t.throws(() => parseSteadyOptions(args), { code: 'USAGE' }, args.join(' '));
  }
});
