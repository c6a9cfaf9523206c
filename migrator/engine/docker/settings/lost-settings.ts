import type { DockerSettings } from './docker-settings.ts';
import { isEmpty } from './field.ts';
import type { Inspected } from './inspected.ts';

/** Where a daemon adds what it has as a default of its own. */
const WIDENED = ['Ulimits', 'LogConfig'];

/**
 * The names of settings that a container was made with and does not have. An engine drops without an error what its
 * kernel cannot do, and what it is too old to know.
 */
export function lostSettings(settings: DockerSettings, made: Inspected): string[] {
  const endpoints = made.NetworkSettings.Networks ?? {};
  return [
    ...lost(settings.config, made.Config),
    ...lost(settings.hostConfig, made.HostConfig),
    ...Object.entries(settings.endpoints).flatMap(([name, endpoint]) =>
      lost(endpoint, endpoints[name] ?? {}).map((field) => `${field} in the network ${name}`),
    ),
  ];
}

function lost(asked: Readonly<Record<string, unknown>>, has: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(asked).filter((name) =>
    WIDENED.includes(name) ? !isWithin(asked[name], has[name]) : !isSame(asked[name], has[name]),
  );
}

/** Nothing asked for is told in several ways. */
export function isSame(one: unknown, other: unknown): boolean {
  if (isEmpty(one) && isEmpty(other)) return true;
  if (!isObject(one) || !isObject(other)) return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].every((key) =>
    isSame(one[key], other[key]),
  );
}

function isWithin(one: unknown, other: unknown): boolean {
  if (isEmpty(one)) return true;
  if (Array.isArray(one)) {
    return Array.isArray(other) && one.every((item) => other.some((each) => isSame(item, each)));
  }
  if (!isObject(one)) return one === other;
  return isObject(other) && Object.keys(one).every((key) => isWithin(one[key], other[key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
