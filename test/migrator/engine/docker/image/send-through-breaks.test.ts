import { randomBytes } from 'node:crypto';
import path from 'node:path';
import t from 'tap';
import { receiveImage } from '../../../../../migrator/engine/docker/image/receive-image.ts';
import { sendThroughBreaks } from '../../../../../migrator/engine/docker/image/send-through-breaks.ts';
import { ImageSpool } from '../../../../../migrator/engine/docker/image/spool.ts';
import { HoldfastError } from '../../../../../migrator/errors.ts';
import { linkBroken } from '../../../../../migrator/transfer/errors.ts';
import { MadeUpEngine } from './made-up-engine.ts';
import { connection } from './two-ends.ts';

const MIB = 1024 ** 2;
const soon = () => AbortSignal.timeout(30_000);

t.test('an image goes on over another stream when one breaks', async (t) => {
  const [here, there] = await Promise.all([MadeUpEngine.start(t), MadeUpEngine.start(t)]);
  const spool = new ImageSpool(path.join(t.testdir({}), 'spool'));
  const image = here.build([randomBytes(8 * MIB)], 'shop:1');
  let opened = 0;
  const sent = await sendThroughBreaks(
    here.docker,
    image.id,
    async () => {
      opened++;
      if (opened === 2) throw linkBroken('b', 'not up yet');
      const [near, far] = await connection();
      if (opened === 1) {
        const breaks = setInterval(() => {
          if (far.bytesRead > 5 * MIB) far.destroy();
        }, 1);
        far.once('close', () => clearInterval(breaks));
      }
      receiveImage(there.docker, spool, far, soon()).catch(() => {}); // The source hears of it.
      return near;
    },
    soon(),
  );
  t.ok(there.has(image));
  t.equal(opened, 3);
  t.ok(sent.bytesSent < 5 * MIB, `${sent.bytesSent} bytes on the last stream`);
});

t.test('what is no break of the link is told at once', async (t) => {
  const here = await MadeUpEngine.start(t);
  const refused = new HoldfastError('MIGRATION_PHASE', 'not now');
  const open = async () => {
    throw refused;
  };
  await t.rejects(sendThroughBreaks(here.docker, `sha256:${'0'.repeat(64)}`, open, soon()), refused);
});
