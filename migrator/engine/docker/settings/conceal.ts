import type { DockerSettings } from './docker-settings.ts';

/** Shorter ones would make the text unreadable, and are no secrets. */
const SHORTEST = 4;

/** A text of Docker's about a container, without the values that may be secrets: `…` stands in their place. */
export function conceal(settings: DockerSettings, text: string): string {
  const { config, hostConfig, volumes } = settings;
  const values = [
    ...texts(config.Env).flatMap((entry) => [entry.slice(entry.indexOf('=') + 1)]),
    ...[config.Cmd, config.Entrypoint, config.Labels, config.Healthcheck].flatMap(texts),
    ...[hostConfig.LogConfig, hostConfig.Annotations].flatMap(texts),
    ...volumes.flatMap(({ options, labels }) => [...texts(options), ...texts(labels)]),
  ];
  return [...new Set(values)]
    .filter((value) => value.length >= SHORTEST)
    .sort((one, other) => other.length - one.length)
    .reduce((concealed, value) => concealed.replaceAll(value, '…'), text);
}

/** Every text in a value of the API, not the names of its fields. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}
