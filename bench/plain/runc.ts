import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { LabHost } from '../../test/lab/lab.ts';
import { type AppOptions, appContainer } from '../../test/system/configs.ts';
import { type Hand, healthy, overLink, shell } from './hand.ts';

const NAME = 'shop';
const BUNDLE = '/run/by-hand/bundle';
/** On tmpfs. */
const IMAGES = '/run/by-hand/images';
const PATHS = `--image-path ${IMAGES} --work-path ${BUNDLE}`;

/** `runc checkpoint`, `tar` over the link, `runc restore`: the same app in a bundle made by `runc spec`. */
export function runcByHand(signal: AbortSignal): Hand {
  const sh = (host: LabHost, script: string) => shell(host, script, signal);
  return {
    async makeReady(host, app) {
      await sh(
        host,
        `rm -rf ${BUNDLE} ${IMAGES}; mkdir -p ${BUNDLE} ${IMAGES} /etc/criu && cd ${BUNDLE} && runc spec`,
      );
      const { stdout } = await sh(host, `cat ${BUNDLE}/config.json`);
      const config = JSON.stringify(completed(JSON.parse(stdout) as OciSpec, app));
      await writeFile(path.join(host.rootDir, BUNDLE, 'config.json'), config);
      await dropConnections(host);
    },
    async start(host) {
      await sh(host, `runc run -d -b ${BUNDLE} ${NAME} </dev/null >/dev/null 2>&1`);
      await healthy(host, signal);
    },
    async checkpoint(host) {
      await sh(host, `runc checkpoint ${PATHS} ${NAME} >&2 || ${tellWhy('dump')}`);
    },
    copy: (from, to) =>
      overLink(
        { host: from, produce: `tar -c -C ${IMAGES} .` },
        { host: to, consume: `tar -x -C ${IMAGES}` },
        signal,
      ),
    async restore(host) {
      await sh(
        host,
        `runc restore -d ${PATHS} -b ${BUNDLE} ${NAME} </dev/null >/dev/null 2>&1 || ${tellWhy('restore')}`,
      );
      await healthy(host, signal);
    },
    async clear(host) {
      await sh(host, `runc delete -f ${NAME} 2>/dev/null; rm -rf ${BUNDLE} ${IMAGES}`);
    },
  };
}

/** CRIU's own errors are the last words; runc's say only that there were some. */
function tellWhy(log: 'dump' | 'restore'): string {
  return `{ grep Error ${BUNDLE}/${log}.log >&2; exit 1; }`;
}

/** End the app as a supervisor does, before it is started elsewhere. */
export async function stopApp(host: LabHost, signal: AbortSignal): Promise<void> {
  const stop = `runc kill ${NAME} TERM; while ! runc delete ${NAME} 2>/dev/null; do sleep 0.01; done`;
  await shell(host, stop, signal);
}

/** Connections cannot follow to another address: CRIU drops them, also those that nobody has accepted yet. */
export async function dropConnections(host: LabHost): Promise<void> {
  await writeFile(path.join(host.rootDir, 'etc/criu/runc.conf'), 'tcp-close\nskip-in-flight\n');
}

interface OciSpec {
  process: { terminal: boolean; args: string[]; env: string[] };
  root: { path: string };
  linux: { namespaces: { type: string }[]; seccomp?: unknown };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
}

function completed(spec: OciSpec, options: AppOptions): OciSpec {
  const app = appContainer(options);
  spec.process.terminal = false;
  spec.process.args = app.command as string[];
  spec.process.env.push(...Object.entries(app.env).map(([name, value]) => `${name}=${value}`));
  spec.root.path = app.rootfs as string;
  spec.linux.namespaces = ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type }));
  // io_uring cannot be checkpointed; Docker's default profile denies it too.
  const names = ['io_uring_setup', 'io_uring_enter', 'io_uring_register'];
  spec.linux.seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 38 }],
  };
  spec.mounts = spec.mounts.filter(({ destination }) => destination !== '/sys/fs/cgroup');
  spec.mounts.push({
    destination: '/srv',
    type: 'bind',
    source: '/opt/holdfast/test/workload/app',
    options: ['rbind', 'ro'],
  });
  return spec;
}
