import Docker from 'dockerode';
import { pino } from 'pino';
import t from 'tap';
import { Hands } from '../../../../migrator/engine/docker/hands.ts';
import { Leaving } from '../../../../migrator/engine/docker/leaving.ts';
import { VolumeLedger } from '../../../../migrator/engine/docker/settings/settings.ts';
import { SharedStorage } from '../../../../migrator/engine/docker/storage.ts';

t.test('what leaves is the container that the move began with, and no other of its name', async (t) => {
  const dir = t.testdir();
  const hands = new Hands(`${dir}/in-hand`);
  const leaving = new Leaving({
    docker: new Docker({ socketPath: `${dir}/none` }),
    hands,
    ledger: new VolumeLedger(`${dir}/volumes.json`),
    log: pino({ enabled: false }),
    dockerName: (name) => name,
    processes: async () => [],
    descriptors: async () => [],
    storage: () => ({}),
    sharedStorage: new SharedStorage(),
  });
  await leaving.confirm('shop', { id: 'first' });
  t.pass('nothing is known of one whose move brought nothing along');
  await hands.set('shop', {
    role: 'leaving',
    id: 'first',
    restartPolicy: { Name: 'always', MaximumRetryCount: 0 },
  });
  await leaving.confirm('shop', { id: 'first' });
  await t.rejects(leaving.confirm('shop', { id: 'second' }), { code: 'CONTAINER_REMADE' });
});
