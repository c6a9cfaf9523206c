import t from 'tap';
import { editions } from '../haproxy/haproxy.ts';
import { moveBehindHaproxy } from './haproxy-moves.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;

t.test(
  'behind the HAProxy of this machine an app moves under load, and nobody notices',
  { skip, timeout: 170_000 },
  async (t) => {
    const edition = found[0];
    if (typeof edition === 'object') await moveBehindHaproxy(t, edition);
  },
);
