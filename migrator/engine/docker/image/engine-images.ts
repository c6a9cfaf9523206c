import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import { within } from '../../../within.ts';
import { layersDiskFull, loadFailed } from './errors.ts';

/** What dockerd says of a load is a few lines. */
const LONGEST_ANSWER_CHARS = 256 * 1024;
/** Images are looked at one by one, this many at a time. */
const ASKED_AT_ONCE = 8;

export interface ImageHere {
  readonly id: string;
  /** The diff ids of its layers, from the bottom up. */
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

/** How a load went. */
export const Load = {
  done: 'done',
  /** A layer that was to be there already is not: its image was deleted meanwhile. */
  layerGone: 'layer-gone',
  /** A layer's file has other content than it had when it was checked. */
  layerDamaged: 'layer-damaged',
} as const;
export type Load = (typeof Load)[keyof typeof Load];

/** The images of one Docker Engine. Errors of its API are told as `DOCKER_IMAGES_FAILED`. */
export class EngineImages {
  readonly #docker: Docker;

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** @param reference an image's id, or a name with its tag */
  async find(reference: string, signal: AbortSignal): Promise<ImageHere | undefined> {
    try {
      const image = await within(this.#docker.getImage(reference).inspect(), signal);
      return { id: image.Id, layers: image.RootFS?.Layers ?? [], names: image.RepoTags ?? [] };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw translate(`looking at ${reference}`, error, signal);
    }
  }

  async all(signal: AbortSignal): Promise<ImageHere[]> {
    const ids = await within(this.#docker.listImages(), signal).then(
      (images) => images.map((image) => image.Id),
      (error) => Promise.reject(translate('listing images', error, signal)),
    );
    const found: ImageHere[] = [];
    const ask = async () => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const image = await this.find(id, signal);
        if (image) found.push(image); // Otherwise it was deleted since.
      }
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask));
    return found;
  }

  /** Where it keeps its images, if that is by overlay2, in layers of its own. */
  async dataRoot(signal: AbortSignal): Promise<string | undefined> {
    try {
      const { Driver, DockerRootDir } = (await within(this.#docker.info(), signal)) as {
        Driver?: string;
        DockerRootDir?: string;
      };
      return Driver === 'overlay2' ? DockerRootDir : undefined;
    } catch (error) {
      throw translate('looking at the engine', error, signal);
    }
  }

  /** @returns false when the image is not there (any more) */
  async tag(id: string, name: string, signal: AbortSignal): Promise<boolean> {
    const colon = name.lastIndexOf(':');
    const reference = { repo: name.slice(0, colon), tag: name.slice(colon + 1) };
    try {
      await within(this.#docker.getImage(id).tag(reference), signal);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw translate(`naming ${id} ${name}`, error, signal);
    }
  }

  /** `docker save`: the image as a tar. Docker writes all of it to its own disk before the first byte comes. */
  async save(id: string, signal: AbortSignal): Promise<Readable> {
    const statusCodes = { 200: true, 404: 'no such image', 500: 'server error' };
    const request = { path: `/images/${id}/get`, method: 'GET', isStream: true, statusCodes };
    try {
      // The library's own call for this cannot be called off.
      return await new Promise((resolve, reject) => {
        this.#docker.modem.dial({ ...request, abortSignal: signal }, (error, response) =>
          error ? reject(error) : resolve(response as IncomingMessage),
        );
      });
    } catch (error) {
      throw translate(`saving ${id}`, error, signal);
    }
  }

  /** `docker load` of one image. @throws HoldfastError `IMAGE_LOAD_FAILED`, `LAYERS_DISK_FULL` */
  async load(id: string, archive: Readable, signal: AbortSignal): Promise<Load> {
    try {
      const options = { quiet: true, abortSignal: signal };
      const answer = (await this.#docker.loadImage(archive, options)) as IncomingMessage;
      const failure = failureIn(await textOf(answer));
      if (failure === undefined) return Load.done;
      if (/no space left on device|disk quota exceeded/i.test(failure)) {
        throw layersDiskFull("Docker's data root", new Error(failure));
      }
      if (/invalid diffid/i.test(failure)) return Load.layerDamaged;
      if (/no such file or directory|layer does not exist/i.test(failure)) return Load.layerGone;
      throw loadFailed(id, failure);
    } catch (error) {
      throw translate(`loading ${id}`, error, signal);
    } finally {
      archive.destroy();
    }
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) {
    text += part;
    if (text.length > LONGEST_ANSWER_CHARS) throw new Error('an answer without end');
  }
  return text;
}

/** dockerd answers 200 first and says afterwards, among its progress, that it failed. */
function failureIn(answer: string): string | undefined {
  for (const line of answer.split('\n')) {
    if (line.trim() === '') continue;
    const said = JSON.parse(line) as { error?: string };
    if (said.error !== undefined) return said.error;
  }
  return undefined;
}

function isNotFound(error: unknown): boolean {
  return (error as { statusCode?: number }).statusCode === 404;
}

function translate(what: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof HoldfastError) return error;
  const why = (error instanceof Error ? error.message : String(error)).trim();
  return new HoldfastError('DOCKER_IMAGES_FAILED', `Docker failed at ${what}: ${why}`, {
    mend: 'see that the Docker Engine runs on both hosts, and its log',
    retryable: true,
    cause: error,
  });
}
