/** What `npm test` prepares before it runs, so that no test waits for it: the programs, HAProxy, the lab's root file systems and images. */
import { HoldfastError } from '../migrator/errors.ts';
import { build } from './build.mjs';
import { ensureImages } from './lab/docker.ts';
import { REAL_APPS, SHOP } from './lab/docker-image.ts';
import { checkMachine, needPrograms } from './lab/machine.ts';

const PREPARE_TIMEOUT_MS = 900_000;

/** For trees of files: rsync and inotifywait are the product's own needs, the others make what is to be kept. */
const FILE_PROGRAMS = {
  rsync: 'rsync',
  inotifywait: 'inotify-tools',
  setfattr: 'attr',
  setfacl: 'acl',
  python3: 'python3',
};

const say = (line: string) => process.stderr.write(`holdfast: ${line}\n`);
build();
try {
  const signal = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
  await checkMachine({ delay: true }, say, signal);
  await needPrograms({ haproxy: 'haproxy', ...FILE_PROGRAMS }, say, signal);
  // And the root file systems with them.
  for (const image of [SHOP, REAL_APPS]) await ensureImages(image, { log: say, signal });
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  say(`${error.message}; ${error.mend}`);
  // Without the lab the other tests still run; where everything must run, they would only fail later.
  if (process.env.CI === 'true') process.exitCode = 1;
  else say('the tests that need the lab are skipped');
}
