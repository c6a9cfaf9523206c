import { readFile } from 'node:fs/promises';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type Docker from 'dockerode';
import { replaceFile } from '../../../replace-file.ts';
import { type DockerApi, dockerApi } from './docker-api.ts';
import type { DockerSettings } from './docker-settings.ts';
import type { InspectedVolume } from './inspected.ts';

/** When each was made, by its name. */
const OwnVolumes = Type.Record(Type.String(), Type.String());
export type OwnVolumes = Static<typeof OwnVolumes>;

const Ledger = Type.Record(Type.String(), OwnVolumes);

/**
 * Which volumes of this host a container had in an earlier move, away or here. On the way back they may be written to.
 * A volume that merely has the same name may not, nor one that was removed and made anew in the meantime.
 */
export class VolumeLedger {
  readonly #file: string;
  /** Writes follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param file must outlive a restart of the host */
  constructor(file: string) {
    this.#file = file;
  }

  async of(container: string): Promise<OwnVolumes> {
    await this.#last;
    return (await this.#read())[container] ?? {};
  }

  /** Settles when it is on disk. */
  async remember(container: string, volumes: OwnVolumes): Promise<void> {
    const write = this.#last.then(async () => {
      const ledger = await this.#read();
      const own = { ...ledger[container], ...volumes };
      await replaceFile(this.#file, `${JSON.stringify({ ...ledger, [container]: own })}\n`);
    });
    this.#last = write.catch(() => {});
    await write;
  }

  async #read(): Promise<Static<typeof Ledger>> {
    try {
      const ledger: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      if (Value.Check(Ledger, ledger)) return ledger;
    } catch {
      // None yet, or none that makes sense: then nothing here is known to be the container's, and nothing is replaced.
    }
    return {};
  }
}

/** Source: before the container is removed, so that its volumes are found when it comes back. */
export async function leaveVolumes(
  docker: Docker,
  settings: DockerSettings,
  ledger: VolumeLedger,
  signal: AbortSignal,
): Promise<void> {
  await claimVolumes(dockerApi(docker, signal), settings, ledger);
}

export async function claimVolumes(
  api: DockerApi,
  { shape, volumes }: DockerSettings,
  ledger: VolumeLedger,
): Promise<void> {
  const found = await Promise.all(
    volumes.filter(({ shared }) => !shared).map(({ name }) => api.volume(name)),
  );
  const own = found.flatMap((volume) =>
    volume === undefined ? [] : [[volume.Name, createdAt(volume)] as const],
  );
  if (own.length > 0) await ledger.remember(shape.name, Object.fromEntries(own));
}

/** The local driver always tells it. */
export function createdAt({ CreatedAt = '' }: InspectedVolume): string {
  return CreatedAt;
}
