import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, lstat, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { ImageHere } from './engine-images.ts';
import { layersUnavailable } from './errors.ts';
import type { ImageBlob } from './image-blobs.ts';

/** One piece of a layer's tar, as tar-split (github.com/vbatts/tar-split) has Docker keep them: a line of JSON each. */
interface Entry {
  readonly type: number;
  /** Of a file, where its content stands in the layer's directory; the second one if it is no UTF-8. */
  readonly name?: string;
  readonly name_raw?: string;
  readonly size?: number;
  /** Of a segment, its bytes in base64. */
  readonly payload?: string;
}
const SEGMENT = 2;

const READ_BYTES = 256 * 1024;
const DIGEST = /^sha256:([0-9a-f]{64})$/;

interface Layer {
  readonly filesDir: string;
  readonly split: string;
  readonly sizeBytes: number;
}

/**
 * Where a Docker Engine with overlay2 keeps its images: a layer's files unpacked, and beside them what its tar had besides,
 * from which Docker itself puts the tar together again. Read here, a layer's first byte comes at once; `docker save` writes
 * all layers to the disk before. Whoever gets a blob checks its digest, so a store that is kept in another way costs an
 * attempt and nothing else.
 */
export class LayerStore {
  readonly #dir: string;
  readonly #filesDir: string;

  /** @param dataRoot Docker's, as this process reaches it */
  constructor(dataRoot: string) {
    this.#dir = path.join(dataRoot, 'image/overlay2');
    this.#filesDir = path.join(dataRoot, 'overlay2');
  }

  /** One of an image's blobs, its configuration or a layer; undefined where it is not kept as is known here. */
  async blob(image: ImageHere, digest: string, signal: AbortSignal): Promise<ImageBlob | undefined> {
    if (digest === image.id) return this.#configuration(digest);
    const height = image.layers.indexOf(digest);
    if (height < 0) return undefined;
    try {
      const layer = await this.#layer(chainId(image.layers.slice(0, height + 1)), signal);
      return { digest, sizeBytes: layer.sizeBytes, content: contentOf(layer, image.id, signal) };
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #configuration(digest: string): Promise<ImageBlob | undefined> {
    try {
      const content = await readFile(path.join(this.#dir, 'imagedb/content/sha256', hexOf(digest)));
      return { digest, sizeBytes: content.length, content: only(content) };
    } catch {
      return undefined;
    }
  }

  /** @throws Error unless every file of it is there, with the size it has in the tar */
  async #layer(chain: string, signal: AbortSignal): Promise<Layer> {
    const dir = path.join(this.#dir, 'layerdb/sha256', hexOf(chain));
    const cacheId = (await readFile(path.join(dir, 'cache-id'), 'utf8')).trim();
    if (!/^[0-9a-z-]+$/.test(cacheId)) throw new Error(`no name of a directory: ${cacheId}`);
    const filesDir = path.join(this.#filesDir, cacheId, 'diff');
    const split = path.join(dir, 'tar-split.json.gz');
    const directories = new Directories(filesDir);
    let sizeBytes = 0;
    for await (const { name, bytes } of piecesOf(split, signal)) {
      sizeBytes += typeof bytes === 'number' ? bytes : bytes.length;
      if (name === undefined) continue;
      await directories.check(path.dirname(name));
      const found = await lstat(fileIn(filesDir, name));
      if (!found.isFile() || found.size !== bytes) throw new Error(`${name} is another file`);
    }
    return { filesDir, split, sizeBytes };
  }
}

/** Nothing is read by way of a symbolic link: in a layer that was made to deceive it may lead out of there. */
class Directories {
  readonly #root: string;
  readonly #known = new Set(['.', '/', '']);

  constructor(root: string) {
    this.#root = root;
  }

  async check(dir: string): Promise<void> {
    if (this.#known.has(dir)) return;
    await this.check(path.dirname(dir));
    if (!(await lstat(fileIn(this.#root, dir))).isDirectory()) throw new Error(`${dir} is no directory`);
    this.#known.add(dir);
  }
}

/** What a tar is put together from, in order: bytes, or so many of a file. Names are bytes, each as one character. */
async function* piecesOf(
  split: string,
  signal: AbortSignal,
): AsyncGenerator<{ name?: undefined; bytes: Buffer } | { name: string; bytes: number }> {
  const packed = createReadStream(split, { signal });
  const unpacked = createGunzip();
  packed.on('error', (error) => unpacked.destroy(error));
  try {
    for await (const line of linesOf(packed.pipe(unpacked))) {
      const { type, name = '', name_raw, size = 0, payload = '' } = JSON.parse(line) as Entry;
      if (type === SEGMENT) yield { bytes: Buffer.from(payload, 'base64') };
      else if (size > 0) {
        const raw = name_raw === undefined ? Buffer.from(name) : Buffer.from(name_raw, 'base64');
        yield { name: path.posix.normalize(`./${raw.toString('latin1')}`), bytes: size };
      }
    }
  } finally {
    packed.destroy();
    unpacked.destroy();
  }
}

/** Node's readline would not tell of a stream that broke off. */
async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const text of stream as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

async function* contentOf(layer: Layer, imageId: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const { name, bytes } of piecesOf(layer.split, signal)) {
      if (name === undefined) yield bytes;
      else yield* fileContent(fileIn(layer.filesDir, name), bytes);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw layersUnavailable(imageId, 'files of a layer went away while they were read', error);
  }
}

/** Exactly so many bytes. */
async function* fileContent(file: Buffer, sizeBytes: number): AsyncGenerator<Buffer> {
  const opened = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let left = sizeBytes; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, READ_BYTES));
      const { bytesRead } = await opened.read(buffer, 0, buffer.length);
      if (bytesRead === 0) throw new Error(`${file} was cut`);
      yield buffer.subarray(0, bytesRead);
      left -= bytesRead;
    }
  } finally {
    await opened.close();
  }
}

/** @param name of bytes, and not leading up */
function fileIn(dir: string, name: string): Buffer {
  if (name === '..' || name.startsWith('../')) throw new Error(`${name} leads out of the layer`);
  return Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')]);
}

/** What Docker keeps a layer under: it and all below it (the image specification's ChainID). */
function chainId(layers: readonly string[]): string {
  const [lowest = '', ...above] = layers;
  return above.reduce(
    (chain, layer) => `sha256:${createHash('sha256').update(`${chain} ${layer}`).digest('hex')}`,
    lowest,
  );
}

function hexOf(digest: string): string {
  const hex = DIGEST.exec(digest)?.[1];
  if (hex === undefined) throw new Error(`no digest: ${digest}`);
  return hex;
}

async function* only(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
