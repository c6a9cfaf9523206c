import type Docker from 'dockerode';
import { ContainerState, type Finding, type Footprint } from '../engine.ts';
import { admitContainer } from '../oci/admit.ts';
import type { OciContainer } from '../oci/container.ts';
import { examineContainer } from '../oci/examine.ts';
import { readState } from '../oci/state.ts';
import type { DockerContainer } from './config.ts';
import { admitImages } from './image/admit-image.ts';
import { ownTmpfs } from './own-tmpfs.ts';
import { publishedAt } from './published.ts';
import { RUNTIME } from './runtime/install.ts';
import { dockerApi } from './settings/docker-api.ts';
import { admitSettings, describe, parseShape, shapeOf, type VolumeLedger } from './settings/settings.ts';
import { admitStorage, type SharedStorage } from './storage.ts';

const ENGINE = 'docker';

/** What a move of this container carries, and what stands against it at the source. Leaves only probes in shared storage. */
export async function examineDocker(
  docker: Docker,
  app: Pick<DockerContainer, 'connections' | 'port' | 'storage'> & {
    readonly name: string;
    readonly dockerName: string;
    readonly sharedStorage: SharedStorage;
  },
  place: OciContainer,
  signal: AbortSignal,
): Promise<{ footprint: Footprint; findings: Finding[] }> {
  const { name, dockerName, connections } = app;
  const { settings, findings } = await describe(docker, dockerName, signal, app.storage);
  const api = dockerApi(docker, signal);
  const found = await api.container(dockerName);
  const port = app.port ?? (found && publishedAt(found)?.port);
  const state = await readState(place);
  const tmpfs = await ownTmpfs(state.initPid);
  const examined = await examineContainer(
    { name, engine: ENGINE, port: port ?? 0, tmpfs, connections },
    state,
    signal,
  );
  const shared = await app.sharedStorage.lay(name, api, settings);
  const evidence = {
    ...examined.footprint.evidence,
    docker: JSON.stringify(shapeOf(settings)),
    storage: shared.evidence,
  };
  return {
    footprint: { ...examined.footprint, evidence },
    findings: [
      ...findings,
      ...shared.findings,
      ...(port === undefined ? [portUnknown(name)] : []),
      ...(await admitImages(docker, signal)),
      ...examined.findings,
    ],
  };
}

/** What stands against taking it here. Only reads, but for probes, which it takes away. */
export async function admitDocker(
  docker: Docker,
  { name, dockerName }: { readonly name: string; readonly dockerName: string },
  ledger: VolumeLedger,
  footprint: Footprint,
  imagesDir: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  // Docker's own findings tell of the name and the ports.
  const app = { name, engine: ENGINE, port: 0 };
  const findings = await admitContainer(app, { state: ContainerState.absent }, footprint, imagesDir, signal);
  if (footprint.engine !== ENGINE) return findings;
  const shape = parseShape(JSON.parse(footprint.evidence.docker ?? 'null'));
  const ownVolumes = await ledger.of(shape.name);
  return [
    ...(shape.name === dockerName ? [] : [nameDiffers(name, shape.name, dockerName)]),
    ...(await admitImages(docker, signal)),
    ...(await admitSettings(docker, shape, { runtime: RUNTIME, ownVolumes }, signal)),
    ...(await admitStorage(dockerApi(docker, signal), footprint.evidence.storage)),
    ...findings,
  ];
}

function portUnknown(name: string): Finding {
  return {
    code: 'PORT_UNKNOWN',
    message: `${name} does not publish one TCP port, so that it is not known where its app is reached`,
    mend: 'set `port` of the container in the agent configuration',
  };
}

function nameDiffers(name: string, there: string, here: string): Finding {
  return {
    code: 'CONTAINER_NAME_DIFFERS',
    message: `Docker calls ${name} ${there} at the source, and ${here} by this host's configuration`,
    mend: 'set `container` of it to the same name at both ends',
  };
}
