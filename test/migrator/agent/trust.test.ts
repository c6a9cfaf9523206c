import path from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { Role } from '../../../migrator/pki/role.ts';
import type { TlsMaterial } from '../../../migrator/pki/tls-files.ts';
import { APP, makePki, migrateUpTo, soon, twoHosts } from './two-hosts.ts';

/** Everything the agent says to a request sent with these certificates, until it closes the connection. */
function answerTo(
  url: string,
  tls: Partial<TlsMaterial>,
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      ...tls,
      maxVersion,
      rejectUnauthorized: false,
    });
    let answer = '';
    socket.on('secureConnect', () => socket.write('GET /v1/info HTTP/1.1\r\nhost: a\r\n\r\n'));
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

t.test('without a certificate of the authority’s there is no answer', async (t) => {
  const { a } = await twoHosts(t);
  const foreign = await (await makePki(path.join(t.testdirName, 'foreign')))('gateway', Role.gateway);
  t.equal(await answerTo(a.agent.url, {}, 'TLSv1.3'), '', 'with none');
  t.equal(await answerTo(a.agent.url, foreign, 'TLSv1.3'), '', 'with another authority’s');
});

t.test('older TLS is refused', async (t) => {
  const { a, issue } = await twoHosts(t);
  const good = await issue('good', Role.gateway);
  t.equal(await answerTo(a.agent.url, good, 'TLSv1.2'), '');
});

t.test('an agent may send images, and nothing else', async (t) => {
  const hosts = await twoHosts(t);
  const { a, issue } = hosts;
  await migrateUpTo('connect', hosts);
  const asAgent = a.clientWith(await issue('other-agent', Role.agent));
  t.teardown(() => asAgent.close());
  const calls: (() => Promise<unknown>)[] = [
    () => asAgent.info(soon()),
    () => asAgent.containers(soon()),
    () => asAgent.remove(APP, soon()),
    () => asAgent.freeze('m1', soon()),
    () => asAgent.commit('m1', soon()),
    () => asAgent.discard('m1', soon()),
  ];
  for (const call of calls) {
    await t.rejects(call(), { code: 'FORBIDDEN' });
  }
  t.equal(a.engine.states.get(APP), 'running');
});

t.test('an agent that cannot prove its address is not talked to', async (t) => {
  const { a, issue } = await twoHosts(t);
  const { port } = new URL(a.agent.url);
  const { AgentClient } = await import('../../../migrator/agent/client.ts');
  const tls = await issue('asker', Role.gateway);
  const client = new AgentClient({ host: 'a', url: `https://localhost:${port}`, tls });
  t.teardown(() => client.close());
  await t.rejects(client.info(soon()), { code: 'AGENT_UNTRUSTED' });
});

t.test('an agent that is not there, or does not answer in time, is told apart from a refusal', async (t) => {
  const hosts = await twoHosts(t);
  const { a } = hosts;
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  a.engine.before.set('examine', () => answered);
  await t.rejects(a.agent.examine('m1', APP, AbortSignal.timeout(100)), {
    code: 'DEADLINE',
    retryable: true,
  });
  answer();
  const { agent } = hosts.b;
  const late = hosts.b.clientWith(await hosts.issue('late', Role.gateway));
  t.teardown(() => late.close());
  await hosts.b.stop();
  await t.rejects(late.info(soon()), { code: 'AGENT_UNREACHABLE', retryable: true });
  await t.rejects(a.agent.connect('m2', { container: APP, to: agent.url }, soon()), { code: 'LINK_BROKEN' });
});

t.test('ids that are no file names are refused', async (t) => {
  const { a } = await twoHosts(t);
  for (const id of ['..', '../../x', 'a/b', 'x'.repeat(65)]) {
    await t.rejects(
      a.agent.thaw(id, soon()),
      { name: 'HoldfastError', code: /REQUEST_INVALID|CALL_UNKNOWN/ },
      id,
    );
  }
});
