import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { HoldfastError } from '../../errors.ts';
import { layProbe, PROBE_NAME, takeProbe, wasTaken } from '../../files/shared-storage.ts';
import type { Finding } from '../engine.ts';
import type { DockerApi } from './settings/docker-api.ts';
import type { DockerSettings } from './settings/settings.ts';
import { deviceOf, isMountedOnDemand } from './settings/volumes.ts';

/** Storage that both hosts are to have, as the source tells the destination of it before a move. */
const ProbedStorage = Type.Object({
  /** A path that is the same at both hosts, … */
  path: Type.Optional(Type.String()),
  /** … or a volume, wherever Docker keeps it. */
  volume: Type.Optional(Type.String()),
  probe: Type.Object({ name: Type.String({ pattern: PROBE_NAME }), content: Type.String() }),
});
type ProbedStorage = Static<typeof ProbedStorage>;
const Evidence = Type.Array(ProbedStorage);

/** What is shared and where this host has it, if that can be looked into now. */
interface SharedDir {
  readonly dir: string;
  readonly path?: string;
  readonly volume?: string;
}

interface Laid {
  readonly dir: string;
  readonly probed: ProbedStorage;
  /** Once somebody wanted to know. */
  taken?: Promise<boolean>;
}

/** A probe that nobody has taken away goes by itself: preflight is over by then. */
const KEPT_MS = 15_000;

/** Shared storage of a container that Docker need not mount first. */
async function sharedDirs(api: DockerApi, { shape, volumes }: DockerSettings): Promise<SharedDir[]> {
  const dirs: SharedDir[] = shape.binds
    .filter(({ shared }) => shared)
    .map(({ source }) => ({ dir: source, path: source }));
  for (const volume of volumes) {
    if (!volume.shared || isMountedOnDemand(volume)) continue;
    const device = deviceOf(volume);
    const dir = device ?? (await api.volume(volume.name))?.Mountpoint;
    if (dir !== undefined) dirs.push({ dir, ...(device ? { path: device } : { volume: volume.name }) });
  }
  return dirs;
}

/** Source: whether what a container has on shared storage is at the other host as well. */
export class SharedStorage {
  /** The last ones, by container. */
  readonly #laid = new Map<string, Laid[]>();

  /** Lay probes for the other host to find. */
  async lay(
    name: string,
    api: DockerApi,
    settings: DockerSettings,
  ): Promise<{ evidence: string; findings: Finding[] }> {
    const laid: Laid[] = [];
    const findings: Finding[] = [];
    this.#laid.set(name, laid);
    for (const { dir, ...where } of await sharedDirs(api, settings)) {
      try {
        laid.push({ dir, probed: { ...where, probe: await layProbe(dir) } });
      } catch (error) {
        findings.push(
          notShared(dir, `this host may not write to it (${(error as NodeJS.ErrnoException).code})`),
        );
      }
    }
    if (laid.length > 0) setTimeout(() => laid.forEach(isTaken), KEPT_MS).unref();
    return { evidence: JSON.stringify(laid.map(({ probed }) => probed)), findings };
  }

  /** @throws HoldfastError `FILES_NOT_SHARED` when the other host has found something else than what was laid here */
  async confirm(name: string): Promise<void> {
    const laid = this.#laid.get(name) ?? [];
    this.#laid.delete(name);
    for (const each of laid) {
      if (await isTaken(each)) continue;
      const { code, message, mend } = notShared(
        each.dir,
        'this host does not see what the other one does to it',
      );
      throw new HoldfastError(code, message, { mend });
    }
  }
}

function isTaken(laid: Laid): Promise<boolean> {
  laid.taken ??= wasTaken(laid.dir, laid.probed.probe);
  return laid.taken;
}

/** Destination: what stands against its being the same storage here. */
export async function admitStorage(api: DockerApi, evidence: string | undefined): Promise<Finding[]> {
  const all: unknown = JSON.parse(evidence ?? '[]');
  if (!Value.Check(Evidence, all)) {
    throw new HoldfastError(
      'AGENT_ANSWER_INVALID',
      'what the source tells of shared storage makes no sense here',
      {
        mend: 'run the same version of Holdfast on both hosts',
      },
    );
  }
  const findings: Finding[] = [];
  for (const { path, volume = '', probe } of all) {
    const dir = path ?? (await api.volume(volume))?.Mountpoint;
    const why = dir === undefined ? 'there is no such volume here' : await takeProbe(dir, probe);
    if (why !== undefined) findings.push(notShared(path ?? `the volume ${volume}`, why));
  }
  return findings;
}

function notShared(what: string, why: string): Finding {
  return {
    code: 'FILES_NOT_SHARED',
    message: `${what} is to be storage that both hosts share, and is not: ${why}`,
    mend: 'mount the same storage at both hosts, or say otherwise under `storage` of the container in agent.yaml',
  };
}
