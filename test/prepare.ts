/** What `npm test` prepares before it runs, so that no test waits for it: the programs, HAProxy and the lab's root file system. */
import { HoldfastError } from '../migrator/errors.ts';
import { build } from './build.mjs';
import { checkMachine, needPrograms } from './lab/machine.ts';
import { ensureRootfs } from './lab/rootfs.ts';

const PREPARE_TIMEOUT_MS = 900_000;

const say = (line: string) => process.stderr.write(`holdfast: ${line}\n`);
build();
try {
  const signal = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
  await checkMachine({ delay: true }, say, signal);
  await needPrograms({ haproxy: 'haproxy' }, say, signal);
  await ensureRootfs(say, signal);
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  say(`${error.message}; ${error.mend}`);
  // Without the lab the other tests still run; where everything must run, they would only fail later.
  if (process.env.CI === 'true') process.exitCode = 1;
  else say('the tests that need the lab are skipped');
}
