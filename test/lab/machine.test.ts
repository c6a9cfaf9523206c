import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { HoldfastError } from '../../migrator/errors.ts';
import { checkMachine, needPrograms } from './machine.ts';
import { whyNoLab } from './needs-lab.ts';

const signal = AbortSignal.timeout(60_000);
const skip = await whyNoLab();
const check = () => checkMachine({ delay: true }, () => {}, signal);

t.test('a machine that cannot carry a lab is told in one line why', async (t) => {
  t.test('it is no Linux', async (t) => {
    t.intercept(process, 'platform', { value: 'darwin' });
    await t.rejects(check(), { code: 'LAB_NOT_LINUX', message: 'the lab needs Linux, this is darwin' });
  });

  t.test('we are not root', async (t) => {
    t.intercept(process, 'getuid', { value: () => 1000 });
    await t.rejects(check(), { code: 'LAB_NOT_ROOT', message: /needs root/, mend: 'run it as root' });
  });

  t.test('a program is missing and cannot be installed', async (t) => {
    const path = process.env.PATH;
    t.teardown(() => {
      process.env.PATH = path;
    });
    process.env.PATH = '/nowhere'; // No apt-get either.
    await t.rejects(
      needPrograms({ 'no-such-program': 'its-package' }, () => {}, signal),
      {
        code: 'LAB_PACKAGE_MISSING',
        mend: 'install by hand: its-package',
      },
    );
  });

  t.test('the kernel does not let us', { skip }, async (t) => {
    const machine = fileURLToPath(new URL('machine.ts', import.meta.url));
    const script = `
      import { checkMachine } from ${JSON.stringify(machine)};
      await checkMachine({ delay: true }, () => {}, AbortSignal.timeout(60_000))
        .catch((error) => console.log(error.code, error.message));`;
    const args = ['--bounding-set', '-sys_admin', '--', process.execPath, '--import', 'tsx'];
    const { stdout } = spawnSync('setpriv', [...args, '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    t.equal(
      stdout,
      'LAB_KERNEL this machine lacks what the lab needs: namespaces, or the right to make them\n',
    );
  });
});

t.test('in CI a test that needs a lab is not skipped but fails', async (t) => {
  const { CI } = process.env;
  t.teardown(() => {
    if (CI === undefined) delete process.env.CI;
    else process.env.CI = CI;
  });
  t.intercept(process, 'getuid', { value: () => 1000 });
  delete process.env.CI;
  t.match(await whyNoLab(), /needs root/);
  process.env.CI = 'true';
  await t.rejects(whyNoLab(), HoldfastError);
});
