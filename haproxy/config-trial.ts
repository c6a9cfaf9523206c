import { HoldfastError } from '../migrator/errors.ts';
import { run } from '../migrator/process.ts';

/** What HAProxy itself says of a configuration. */
export interface ConfigTrial {
  readonly isAccepted: boolean;
  /** Its alerts and warnings, in its own words. */
  readonly said: readonly string[];
}

const TRIAL_TIMEOUT_MS = 20_000;
/** Where it is not in everybody's path. */
const MORE_PATH = '/usr/sbin:/usr/local/sbin';

/**
 * Have HAProxy read a configuration (`haproxy -c`): it opens nothing and changes nothing.
 *
 * @returns undefined where HAProxy is not installed
 * @throws HoldfastError `DEADLINE`
 */
export async function tryHaproxyConfig(file: string): Promise<ConfigTrial | undefined> {
  try {
    const { code, stdout, stderr } = await run('haproxy', ['-c', '-f', file], {
      signal: AbortSignal.timeout(TRIAL_TIMEOUT_MS),
      env: { ...process.env, PATH: `${process.env.PATH ?? ''}:${MORE_PATH}` },
      okCodes: [0, 1],
    });
    const said = `${stdout}\n${stderr}`.split('\n').filter((line) => /^\[(ALERT|WARNING)\]/.test(line));
    return { isAccepted: code === 0, said: said.map((line) => line.replace(/\s+\(\d+\) : /, ' ')) };
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'PROGRAM_MISSING') return undefined;
    throw error;
  }
}
