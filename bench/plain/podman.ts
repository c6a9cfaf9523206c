import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { anySignal } from '../../migrator/any-signal.ts';
import type { LabHost } from '../../test/lab/lab.ts';
import { appContainer } from '../../test/system/configs.ts';
import { type Hand, healthy, overLink, shell } from './hand.ts';
import { dropConnections } from './runc.ts';

/** What the hosts need beyond what they have: see `packages` of a lab. */
export const PODMAN_PACKAGES = ['podman'];

const PROBE_TIMEOUT_MS = 10_000;
const NAME = 'shop';
const IMAGE = 'localhost/bare:1';
/** On tmpfs, all of it, so that no disk is measured. */
const DIR = '/run/by-hand';
const SAVED_IMAGE = `${DIR}/image.tar`;
const EXPORT = `${DIR}/checkpoint.tar.zst`;
const PRE_EXPORT = `${DIR}/pre-checkpoint.tar.zst`;
const FILES = [SAVED_IMAGE, EXPORT, PRE_EXPORT].join(' ');

/** Its own defaults, but for where it keeps things, and the engine, which is the others' too. */
const PODMAN = [
  `PODMAN_IGNORE_CGROUPSV1_WARNING=1 podman --root ${DIR}/storage --runroot ${DIR}/run`,
  '--storage-driver overlay --runtime runc --cgroup-manager cgroupfs --events-backend file',
].join(' ');

/** An image of nothing but links: the programs are bound in, as they are for the others. */
const MAKE_IMAGE = `
  mkdir -p ${DIR}/image && cd ${DIR}/image && mkdir -p dev etc proc run srv sys tmp usr var
  for dir in bin lib lib64 sbin; do ln -sfn usr/$dir $dir; done
  tar -c . | ${PODMAN} import -q - ${IMAGE} && ${PODMAN} save -q -o ${SAVED_IMAGE} ${IMAGE}`;

/**
 * `podman container checkpoint --export`, the file over the link, `podman container restore --import`. With
 * `preCheckpoint` most of the memory goes ahead by `--pre-checkpoint`, for which the kernel must track dirty pages.
 */
export function podmanByHand(signal: AbortSignal, { preCheckpoint }: { preCheckpoint: boolean }): Hand {
  const sh = (host: LabHost, script: string) => shell(host, script, signal);
  const send = (from: LabHost, to: LabHost, file: string) =>
    overLink({ host: from, produce: `cat ${file}` }, { host: to, consume: `cat >${file}` }, signal);
  let savedImage: string | undefined;
  let run = '';
  return {
    async makeReady(host, app) {
      const at = (file: string) => path.join(host.rootDir, file);
      for (const dir of [DIR, '/etc/criu', '/etc/containers']) await mkdir(at(dir), { recursive: true });
      await writeFile(at('/etc/containers/policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
      await dropConnections(host);
      if (savedImage === undefined) {
        await sh(host, MAKE_IMAGE);
      } else {
        // A checkpoint names its image by its id, which has the time in it: one made anew would be another.
        await copyFile(savedImage, at(SAVED_IMAGE));
        await sh(host, `${PODMAN} load -q -i ${SAVED_IMAGE}`);
      }
      savedImage = at(SAVED_IMAGE);
      const { command, env } = appContainer(app);
      run = [
        `${PODMAN} run -d --name ${NAME} --network host --read-only`,
        ...Object.entries(env).map(([name, value]) => `-e ${name}=${value}`),
        '-v /srv/rootfs/usr:/usr:ro -v /opt/holdfast/test/workload/app:/srv:ro',
        `${IMAGE} ${(command as string[]).join(' ')}`,
      ].join(' ');
    },
    async start(host) {
      await sh(host, run);
      await healthy(host, signal);
    },
    ...(preCheckpoint
      ? {
          async sendAhead(from: LabHost, to: LabHost) {
            await sh(from, `${PODMAN} container checkpoint --pre-checkpoint --export ${PRE_EXPORT} ${NAME}`);
            await send(from, to, PRE_EXPORT);
          },
        }
      : {}),
    async checkpoint(host) {
      const previous = preCheckpoint ? '--with-previous' : '';
      await sh(host, `${PODMAN} container checkpoint ${previous} --export ${EXPORT} ${NAME}`);
    },
    copy: (from, to) => send(from, to, EXPORT),
    async restore(host) {
      const previous = preCheckpoint ? `--import-previous ${PRE_EXPORT}` : '';
      await sh(host, `${PODMAN} container restore ${previous} --import ${EXPORT}`);
      await healthy(host, signal);
    },
    async clear(host) {
      await sh(host, `${PODMAN} rm -f -t 0 ${NAME} >/dev/null 2>&1; rm -f ${FILES}`);
    },
  };
}

/** Why `--pre-checkpoint` cannot be had on a host, or `false`. */
export async function whyNoPreCheckpoint(host: LabHost, signal: AbortSignal): Promise<string | false> {
  const { code } = await host.exec('criu', ['check', '--feature', 'mem_dirty_track'], {
    signal: anySignal([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
    okCodes: [0, 1],
  });
  return code === 0 ? false : 'not available: no CONFIG_MEM_SOFT_DIRTY';
}
