import { X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { initAuthority, issueCertificate } from '../../../migrator/pki/directory.ts';
import { Role } from '../../../migrator/pki/role.ts';

const init = { days: 30, force: false };

t.test('an authority signs a certificate that names its hosts and its role', async (t) => {
  const dir = t.testdir();
  const authority = await initAuthority({ dir, ...init });
  const issued = await issueCertificate({
    dir,
    name: 'host-a',
    role: Role.agent,
    san: ['10.0.0.1', '::1', 'a.example.org'],
    days: 900,
    force: false,
  });
  const ca = new X509Certificate(await readFile(authority.certificateFile));
  const leaf = new X509Certificate(await readFile(issued.certificateFile));
  t.ok(ca.ca);
  t.notOk(leaf.ca);
  t.ok(leaf.verify(ca.publicKey));
  t.ok(leaf.checkIssued(ca));
  t.equal(leaf.checkIP('10.0.0.1'), '10.0.0.1');
  t.equal(leaf.checkHost('a.example.org'), 'a.example.org');
  t.equal(leaf.checkHost('b.example.org'), undefined);
  t.match(leaf.subject, /OU=agent/);
  t.same(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'], 'good as server and as client');
  t.equal(leaf.serialNumber.length, 32);
  t.not(leaf.serialNumber, ca.serialNumber);
  t.ok(Date.parse(leaf.validTo) <= Date.parse(ca.validTo), 'it does not outlive its authority');
});

t.test('keys are for their owner only, also where a looser file lay before', async (t) => {
  const dir = t.testdir({ 'ca.key': 'old' });
  const authority = await initAuthority({ dir, days: 30, force: true });
  t.equal((await stat(authority.keyFile)).mode & 0o777, 0o600);
  t.not(await readFile(authority.keyFile, 'utf8'), 'old');
});

t.test('nothing is overwritten unasked', async (t) => {
  const dir = t.testdir();
  await initAuthority({ dir, ...init });
  await t.rejects(initAuthority({ dir, ...init }), { code: 'PKI_EXISTS' });
  const leaf = { dir, name: 'gate', role: Role.gateway, san: ['localhost'], days: 30 };
  const { keyFile } = await issueCertificate({ ...leaf, force: false });
  const before = await readFile(keyFile, 'utf8');
  await t.rejects(issueCertificate({ ...leaf, force: false }), { code: 'PKI_EXISTS' });
  t.equal(await readFile(keyFile, 'utf8'), before);
  await issueCertificate({ ...leaf, force: true });
  t.not(await readFile(keyFile, 'utf8'), before);
});

t.test('without an authority nothing is issued', async (t) => {
  const dir = t.testdir();
  const leaf = { dir, name: 'a', role: Role.agent, san: ['127.0.0.1'], days: 1, force: false };
  await t.rejects(issueCertificate(leaf), { code: 'PKI_MISSING' });
  await writeFile(path.join(dir, 'ca.crt'), 'half an authority');
  await t.rejects(issueCertificate(leaf), { code: 'PKI_MISSING' });
});

t.test('names that leave the directory or replace the authority are refused', async (t) => {
  const dir = t.testdir();
  await initAuthority({ dir, ...init });
  const rest = { dir, role: Role.agent, san: ['127.0.0.1'], days: 1, force: true };
  for (const name of ['../a', 'a/b', 'ca', 'CA', '', '.a', 'a b', 'x'.repeat(65)]) {
    await t.rejects(issueCertificate({ ...rest, name }), { code: 'PKI_NAME_INVALID' }, name);
  }
});

t.test('what is neither an address nor a host name is refused', async (t) => {
  const dir = t.testdir();
  await initAuthority({ dir, ...init });
  for (const san of ['10.0.0', '10.0.0.1:7443', 'https://a', 'a b', '-a', '300.1.1.1']) {
    const leaf = { dir, name: 'a', role: Role.agent, san: [san], days: 1, force: false };
    await t.rejects(issueCertificate(leaf), { code: 'PKI_SAN_INVALID' }, san);
  }
});
