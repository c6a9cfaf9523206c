import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HoldfastError } from '../../errors.ts';

/** Where containerd has runc run a container. */
export interface RuncPlace {
  /** `runc --root`, which has the container under its full id. */
  readonly runcRoot: string;
  /** Below each hierarchy's root. */
  readonly cgroupPath: string;
}

/** What containerd's shim leaves in its bundle of how it was told to call runc. */
const OPTIONS = 'options.json';

/**
 * Asked of the container's shim, the one process that is there from before its creation to its end: it works in the bundle,
 * whose name ends in containerd's namespace and the container's id. Docker itself does not tell what it is made to use.
 *
 * @param id the full container id
 * @throws HoldfastError `CONTAINER_NOT_RUNNING` when no shim has it
 */
export async function runcPlaceOf(name: string, id: string): Promise<RuncPlace> {
  const bundle = await bundleOf(id);
  if (bundle === undefined) {
    throw new HoldfastError('CONTAINER_NOT_RUNNING', `containerd runs no container ${name} here`, {
      mend: 'start it, or look for it on another host',
    });
  }
  const [options, config] = await Promise.all(
    [OPTIONS, 'config.json'].map(async (file) => JSON.parse(await readFile(join(bundle, file), 'utf8'))),
  );
  const { root } = options as { root?: string };
  const { linux } = config as { linux?: { cgroupsPath?: string } };
  const namespace = basename(dirname(bundle));
  return {
    runcRoot: join(root || '/run/containerd/runc', namespace),
    cgroupPath: cgroupPathOf(linux?.cgroupsPath ?? '', id),
  };
}

async function bundleOf(id: string): Promise<string | undefined> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!words.includes('-id') || !words.includes(id) || !/containerd-shim/.test(words[0] ?? '')) continue;
    return readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  }
  return undefined;
}

/** With systemd's driver runc is told `SLICE:PREFIX:NAME`, and a slice lies in those its name begins with. */
export function cgroupPathOf(cgroupsPath: string, id: string): string {
  const [slice, prefix, name] = cgroupsPath.split(':');
  if (slice === undefined || prefix === undefined || name === undefined) return cgroupsPath || `/${id}`;
  const parts = (slice || 'system.slice').replace(/\.slice$/, '').split('-');
  const slices = parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`);
  return `/${slices.join('/')}/${prefix}-${name}.scope`;
}
