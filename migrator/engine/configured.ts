import { HoldfastError } from '../errors.ts';
import type { Finding } from './engine.ts';

/** A container's entry in the agent's configuration. @throws HoldfastError `CONTAINER_UNKNOWN` */
export function configured<T>(containers: Readonly<Record<string, T>>, name: string): T {
  const container = Object.hasOwn(containers, name) ? containers[name] : undefined;
  if (container !== undefined) return container;
  const { code, message, mend } = notConfigured(name);
  throw new HoldfastError(code, message, { mend });
}

export function notConfigured(name: string): Finding {
  return {
    code: 'CONTAINER_UNKNOWN',
    message: `this host's configuration has no container ${name}`,
    mend: 'add it to containers: in the agent configuration, the same at both ends',
  };
}
