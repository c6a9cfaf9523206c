import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { OciContainer } from '../oci/container.ts';
import { runcPlaceOf } from './runc-place.ts';

/** Where runc has Docker's containers: found once for each, so that nothing has to be asked in a freeze. */
export class Places {
  readonly #operationDir: string;
  readonly #known = new Map<string, OciContainer>();

  /** @param operationDir for the records of a runc at work on them */
  constructor(operationDir: string) {
    this.#operationDir = operationDir;
  }

  /** What was found last, if it may still be true: of a container that is there, or about to be. */
  known(name: string): OciContainer | undefined {
    return this.#known.get(name);
  }

  /** As `known`, of a container that runc has a record of. */
  existing(name: string): OciContainer | undefined {
    const place = this.#known.get(name);
    return place && existsSync(join(place.runcRoot, place.id, 'state.json')) ? place : undefined;
  }

  /** @throws HoldfastError `CONTAINER_NOT_RUNNING` */
  async learn(name: string, id: string): Promise<OciContainer> {
    const place = {
      name,
      id,
      ...(await runcPlaceOf(name, id)),
      operationFile: join(this.#operationDir, `${name}.json`),
    };
    this.#known.set(name, place);
    return place;
  }

  forget(name: string): void {
    this.#known.delete(name);
  }
}
