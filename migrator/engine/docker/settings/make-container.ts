import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import { admitVolumes } from './admit-volumes.ts';
import { conceal } from './conceal.ts';
import { createOptions } from './create-options.ts';
import { type DockerApi, dockerApi } from './docker-api.ts';
import type { DockerSettings } from './docker-settings.ts';
import { isSame, lostSettings } from './lost-settings.ts';
import { claimVolumes, type VolumeLedger } from './volume-ledger.ts';
import { volumeShape } from './volumes.ts';

export interface MakeOptions {
  /** The OCI runtime, as it is registered in the engine. */
  readonly runtime: string;
  /** Of the image that has been brought along. */
  readonly imageId: string;
  readonly ledger: VolumeLedger;
}

/**
 * Destination: make the container, stopped, with the networks and volumes it needs. What was made of those stays, also
 * when the container cannot be made.
 *
 * @returns the container's id
 * @throws `CONTAINER_EXISTS`, `NETWORK_MISSING`, `NETWORK_DIFFERS`, `VOLUME_MISSING`, `VOLUME_DIFFERS`, `SETTING_LOST`,
 *   `VOLUME_TAKEN`, `DOCKER_REFUSED`, `DOCKER_UNREACHABLE`, `DEADLINE`; none of them tells a secret
 */
export async function makeContainer(
  docker: Docker,
  settings: DockerSettings,
  { runtime, imageId, ledger }: MakeOptions,
  signal: AbortSignal,
): Promise<string> {
  const api = dockerApi(docker, signal);
  try {
    await refuseTakenVolumes(api, settings, ledger);
    await makeNetworks(api, settings);
    await makeVolumes(api, settings);
    await claimVolumes(api, settings, ledger);
    const image = await imageName(api, settings.image, imageId);
    return await create(api, settings, createOptions(settings, { runtime, imageId, image }));
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, mend, retryable } = error;
    throw new HoldfastError(code, conceal(settings, error.message), {
      retryable,
      ...(mend === undefined ? {} : { mend }),
    });
  }
}

async function create(
  api: DockerApi,
  settings: DockerSettings,
  body: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { name } = settings.shape;
  if ((await api.container(name)) !== undefined) {
    throw new HoldfastError('CONTAINER_EXISTS', `Docker has a container ${name} here already`, {
      mend: `docker rm it, or move it away`,
    });
  }
  const id = await api.createContainer(name, body);
  const made = await api.container(id);
  const lost = made === undefined ? ['everything'] : lostSettings(settings, made);
  if (lost.length === 0) return id;
  await api.removeContainer(id);
  throw new HoldfastError('SETTING_LOST', `Docker here has not taken over ${lost.join(', ')}`, {
    mend: 'run the same version of Docker on both hosts, on kernels that are alike',
  });
}

/** What the image was called at the source, unless that is another one here, or none. */
async function imageName(api: DockerApi, name: string, imageId: string): Promise<string> {
  return (await api.image(name))?.Id === imageId ? name : imageId;
}

async function makeNetworks(api: DockerApi, { shape, networks }: DockerSettings): Promise<void> {
  for (const { name, driver, addresses, whyNotMade } of shape.networks) {
    const found = await api.network(name);
    if (found !== undefined && found.Driver !== driver) {
      throw new HoldfastError(
        'NETWORK_DIFFERS',
        `the network ${name} is a ${found.Driver} here, not a ${driver}`,
      );
    }
    if (found !== undefined) continue;
    const body = networks[name];
    if (body === undefined) {
      throw new HoldfastError('NETWORK_MISSING', `there is no network ${name} here: ${whyNotMade}`);
    }
    await makeNetwork(api, body, addresses.length > 0);
  }
}

/** Another network may have its subnet here: Docker gives the same ones to the first networks of every host. */
async function makeNetwork(
  api: DockerApi,
  body: Readonly<Record<string, unknown>>,
  isAddressFixed: boolean,
): Promise<void> {
  try {
    await api.createNetwork(body);
  } catch (error) {
    const overlaps = error instanceof HoldfastError && /overlap/i.test(error.message);
    if (!overlaps || isAddressFixed) throw error;
    await api.createNetwork({ ...body, IPAM: { ...(body.IPAM as object), Config: [] } });
  }
}

/** Preflight has looked, but what is in a volume is replaced from here on: somebody may have made one meanwhile. */
async function refuseTakenVolumes(
  api: DockerApi,
  { shape, volumes }: DockerSettings,
  ledger: VolumeLedger,
): Promise<void> {
  const all = { ...shape, volumes: volumes.map(volumeShape) };
  const [finding] = await admitVolumes(api, all, await ledger.of(shape.name));
  if (finding !== undefined) throw new HoldfastError(finding.code, finding.message, { mend: finding.mend });
}

async function makeVolumes(api: DockerApi, { volumes }: DockerSettings): Promise<void> {
  for (const { name, driver, options, labels } of volumes) {
    const found = await api.volume(name);
    if (found === undefined) {
      if (driver !== 'local') throw new HoldfastError('VOLUME_MISSING', `there is no volume ${name} here`);
      await api.createVolume({ Name: name, Driver: driver, DriverOpts: options, Labels: labels });
    } else if (found.Driver !== driver || !isSame(found.Options, options)) {
      throw new HoldfastError('VOLUME_DIFFERS', `the volume ${name} is kept in another way here`, {
        mend: 'make it with the same driver and options as at the source, or remove it: it is then made',
      });
    }
  }
}
