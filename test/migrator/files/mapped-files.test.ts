import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mappedBelow, mappedBy } from '../../../migrator/files/mapped-files.ts';
import { whyNotHere } from './why-not-here.ts';

const MAPS = `
import mmap, sys
shared = open(sys.argv[1] + '/deep/shared', 'r+b')
own = open(sys.argv[1] + '/own', 'r+b')
maps = [mmap.mmap(shared.fileno(), 0), mmap.mmap(own.fileno(), 0, flags=mmap.MAP_PRIVATE)]
print('mapped', flush=True)
sys.stdin.read()
`;
const skip = whyNotHere();

t.test(
  'files that a process has mapped shared and writable are found below the directory',
  { skip },
  async (t) => {
    const dir = t.testdir();
    mkdirSync(join(dir, 'deep'));
    for (const name of ['deep/shared', 'own']) writeFileSync(join(dir, name), 'x');
    const child = spawn('python3', ['-c', MAPS, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const mapped = await mappedBy([child.pid ?? 0]);
    t.same([...mappedBelow(dir, dir, mapped)], ['deep/shared']);
    t.same([...mappedBelow(join(dir, 'deep'), `${dir}/deep/`, mapped)], ['shared']);
    t.same([...mappedBelow(dir, '/elsewhere', mapped)], []);
  },
);
