import type { DockerSettings } from './docker-settings.ts';

/** What the Docker Engine API's `POST /containers/create` takes. */
export type ContainerBody = Readonly<Record<string, unknown>>;

export interface CreateOptions {
  /** The OCI runtime, as it is registered in the engine. */
  readonly runtime: string;
  readonly imageId: string;
  /** A name for it, if the image has one here. */
  readonly image?: string;
}

/**
 * The same container for another engine. It is not restarted by itself: a host that fails in the middle of a move would
 * start a second instance, afresh. `finalUpdate` says what is set once the move is final.
 */
export function createOptions(
  settings: DockerSettings,
  { runtime, imageId, image = imageId }: CreateOptions,
): ContainerBody {
  const { config, hostConfig, endpoints } = settings;
  return {
    ...config,
    Image: image,
    // Left empty, the image's would take its place. Docker takes one empty word for none.
    Entrypoint: isNone(config.Entrypoint) ? [''] : config.Entrypoint,
    HostConfig: { ...hostConfig, Runtime: runtime, RestartPolicy: { Name: 'no', MaximumRetryCount: 0 } },
    NetworkingConfig: { EndpointsConfig: endpoints },
  };
}

/** For `docker update`, once there is no way back. */
export function finalUpdate({ restartPolicy }: DockerSettings): {
  RestartPolicy: { Name: string; MaximumRetryCount: number };
} {
  return { RestartPolicy: restartPolicy };
}

function isNone(entrypoint: unknown): boolean {
  return !Array.isArray(entrypoint) || entrypoint.length === 0;
}
