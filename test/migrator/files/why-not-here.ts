import { spawnSync } from 'node:child_process';

const PROGRAMS = ['rsync', 'inotifywait', 'setfattr', 'getfattr', 'setfacl', 'python3'];

/**
 * For tests that copy whatever a tree can have: why this machine cannot run them, or `false`. With CI=true, where somebody
 * counts on these tests, it throws instead.
 */
export function whyNotHere(): string | false {
  const lacking = PROGRAMS.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  const why =
    process.getuid?.() !== 0
      ? 'devices and owners need root'
      : lacking.length > 0 && `no ${lacking.join(', ')}`;
  if (why !== false && process.env.CI === 'true') throw new Error(why);
  return why;
}
