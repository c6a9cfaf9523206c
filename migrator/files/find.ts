import { spawn } from 'node:child_process';
import { HoldfastError } from '../errors.ts';
import { endedEarly, walkFailed } from './errors.ts';

/** More than this of a tree's names is not kept: some two million of them. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * What find(1) prints of a tree, one record for each NUL, in latin1: a byte is a character, whatever the names are. Never
 * onto another file system. What vanishes while it looks is left out.
 *
 * @param dir where it looks; the records have paths relative to it, the directory's own is empty
 * @throws HoldfastError `FILES_UNREADABLE`, `PROGRAM_MISSING`, `DEADLINE`
 */
export async function find(
  dir: string,
  expression: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  if (signal.aborted) throw endedEarly(signal);
  const child = spawn('find', ['.', '-xdev', ...expression], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let said = '';
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      if (said.length < 4096) said += text;
    });
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > MOST_BYTES) kill();
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (signal.aborted) throw endedEarly(signal);
    if (sizeBytes > MOST_BYTES) throw walkFailed(dir, 'there are too many');
    const lines = said
      .split('\n')
      .filter((line) => line !== '' && !/: No such file or directory$/.test(line));
    if (code === null || lines.length > 0) throw walkFailed(dir, lines.slice(0, 3).join('; '));
    const records = Buffer.concat(chunks).toString('latin1').split('\0');
    records.pop();
    return records;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new HoldfastError('PROGRAM_MISSING', `find is not installed, or ${dir} is gone`, {
      mend: 'install findutils, and see that the directory is there',
      cause,
    });
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
