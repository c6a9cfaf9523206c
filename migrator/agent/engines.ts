import type { Static, TSchema } from '@sinclair/typebox';
import type { Logger } from 'pino';
import { DockerContainer } from '../engine/docker/config.ts';
import { createDockerEngine } from '../engine/docker/engine.ts';
import type { Engine } from '../engine/engine.ts';
import { RuncContainer } from '../engine/runc/config.ts';
import { createRuncEngine } from '../engine/runc/engine.ts';

interface EngineOptions<Container> {
  readonly containers: Readonly<Record<string, Container>>;
  readonly runDir: string;
  readonly stateDir: string;
  readonly docker: { readonly socket: string };
  readonly log: Logger;
}

export interface EngineKind {
  /** What an entry of `containers:` must look like for this engine. */
  readonly schema: TSchema;
  create(options: EngineOptions<unknown>): Engine;
}

function kind<T extends TSchema>(
  schema: T,
  create: (options: EngineOptions<Static<T>>) => Engine,
): EngineKind {
  return {
    schema,
    // The schema has been held against every container by the time an engine is made.
    create: (options) => create(options as EngineOptions<Static<T>>),
  };
}

/** Every engine an agent can have, by the name that `engine:` gives it. A further engine is a further line here. */
export const engineKinds: Readonly<Record<string, EngineKind>> = {
  runc: kind(RuncContainer, createRuncEngine),
  docker: kind(DockerContainer, ({ docker, ...rest }) => createDockerEngine({ ...rest, ...docker })),
};
