import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../migrator/process.ts';
import { withLock } from './lock.ts';
import { cacheDir } from './names.ts';
import { ensureRootfs } from './rootfs.ts';

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

/**
 * The archive that `docker load` makes the app's image from, as no image can be pulled into a lab. Made on first use from
 * the hosts' root file system, then shared by all runs.
 */
export async function ensureAppImage(log: (line: string) => void, signal: AbortSignal): Promise<string> {
  const rootfs = await ensureRootfs(log, signal);
  const imagesDir = path.join(cacheDir(), 'images');
  const recipe = [path.basename(rootfs), APP_IMAGE, APP_COMMAND, HOST_ONLY, await contentsOf(appDir)];
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16);
  const archive = path.join(imagesDir, `${key}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(imagesDir, { recursive: true });
  await withLock(path.join(imagesDir, 'lock'), signal, async () => {
    if (existsSync(archive)) return;
    // Whoever holds the lock has the directory to himself: what else is there is from apps and systems of the past.
    for (const entry of await readdir(imagesDir)) {
      if (entry !== 'lock') await rm(path.join(imagesDir, entry), { recursive: true, force: true });
    }
    log("lab: packing the app's image; once");
    const dir = await mkdtemp(path.join(imagesDir, 'part-'));
    await pack(rootfs, dir, signal);
    await rename(path.join(dir, 'image.tar'), archive);
    await rm(dir, { recursive: true, force: true });
  });
  return archive;
}

async function contentsOf(dir: string): Promise<string[]> {
  const files = (await readdir(dir)).sort();
  return Promise.all(files.map(async (file) => `${file} ${await readFile(path.join(dir, file), 'utf8')}`));
}

/** Make `image.tar` in `dir`, in the layout of `docker save`. */
async function pack(rootfs: string, dir: string, signal: AbortSignal): Promise<void> {
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
}

async function sha256Of(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}
