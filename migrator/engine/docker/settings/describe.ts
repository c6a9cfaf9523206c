import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import type { Finding } from '../../engine.ts';
import { CONFIG_FIELDS } from './config-fields.ts';
import { CONTAINER_FIELDS } from './container-fields.ts';
import { dockerApi } from './docker-api.ts';
import type { DockerSettings } from './docker-settings.ts';
import { engineFacts, engineFindings, foreignRuntime, hasInit } from './engine-facts.ts';
import { findingOf, sift } from './field.ts';
import { HOST_CONFIG_FIELDS } from './host-config-fields.ts';
import { bindsOf, namedMounts, type Storage, unknownStorage } from './mounts.ts';
import { networkMode, networksOf } from './networks.ts';
import { fixedPorts, publishedPorts } from './ports.ts';
import { stateFindings } from './state-findings.ts';
import { volumeShape, volumesOf } from './volumes.ts';

export interface Description {
  readonly settings: DockerSettings;
  /** What cannot come along, by name. */
  readonly findings: Finding[];
}

/**
 * Source: all that is needed to make the same container elsewhere, and what of it cannot be had there. Only reads.
 *
 * @param storage what agent.yaml says of its mounts
 * @throws `CONTAINER_NOT_RUNNING` when there is none, `DOCKER_REFUSED`, `DOCKER_UNREACHABLE`, `DEADLINE`
 */
export async function describe(
  docker: Docker,
  name: string,
  signal: AbortSignal,
  storage: Storage = {},
): Promise<Description> {
  const api = dockerApi(docker, signal);
  const container = await api.container(name);
  if (container === undefined) {
    throw new HoldfastError('CONTAINER_NOT_RUNNING', `Docker has no container ${name} here`, {
      mend: 'start it, or look for it on another host',
    });
  }
  const info = await api.info();
  const sifted = {
    container: sift({ ...container }, CONTAINER_FIELDS, container),
    config: sift(container.Config, CONFIG_FIELDS, container),
    hostConfig: sift(container.HostConfig, HOST_CONFIG_FIELDS, container),
  };
  const findings = [
    ...(await stateFindings(api, container)),
    ...engineFindings(info),
    ...Object.values(sifted).flatMap(({ refusals }) => refusals.map(findingOf)),
  ];
  const runtime = foreignRuntime(info, container);
  if (runtime !== undefined) {
    const why = `${runtime} is not runc, which CRIU is run by`;
    findings.push(findingOf({ code: 'SETTING_REFUSED', asked: '--runtime', why }));
  }
  const init = await hasInit(container);
  const ports = fixedPorts(container);
  const mounts = namedMounts(container);
  const { binds, findings: bindFindings } = await bindsOf(container, init, storage);
  const { volumes, findings: volumeFindings } = await volumesOf(api, container, storage);
  const networks = await networksOf(api, container);
  findings.push(...mounts.findings, ...bindFindings, ...volumeFindings, ...networks.findings);
  findings.push(...unknownStorage(container, storage));

  const { Name, MaximumRetryCount } = container.HostConfig.RestartPolicy;
  const settings: DockerSettings = {
    shape: {
      name: container.Name.slice(1),
      ports: container.HostConfig.NetworkMode === 'host' ? [] : publishedPorts(ports),
      binds,
      networks: [...networks.shapes],
      volumes: volumes.map(volumeShape),
      logDriver: container.HostConfig.LogConfig.Type,
      cgroupParent: container.HostConfig.CgroupParent,
      cpus: container.HostConfig.NanoCpus / 1e9,
      cpuset: container.HostConfig.CpusetCpus,
      engine: engineFacts(info, container, init),
    },
    imageId: container.Image,
    image: container.Config.Image,
    config: { ...sifted.config.carried, Entrypoint: container.Config.Entrypoint },
    hostConfig: {
      ...sifted.hostConfig.carried,
      NetworkMode: networkMode(container),
      PortBindings: ports,
      Binds: mounts.binds,
      Mounts: mounts.mounts,
      ...(init ? { Init: true } : {}),
    },
    endpoints: networks.endpoints,
    networks: networks.making,
    volumes,
    restartPolicy: { Name, MaximumRetryCount },
  };
  return { settings, findings: onePerMessage(findings) };
}

/** `--interactive` alone sets two fields. */
function onePerMessage(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()];
}
