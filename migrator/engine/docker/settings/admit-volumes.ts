import { readdir } from 'node:fs/promises';
import type { Finding } from '../../engine.ts';
import type { DockerApi } from './docker-api.ts';
import type { DockerShape, VolumeShape } from './docker-settings.ts';
import type { InspectedVolume } from './inspected.ts';
import { kindOf } from './mounts.ts';
import { createdAt, type OwnVolumes } from './volume-ledger.ts';

/** Docker's own names: nobody else has a volume of that name. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

/** What stands against putting the content of the container's volumes into volumes of the same names here. */
export async function admitVolumes(
  api: DockerApi,
  { volumes, name }: DockerShape,
  ownVolumes: OwnVolumes,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const volume of volumes) {
    const here = await api.volume(volume.name);
    if (!volume.shared && isMountedAtStart(volume)) findings.push(mountedAtStart(volume));
    else if (here === undefined) findings.push(...(await missing(volume)));
    else findings.push(...(await present(api, volume, here, name, ownVolumes)));
  }
  return findings;
}

/** Docker mounts it over its directory when a container starts: what is brought before would lie below, and the rest in it. */
function isMountedAtStart({ driver, optionNames }: VolumeShape): boolean {
  return driver === 'local' && (optionNames.includes('device') || optionNames.includes('type'));
}

function mountedAtStart({ name, device }: VolumeShape): Finding {
  if (device === undefined) {
    return {
      code: 'SETTING_REFUSED',
      message: `its volume ${name} is a file system that Docker mounts when the container starts, and cannot be moved`,
      mend: 'use --tmpfs where it is a tmpfs, which comes along; else a volume without a device',
    };
  }
  return {
    code: 'SETTING_REFUSED',
    message: `its volume ${name} stands for ${device} of its host, which cannot be moved: at the destination that path is the host's own`,
    mend: 'mount the path itself, with the content the app needs at both hosts, or use a volume without a device',
  };
}

async function missing({ name, driver, device }: VolumeShape): Promise<Finding[]> {
  if (driver !== 'local') {
    return [
      {
        code: 'VOLUME_MISSING',
        message: `there is no volume ${name} of the driver ${driver} here`,
        mend: 'docker volume create it',
      },
    ];
  }
  if (device === undefined || (await kindOf(device)) !== 'missing') return [];
  return [
    {
      code: 'MOUNT_SOURCE_MISSING',
      message: `its volume ${name} stands for ${device}, which is not here`,
      mend: 'create it, with the same content as at the source if the app relies on it',
    },
  ];
}

async function present(
  api: DockerApi,
  volume: VolumeShape,
  here: InspectedVolume,
  container: string,
  ownVolumes: OwnVolumes,
): Promise<Finding[]> {
  const { name, driver, shared, optionNames } = volume;
  const optionsHere = Object.keys(here.Options ?? {}).sort();
  if (here.Driver !== driver || optionsHere.join() !== optionNames.join()) {
    const kind = (of: string, options: readonly string[]) => [of, ...options].join(', ');
    return [
      {
        code: 'VOLUME_DIFFERS',
        message: `the volume ${name} is of another kind there (${kind(driver, optionNames)}) than here (${kind(here.Driver, optionsHere)})`,
        mend: 'make it as it is at the source, or remove it: it is then made',
      },
    ];
  }
  if (shared) return [];
  const users = (await api.containers({ volume: [name] }))
    .map(({ Names }) => Names[0]?.slice(1))
    .filter((user) => user !== container);
  if (users.length > 0) return [taken(name, `${users.join(', ')} uses it`)];
  const isOwn = ANONYMOUS.test(name) || ownVolumes[name] === createdAt(here);
  if (isOwn || (await isEmptyDir(here.Mountpoint))) return [];
  return [taken(name, 'it is not from an earlier move of this container')];
}

function taken(name: string, why: string): Finding {
  return {
    code: 'VOLUME_TAKEN',
    message: `there is a volume ${name} here with a content of its own, which would be replaced: ${why}`,
    mend: `docker volume rm ${name} if it is not needed, or choose another destination`,
  };
}

async function isEmptyDir(dir: string): Promise<boolean> {
  const entries = await readdir(dir).catch(() => undefined);
  return entries?.length === 0;
}
