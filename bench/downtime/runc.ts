import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabHost } from '../../test/lab/lab.ts';
import { APP_PORT, appContainer } from '../../test/system/configs.ts';

const NAME = 'shop';
const BUNDLE = '/run/by-hand/bundle';
const IMAGES = '/run/by-hand/images';
const TRANSFER_PORT = 9000;
const STEP_TIMEOUT_MS = 60_000;
const HEALTH_TIMEOUT_MS = 30_000;

/** What someone with runc and a shell does, without Holdfast: the same app in a bundle made by `runc spec`. */
export async function makeBundle(host: LabHost, memoryMib: number): Promise<void> {
  await sh(host, `mkdir -p ${BUNDLE} ${IMAGES} /etc/criu && cd ${BUNDLE} && runc spec`);
  const { stdout } = await sh(host, `cat ${BUNDLE}/config.json`);
  const spec = JSON.parse(stdout) as OciSpec;
  const app = appContainer({ memoryMib });
  spec.process.terminal = false;
  spec.process.args = app.command as string[];
  spec.process.env.push(...Object.entries(app.env).map(([name, value]) => `${name}=${value}`));
  spec.root.path = app.rootfs as string;
  spec.linux.namespaces = ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type }));
  // io_uring cannot be checkpointed; Docker's default profile denies it too.
  spec.linux.seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      {
        names: ['io_uring_setup', 'io_uring_enter', 'io_uring_register'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 38,
      },
    ],
  };
  spec.mounts = spec.mounts.filter(({ destination }) => destination !== '/sys/fs/cgroup');
  spec.mounts.push({
    destination: '/srv',
    type: 'bind',
    source: '/opt/holdfast/test/workload/app',
    options: ['rbind', 'ro'],
  });
  await writeFile(path.join(host.rootDir, BUNDLE, 'config.json'), JSON.stringify(spec));
  // Connections cannot follow to another address: they are dropped at the restore.
  await writeFile(path.join(host.rootDir, 'etc/criu/runc.conf'), 'tcp-close\n');
}

interface OciSpec {
  process: { terminal: boolean; args: string[]; env: string[] };
  root: { path: string };
  linux: { namespaces: { type: string }[]; seccomp?: unknown };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
}

export async function startApp(host: LabHost): Promise<void> {
  await sh(host, `runc run -d -b ${BUNDLE} ${NAME} </dev/null >/dev/null 2>&1`);
  await healthy(host);
}

export async function stopApp(host: LabHost): Promise<void> {
  await sh(host, `runc kill ${NAME} TERM; while ! runc delete ${NAME} 2>/dev/null; do sleep 0.01; done`);
}

/** Writes the checkpoint and ends the app. @returns its size */
export async function checkpoint(host: LabHost): Promise<number> {
  await sh(host, `runc checkpoint --image-path ${IMAGES} --work-path ${BUNDLE} ${NAME}`);
  const { stdout } = await sh(host, `du -sb ${IMAGES} | cut -f1`);
  return Number(stdout);
}

export async function copyImages(from: LabHost, to: LabHost): Promise<void> {
  const receive = sh(to, `socat -u TCP-LISTEN:${TRANSFER_PORT},reuseaddr - | tar -x -C ${IMAGES}`);
  // socat tries again until the other side listens.
  const connect = `TCP:${to.address}:${TRANSFER_PORT},retry=200,interval=0.01`;
  await Promise.all([receive, sh(from, `tar -c -C ${IMAGES} . | socat -u - ${connect}`)]);
}

export async function restore(host: LabHost): Promise<void> {
  await sh(
    host,
    `runc restore -d --image-path ${IMAGES} --work-path ${BUNDLE} -b ${BUNDLE} ${NAME} </dev/null >/dev/null 2>&1`,
  );
  await healthy(host);
}

async function healthy(host: LabHost): Promise<void> {
  const deadline = performance.now() + HEALTH_TIMEOUT_MS;
  for (;;) {
    try {
      const response = await fetch(`http://${host.address}:${APP_PORT}/health`, {
        signal: AbortSignal.timeout(1_000),
      });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch (cause) {
      if (performance.now() > deadline) throw new Error(`the app does not answer on ${host.name}`, { cause });
    }
    await delay(10);
  }
}

function sh(host: LabHost, script: string) {
  return host.exec('sh', ['-c', script], { signal: AbortSignal.timeout(STEP_TIMEOUT_MS) });
}
