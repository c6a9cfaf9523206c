import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { HoldfastError } from '../../../errors.ts';

const Strings = Type.Record(Type.String(), Type.String());
/** As the Docker Engine API has it. */
const ApiObject = Type.Record(Type.String(), Type.Unknown());

/** What the source's Docker Engine is like, where that must be alike at both ends. */
const EngineFacts = Type.Object({
  storageDriver: Type.String(),
  cgroupVersion: Type.String(),
  cgroupDriver: Type.String(),
  /** Of docker-init, when it is the container's first process. */
  initCommit: Type.Optional(Type.String()),
  /** `` when the engine does without. */
  appArmorProfile: Type.String(),
});

const NetworkShape = Type.Object({
  name: Type.String(),
  driver: Type.String(),
  internal: Type.Boolean(),
  subnets: Type.Array(Type.String()),
  /** Addresses the container was given by name, rather than by the engine. */
  addresses: Type.Array(Type.String()),
  /** Containers it knows by another name. */
  links: Type.Array(Type.String()),
  /** Why it is not made where it is missing. */
  whyNotMade: Type.Optional(Type.String()),
});
export type NetworkShape = Static<typeof NetworkShape>;

const VolumeShape = Type.Object({
  name: Type.String(),
  driver: Type.String(),
  /** The path that a volume of the local driver stands for. */
  device: Type.Optional(Type.String()),
  /** Without their values: those may be secrets. */
  optionNames: Type.Array(Type.String()),
  /** Whether both hosts see the same content in it. */
  shared: Type.Boolean(),
});
export type VolumeShape = Static<typeof VolumeShape>;

const PublishedPort = Type.Object({
  protocol: Type.String(),
  /** `` for every address of the host. */
  address: Type.String(),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});
export type PublishedPort = Static<typeof PublishedPort>;

const Bind = Type.Object({
  source: Type.String(),
  kind: Type.Union([Type.Literal('directory'), Type.Literal('file')]),
  /** Whether both hosts are to see the same content in it. */
  shared: Type.Optional(Type.Literal(true)),
});
export type Bind = Static<typeof Bind>;

/**
 * What the destination looks at before a move. Holds no secrets: neither environment nor command, no value of a label
 * or of an option. It crosses the gateway.
 */
export const DockerShape = Type.Object({
  name: Type.String(),
  ports: Type.Array(PublishedPort),
  binds: Type.Array(Bind),
  networks: Type.Array(NetworkShape),
  volumes: Type.Array(VolumeShape),
  logDriver: Type.String(),
  cgroupParent: Type.String(),
  cpus: Type.Number(),
  cpuset: Type.String(),
  engine: EngineFacts,
});
export type DockerShape = Static<typeof DockerShape>;

/** A volume as the destination makes it, and where the container has it. */
const VolumePlan = Type.Object({
  name: Type.String(),
  driver: Type.String(),
  options: Strings,
  labels: Strings,
  destinations: Type.Array(Type.String()),
  /** Whether it is storage that both hosts have mounted: its content is not copied. */
  shared: Type.Boolean(),
});
export type VolumePlan = Static<typeof VolumePlan>;

/**
 * All that the destination's container is made from. Holds the environment and with it secrets: it goes from agent to
 * agent, and never into a log, an error, a footprint or to the gateway.
 */
export const DockerSettings = Type.Object({
  shape: DockerShape,
  imageId: Type.String(),
  /** As the container's maker called it. */
  image: Type.String(),
  config: ApiObject,
  hostConfig: ApiObject,
  /** By the network's name. */
  endpoints: Type.Record(Type.String(), ApiObject),
  /** What a network is made of, by its name. */
  networks: Type.Record(Type.String(), ApiObject),
  volumes: Type.Array(VolumePlan),
  restartPolicy: Type.Object({ Name: Type.String(), MaximumRetryCount: Type.Integer() }),
});
export type DockerSettings = Static<typeof DockerSettings>;

export function shapeOf(settings: DockerSettings): DockerShape {
  return settings.shape;
}

/** @throws `AGENT_ANSWER_INVALID` when another version of Holdfast has written it */
export function parseSettings(json: unknown): DockerSettings {
  if (Value.Check(DockerSettings, json)) return json;
  throw mismatch();
}

/** @throws `AGENT_ANSWER_INVALID` when another version of Holdfast has written it */
export function parseShape(json: unknown): DockerShape {
  if (Value.Check(DockerShape, json)) return json;
  throw mismatch();
}

function mismatch(): HoldfastError {
  // What is wrong with it is not said: it could be the value of a secret.
  return new HoldfastError(
    'AGENT_ANSWER_INVALID',
    "the source's description of the container makes no sense here",
    {
      mend: 'run the same version of Holdfast on both hosts',
    },
  );
}
