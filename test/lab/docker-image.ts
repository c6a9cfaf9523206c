import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../migrator/process.ts';

/** The image of test/workload/app: a base layer with Debian and Node, and a layer of some kilobytes with the app. */
export const APP_IMAGE = 'shop:1';
/** What the image runs. A small young generation, as one sets it for many small processes. */
export const APP_COMMAND = ['/usr/bin/node', '--max-semi-space-size=2', '/srv/server.mjs'];
export const APP_IMAGE_PORT = 8080;

const appDir = fileURLToPath(new URL('../workload/app', import.meta.url));
/** What a host needs and an app does not. */
const HOST_ONLY = [
  './usr/sbin/runc',
  './usr/sbin/criu',
  './usr/sbin/haproxy',
  './var/cache',
  './var/lib/apt',
];
const ANY_TIME = '@1700000000';

/** What the image is made of, for the names of what is kept. */
export async function appImageRecipe(rootfs: string): Promise<unknown> {
  return [path.basename(rootfs), APP_IMAGE, APP_COMMAND, HOST_ONLY, await contentsOf(appDir)];
}

async function contentsOf(dir: string): Promise<string[]> {
  const files = (await readdir(dir)).sort();
  return Promise.all(files.map(async (file) => `${file} ${await readFile(path.join(dir, file), 'utf8')}`));
}

/** Pack the image from the hosts' root file system, in the layout of `docker save`. @returns the archive, in `dir` */
export async function packAppImage(rootfs: string, dir: string, signal: AbortSignal): Promise<string> {
  const tar = (args: readonly string[]) =>
    run('tar', ['--sort=name', '--numeric-owner', ...args], { signal, cwd: dir });
  const inLayer = (file: string) => path.join(dir, file);
  const without = HOST_ONLY.map((one) => `--exclude=${one}`);
  await tar([...without, '--one-file-system', '-cf', inLayer('base.tar'), '-C', rootfs, '.']);
  const plain = ['--owner=0', '--group=0', `--mtime=${ANY_TIME}`, '--transform=s,^\\.,./srv,'];
  await tar([...plain, '-cf', inLayer('app.tar'), '-C', appDir, '.']);
  const layers = ['base.tar', 'app.tar'];
  const diffIds = await Promise.all(layers.map((file) => sha256Of(inLayer(file), signal)));
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: APP_COMMAND,
      WorkingDir: '/srv',
      ExposedPorts: { [`${APP_IMAGE_PORT}/tcp`]: {} },
    },
    rootfs: { type: 'layers', diff_ids: diffIds.map((digest) => `sha256:${digest}`) },
    history: [{ created_by: 'Debian and Node' }, { created_by: 'the app' }],
  };
  const manifest = [{ Config: 'config.json', RepoTags: [APP_IMAGE], Layers: layers }];
  await writeFile(path.join(dir, 'config.json'), JSON.stringify(config));
  await writeFile(path.join(dir, 'manifest.json'), JSON.stringify(manifest));
  await tar(['-cf', inLayer('image.tar'), 'manifest.json', 'config.json', ...layers]);
  return inLayer('image.tar');
}

async function sha256Of(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}
