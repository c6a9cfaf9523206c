import t from 'tap';
import { type MigrationEvent, Outcome, Step } from '../../migrator/events.ts';
import { hostsEdition } from './haproxy-faults.ts';
import { begins, Scene } from './scene.ts';

const MOVES = 10;
const edition = await hostsEdition();
const skip = edition === undefined ? 'there is no lab here' : false;

t.test('two HAProxys, and users come in by both', { skip, timeout: 170_000 }, async (t) => {
  if (edition === undefined) return;
  const scene = await Scene.open({ app: { memoryMib: 16 }, haproxys: [edition, edition] });
  t.teardown(() => scene.close());
  const [, second] = scene.system.haproxys.all;

  await t.test(`the app moves ${MOVES} times`, async (t) => {
    for (let n = 1; n <= MOVES; n += 1) {
      const { outcome, error } = await scene.move();
      t.equal(outcome, Outcome.succeeded, `${n}: ${error?.message ?? 'it moved'}`);
      await scene.load.flowing(10_000);
      await scene.system.direct();
    }
  });

  await t.test('it stays where it is while one of them does not answer', async (t) => {
    const before = await scene.instances();
    const events: MigrationEvent[] = [];
    second?.signal('SIGSTOP');
    const ended = await scene
      .move((event) => void events.push(event))
      .finally(() => second?.signal('SIGCONT'));
    t.match(ended.outcome, /^(refused|rolled-back)$/);
    t.equal(ended.error?.code, 'HAPROXY_SILENT', ended.error?.message ?? 'no error');
    t.notOk(
      events.some((event) => begins(event, Step.freeze)),
      'it was never frozen',
    );
    t.same(await scene.instances(), before, 'the same process runs on');
    t.same(await scene.lasting(), [], 'and nothing is left over');
    await scene.system.direct();
    const { outcome, error } = await scene.move();
    t.equal(outcome, Outcome.succeeded, error?.message ?? 'it moves when both answer again');
  });

  const { total, faults } = await scene.finish([]);
  t.match(
    total,
    { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken' },
    faults.join('\n') || 'all requests were answered, once, in one chain',
  );
  if (!t.passing()) t.comment(scene.system.logs(60));
});
