import type Docker from 'dockerode';
import type { Finding } from '../../engine.ts';
import { admitEngine } from './admit-engine.ts';
import { admitNetworks } from './admit-networks.ts';
import { admitVolumes } from './admit-volumes.ts';
import { type DockerApi, dockerApi } from './docker-api.ts';
import type { Bind, DockerShape, PublishedPort } from './docker-settings.ts';
import { collide, hostListeners, isOwnAddress } from './host-ports.ts';
import { kindOf } from './mounts.ts';
import type { OwnVolumes } from './volume-ledger.ts';

export interface AdmitOptions {
  /** The OCI runtime the container is to have. */
  readonly runtime: string;
  /** Volumes here that are the container's from an earlier move: what is in them may be replaced. */
  readonly ownVolumes: OwnVolumes;
}

/**
 * Destination: what stands against making a container like this here. Only reads.
 *
 * @throws `DOCKER_REFUSED`, `DOCKER_UNREACHABLE`, `DEADLINE`
 */
export async function admitSettings(
  docker: Docker,
  shape: DockerShape,
  { runtime, ownVolumes }: AdmitOptions,
  signal: AbortSignal,
): Promise<Finding[]> {
  const api = dockerApi(docker, signal);
  return [
    ...admitEngine(await api.info(), shape, runtime),
    ...(await nameFindings(api, shape)),
    ...(await portFindings(api, shape)),
    ...(await Promise.all(shape.binds.map(bindFindings))).flat(),
    ...(await admitNetworks(api, shape)),
    ...(await admitVolumes(api, shape, ownVolumes)),
  ];
}

async function nameFindings(api: DockerApi, { name }: DockerShape): Promise<Finding[]> {
  const found = await api.container(name);
  if (found === undefined) return [];
  return [
    {
      code: 'CONTAINER_EXISTS',
      message: `Docker has a container ${name} here already, ${found.State.Status}`,
      mend: 'docker rm it, or make it the one that is served',
    },
  ];
}

async function portFindings(api: DockerApi, { ports }: DockerShape): Promise<Finding[]> {
  if (ports.length === 0) return [];
  const published = (await api.containers({ status: ['running', 'paused', 'restarting'] })).flatMap(
    ({ Names, Ports }) =>
      Ports.filter(({ PublicPort }) => PublicPort !== undefined).map(({ Type, IP = '', PublicPort = 0 }) => ({
        by: `the container ${Names[0]?.slice(1)}`,
        protocol: Type,
        address: IP === '0.0.0.0' || IP === '::' ? '' : IP,
        port: PublicPort,
      })),
  );
  const listeners = [...published, ...(await hostListeners()).map((each) => ({ by: 'something', ...each }))];
  return ports.flatMap((port) => {
    const taker = listeners.find((listener) => collide(listener, port));
    return taker === undefined ? addressFindings(port) : [portTaken(port, taker.by)];
  });
}

function portTaken({ protocol, port }: PublishedPort, by: string): Finding {
  return {
    code: 'PORT_TAKEN',
    message: `${by} listens on ${protocol} port ${port} here`,
    mend: 'end it, or choose another destination',
  };
}

function addressFindings({ address }: PublishedPort): Finding[] {
  if (isOwnAddress(address)) return [];
  return [
    {
      code: 'HOST_ADDRESS_MISSING',
      message: `it publishes a port at ${address}, which is no address of this host`,
      mend: 'publish it at all addresses, or give the host that address',
    },
  ];
}

async function bindFindings({ source, kind }: Bind): Promise<Finding[]> {
  const here = await kindOf(source);
  if (here === kind) return [];
  return [
    {
      code: 'MOUNT_SOURCE_MISSING',
      message: `there is no ${kind} ${source} to mount${here === 'missing' ? '' : `: it is a ${here} here`}`,
      mend: 'create it, with the same content as at the source if the app relies on it',
    },
  ];
}
