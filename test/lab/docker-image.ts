import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../migrator/process.ts';

/** An image that labs have: a base layer with Debian, and a layer of some kilobytes with the app. */
export interface LabImage {
  readonly name: string;
  /** Debian packages beyond those of every host. */
  readonly packages: readonly string[];
  /** What it runs when nothing else is said. */
  readonly command: readonly string[];
  /** Directories of this repository that it has, and where. */
  readonly files: Readonly<Record<string, string>>;
}

/** The image of test/workload/app. */
export const APP_IMAGE = 'shop:1';
/** What the image runs. A small young generation, as one sets it for many small processes. */
export const APP_COMMAND = ['/usr/bin/node', '--max-semi-space-size=2', '/srv/server.mjs'];
export const APP_IMAGE_PORT = 8080;

export const SHOP: LabImage = {
  name: APP_IMAGE,
  packages: [],
  command: APP_COMMAND,
  files: { 'test/workload/app': 'srv' },
};

/** What applications are really made of, and a program for each in test/workload/real. */
export const REAL_APPS: LabImage = {
  name: 'real-apps:1',
  packages: ['nginx-light', 'gunicorn', 'python3-redis', 'redis-server'],
  command: ['/bin/sh'],
  files: { 'test/workload/real': 'srv', 'node_modules/ws': 'srv/node_modules/ws' },
};

const repoDir = fileURLToPath(new URL('../..', import.meta.url));
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
export async function imageRecipe(image: LabImage, rootfs: string): Promise<unknown> {
  const contents = await Promise.all(Object.keys(image.files).map(contentsOf));
  return [path.basename(rootfs), image.name, image.command, HOST_ONLY, contents.flat()];
}

async function contentsOf(dir: string): Promise<string[]> {
  const top = path.join(repoDir, dir);
  const entries = await readdir(top, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(top, path.join(entry.parentPath, entry.name)))
    .sort();
  return Promise.all(files.map(async (file) => `${file} ${await readFile(path.join(top, file), 'utf8')}`));
}

/** Pack the image from a root file system, in the layout of `docker save`. @returns the archive, in `dir` */
export async function packImage(
  image: LabImage,
  rootfs: string,
  dir: string,
  signal: AbortSignal,
): Promise<string> {
  const tar = (args: readonly string[]) =>
    run('tar', ['--sort=name', '--numeric-owner', ...args], { signal, cwd: dir });
  const inLayer = (file: string) => path.join(dir, file);
  const without = HOST_ONLY.map((one) => `--exclude=${one}`);
  await tar([...without, '--one-file-system', '-cf', inLayer('base.tar'), '-C', rootfs, '.']);
  const plain = ['--owner=0', '--group=0', `--mtime=${ANY_TIME}`];
  for (const [nth, [from, at]] of Object.entries(image.files).entries()) {
    const mode = nth === 0 ? '-cf' : '-rf';
    const into = `--transform=s,^\\.,./${at},`;
    await tar([...plain, into, mode, inLayer('app.tar'), '-C', path.join(repoDir, from), '.']);
  }
  const layers = ['base.tar', 'app.tar'];
  const diffIds = await Promise.all(layers.map((file) => sha256Of(inLayer(file), signal)));
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: image.command,
      WorkingDir: '/srv',
      ExposedPorts: { [`${APP_IMAGE_PORT}/tcp`]: {} },
    },
    rootfs: { type: 'layers', diff_ids: diffIds.map((digest) => `sha256:${digest}`) },
    history: [{ created_by: 'Debian' }, { created_by: 'the app' }],
  };
  const manifest = [{ Config: 'config.json', RepoTags: [image.name], Layers: layers }];
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
