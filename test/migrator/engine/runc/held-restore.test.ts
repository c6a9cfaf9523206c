import { cpSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DumpMemory } from '../../../../migrator/engine/engine.ts';
import { assertNothingLeft, inLab } from './fixtures/in-lab.ts';
import { app } from './fixtures/lab-engine.ts';

/** Settles when no runc of a restore is there any more. */
const UNTIL_ENDED = 'until ! pgrep -f "^runc .* restore " >/dev/null; do sleep 0.01; done';

/** A root file system that can be written to, on the host. */
const WRITABLE = '/var/tmp/writable';
const writable = app({ rootfs: WRITABLE, mounts: [] });

await inLab({ app: app(), writable }, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;
  await a.call('start', 'app');
  const source = await a.workspace('ahead');
  await a.call('freeze', 'app');
  await a.call('dump', 'app', source, DumpMemory.inImages);
  await a.call('thaw', 'app');

  await t.test('a restore is begun ahead, and is the one that brings the container back', async (t) => {
    const target = await b.workspace('ahead');
    await b.call('prepare', 'app', target);
    const ahead = await b.sh('pgrep -f "^runc .* restore "');
    t.match(ahead, /^\d+$/, 'runc waits');
    t.equal((await b.call('status', 'app')).state, 'stopped', 'nothing runs');
    cpSync(join(a.host.rootDir, source.imagesDir), join(b.host.rootDir, target.imagesDir), {
      recursive: true,
    });
    await b.call('restore', 'app', target, DumpMemory.inImages);
    await b.call('healthy', 'app');
    t.equal(await b.sh(`[ -e /proc/${ahead} ] || echo ended`), 'ended', 'it has done its work');
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
  });

  await t.test('one that was called off leaves nothing', async (t) => {
    const target = await b.workspace('called-off');
    await b.call('prepare', 'app', target);
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
  });

  await t.test('one that came to nothing is begun again when it is its turn', async (t) => {
    const target = await b.workspace('again');
    await b.call('prepare', 'app', target);
    await b.sh(`pkill -9 -f "^runc .* restore "; ${UNTIL_ENDED}`);
    cpSync(join(a.host.rootDir, source.imagesDir), join(b.host.rootDir, target.imagesDir), {
      recursive: true,
    });
    await b.call('restore', 'app', target, DumpMemory.inImages);
    await b.call('healthy', 'app');
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
  });

  await t.test('one that was killed takes nothing of the root file system with it', async (t) => {
    await b.sh(`mkdir -p ${WRITABLE}; touch ${WRITABLE}/kept`);
    await b.call('prepare', 'writable', await b.workspace('killed'));
    await b.sh(`pkill -9 -f "^runc .* restore "; ${UNTIL_ENDED}`);
    await b.call('remove', 'writable');
    t.match(await b.sh(`ls ${WRITABLE}`), 'kept');
    await assertNothingLeft(t, b, 'writable');
  });

  await t.test('it ends with the agent that began it', async (t) => {
    const target = await b.workspace('orphan');
    await b.call('prepare', 'app', target);
    const next = await b.succeed();
    try {
      await next.sh(UNTIL_ENDED);
      await next.call('remove', 'app');
      await assertNothingLeft(t, next, 'app');
    } finally {
      await next.kill();
    }
  });

  await a.call('remove', 'app');
});
