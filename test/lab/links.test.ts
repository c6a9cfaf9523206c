import { once } from 'node:events';
import t from 'tap';
import { createLab, type LabHost, parseLink } from './lab.ts';
import { whyNoLab } from './needs-lab.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(170_000);
const MIB = 1 << 20;
/** For an answer that must come, and for one that must not. */
const ANSWER_S = 10;
const SILENCE_S = 0.5;

t.test('the links of a lab', { skip }, async (t) => {
  const lab = await createLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.host('a'), lab.host('b')];

  /** Seconds that so many bytes take from a to b, in one TCP connection. */
  async function transferS(sizeBytes: number): Promise<number> {
    const listen = ['-u', '-dd', 'TCP-LISTEN:5000,reuseaddr', 'OPEN:/dev/null'];
    const server = b.spawn('socat', listen, { stdio: ['ignore', 'ignore', 'pipe'] });
    if (server.stderr === null) throw new Error('no stderr');
    for await (const chunk of server.stderr.iterator({ destroyOnReturn: false })) {
      if (String(chunk).includes('listening')) break;
    }
    server.stderr.resume();
    const startedMs = performance.now();
    const ended = once(server, 'exit', { signal });
    await a.exec('sh', ['-ec', `head -c ${sizeBytes} /dev/zero | socat -u - TCP:${b.address}:5000`], {
      signal,
    });
    await ended;
    return (performance.now() - startedMs) / 1000;
  }

  async function fastestPingMs(from: LabHost, address: string): Promise<number> {
    const { stdout } = await from.exec('ping', ['-n', '-q', '-c', '5', '-i', '0.02', '-W', '5', address], {
      signal,
    });
    return Number(/= ([\d.]+)\//.exec(stdout)?.[1]);
  }

  async function answers(from: LabHost, address: string, withinS: number): Promise<boolean> {
    const ping = ['-c', '1', '-W', String(withinS), address];
    const { code } = await from.exec('ping', ping, { signal, okCodes: [0, 1] });
    return code === 0;
  }

  t.test('a bandwidth holds back a transfer', async (t) => {
    const freeS = await transferS(8 * MIB);
    await lab.setLink(parseLink('20mbit'));
    const limitedS = await transferS(8 * MIB);
    t.ok(limitedS > 2.5, `8 MiB over 20 Mbit/s take over 3 s, less the first burst: ${limitedS}`);
    t.ok(limitedS > 3 * freeS, `and without a limit far less: ${freeS}`);
    await lab.setLink({});
  });

  t.test('a delay is added to what leaves a host', async (t) => {
    await lab.setLink(parseLink('20ms'));
    t.ok((await fastestPingMs(a, b.address)) >= 40, 'once there, once back');
    const toMachineMs = await fastestPingMs(a, lab.gatewayAddress);
    t.ok(toMachineMs >= 20 && toMachineMs < 40, `the machine itself adds none: ${toMachineMs}`);
    await lab.setLink({}, 'a');
    const halfMs = await fastestPingMs(a, b.address);
    t.ok(halfMs >= 20 && halfMs < 40, `a host can have a link of its own: ${halfMs}`);
    await lab.setLink({});
    t.ok((await fastestPingMs(a, b.address)) < 20);
  });

  t.test('bandwidth and delay work together, also on large transfers', async (t) => {
    await lab.setLink(parseLink('100mbit,5ms'));
    t.ok((await fastestPingMs(a, b.address)) >= 10);
    t.ok((await transferS(8 * MIB)) > 0.5);
    await lab.setLink({});
  });

  t.test('a connection lives through a change of the link', async (t) => {
    const listen = ['TCP-LISTEN:5001,reuseaddr', 'EXEC:cat'];
    const server = b.spawn('socat', listen, { stdio: 'ignore' });
    t.teardown(() => server.kill('SIGKILL'));
    const client = a.spawn('socat', ['-', `TCP:${b.address}:5001,retry=50,interval=0.1`]);
    t.teardown(() => client.kill('SIGKILL'));
    const echo = async (text: string) => {
      client.stdin?.write(text);
      if (client.stdout === null) throw new Error('no stdout');
      const [chunk] = await once(client.stdout, 'data', { signal });
      return String(chunk);
    };
    t.equal(await echo('before'), 'before');
    for (const link of ['10ms', '1gbit,1ms', 'unlimited']) {
      await lab.setLink(parseLink(link));
      t.equal(await echo(link), link);
    }
  });

  for (const link of ['unlimited', '2ms']) {
    t.test(`a cable that is cut lets nothing through until it is mended (${link})`, async (t) => {
      await lab.setLink(parseLink(link));
      await lab.cutLink('b');
      const cut = [answers(a, b.address, SILENCE_S), answers(b, lab.gatewayAddress, SILENCE_S)];
      t.same(await Promise.all(cut), [false, false]);
      t.ok(await answers(a, lab.gatewayAddress, ANSWER_S), 'the other cable is whole');
      await lab.setLink(parseLink('1gbit'), 'b');
      t.notOk(await answers(a, b.address, SILENCE_S), 'another link does not mend it');
      await lab.mendLink('b');
      t.ok(await answers(a, b.address, ANSWER_S));
    });
  }

  t.test('a host that is not there has no link', async (t) => {
    await t.rejects(lab.setLink({}, 'z'), { code: 'LAB_NO_HOST', mend: /a, b/ });
  });
});
