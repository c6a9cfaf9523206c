/** What `npm test` prepares before it runs, so that no test waits for it: the programs, HAProxy, the lab's root file systems. */
import { HoldfastError } from '../migrator/errors.ts';
import { build } from './build.mjs';
import { DOCKER_PACKAGES } from './lab/docker.ts';
import { ensureAppImage } from './lab/docker-image.ts';
import { checkMachine, needPrograms } from './lab/machine.ts';
import { ensureRootfs } from './lab/rootfs.ts';

const PREPARE_TIMEOUT_MS = 900_000;

const say = (line: string) => process.stderr.write(`holdfast: ${line}\n`);
build();
try {
  const signal = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
  await checkMachine({ delay: true }, say, signal);
  await needPrograms({ haproxy: 'haproxy' }, say, signal);
  await ensureAppImage(say, signal); // From the plain root file system, which comes with it.
  await ensureRootfs(say, signal, DOCKER_PACKAGES);
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  say(`${error.message}; ${error.mend}`);
  // Without the lab the other tests still run; where everything must run, they would only fail later.
  if (process.env.CI === 'true') process.exitCode = 1;
  else say('the tests that need the lab are skipped');
}
