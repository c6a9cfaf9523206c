import path from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { readConfigFile } from '../config-file.ts';
import { TlsPaths } from '../pki/tls-files.ts';
import { RATE_PATTERN } from '../rate.ts';
import { engineKinds } from './engines.ts';

const ContainerConfig = Type.Unsafe<{ engine: string }>({
  type: 'object',
  required: ['engine'],
  properties: { engine: { enum: Object.keys(engineKinds) } },
  allOf: Object.entries(engineKinds).map(([engine, { schema }]) => ({
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word; it is never awaited.
    then: schema,
    if: { required: ['engine'], properties: { engine: { const: engine } } },
  })),
});

/** agent.yaml; docs/agent.md explains each key. */
export const AgentConfig = Type.Object(
  {
    /** The name the gateway knows this host by. */
    host: Type.String({ minLength: 1 }),
    listen: Type.String({ pattern: '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}$' }),
    tls: TlsPaths,
    /** Checkpoints and what belongs to this boot: on tmpfs. */
    runDir: Type.String({ pattern: '^/', default: '/run/holdfast' }),
    /** What must outlive a restart of the agent: on a disk. */
    stateDir: Type.String({ pattern: '^/', default: '/var/lib/holdfast' }),
    docker: Type.Object(
      {
        /** Of the Docker Engine of this host, when it has containers of `engine: docker`. */
        socket: Type.String({ pattern: '^/', default: '/var/run/docker.sock' }),
      },
      { default: {}, additionalProperties: false },
    ),
    memory: Type.Object(
      {
        /** Threads that read the memory of a container that is moved; as many as there are cores, up to 8, if not given. */
        workers: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
      },
      { default: {}, additionalProperties: false },
    ),
    /**
     * An app whose memory is fetched on demand is given up, and goes on at its source, when its pages are out of reach for
     * so long.
     */
    pagesStallMs: Type.Integer({ minimum: 1_000, maximum: 3_600_000, default: 30_000 }),
    /** What this host sends to others for all its moves, at most: see docs/transfer.md. */
    limitRate: Type.Optional(Type.String({ pattern: RATE_PATTERN })),
    containers: Type.Record(Type.String({ pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$' }), ContainerConfig, {
      default: {},
      additionalProperties: false,
    }),
  },
  { additionalProperties: false },
);
export type AgentConfig = Static<typeof AgentConfig>;

/** Read agent.yaml; relative paths under `tls:` are from the file's own directory. */
export async function readAgentConfig(file: string): Promise<AgentConfig> {
  const config = await readConfigFile(AgentConfig, file);
  const from = (name: string) => path.resolve(path.dirname(file), name);
  const { ca, cert, key } = config.tls;
  return { ...config, tls: { ca: from(ca), cert: from(cert), key: from(key) } };
}
