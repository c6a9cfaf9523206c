import { readFile } from 'node:fs/promises';

/** Where the processes of a container have a tmpfs of their own, rather than a part of one of the host's. */
export async function ownTmpfs(initPid: number): Promise<string[]> {
  const mounts = await readFile(`/proc/${initPid}/mountinfo`, 'utf8').catch(() => '');
  return mounts.split('\n').flatMap((line) => {
    const [, , , root, point = ''] = line.split(' ');
    return root === '/' && / - tmpfs /.test(line) ? [point] : [];
  });
}
