import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import { codecOf, codecs, Encoding } from '../../../transfer/codec.ts';
import { Channel, type Received } from './channel.ts';
import { EngineImages, type ImageHere, Load } from './engine-images.ts';
import { imageStreamInvalid, imageVanished, layerDamaged } from './errors.ts';
import { imageArchive } from './image-archive.ts';
import { imageBlobs } from './image-blobs.ts';
import { LayersHere } from './layers-here.ts';
import type { MessageOf } from './messages.ts';
import { giveNames, type Names } from './names.ts';
import type { ImageSpool } from './spool.ts';
import type { SpooledBlob } from './spooled-blob.ts';

/** How often an image is asked for that is deleted, or what it shares with others, or goes bad, while it is brought. */
const ATTEMPTS = 4;

export interface ImageReceived extends Names {
  readonly imageId: string;
  readonly bytesReceived: number;
}

/**
 * Destination: take an image from the engine at the other end of `stream`, as far as this one lacks it. What came of an
 * image before a transfer broke is kept in the spool, and the next one goes on there.
 *
 * @throws HoldfastError what `sendImage` failed with, `LAYER_DAMAGED`, `LAYERS_DISK_FULL`, `IMAGE_LOAD_FAILED`,
 * `IMAGE_VANISHED`, `IMAGE_STREAM_INVALID`, `DOCKER_IMAGES_FAILED`, `LINK_BROKEN`, `LINK_STALLED`
 */
export async function receiveImage(
  docker: Docker,
  spool: ImageSpool,
  stream: Duplex,
  signal: AbortSignal,
): Promise<ImageReceived> {
  const channel = new Channel(stream, signal);
  try {
    const { message: offer } = await channel.next();
    if (offer.type !== 'offer') throw imageStreamInvalid(`${offer.type} before an offer`);
    const receiving = new Receiving(new EngineImages(docker), spool, channel, offer);
    const names = await receiving.run();
    await channel.send({ type: 'done', ...names });
    await channel.end();
    return { imageId: offer.imageId, ...names, bytesReceived: channel.receivedBytes };
  } catch (error) {
    const reason = channel.reasonOf(error);
    await channel.fail(reason);
    throw reason;
  }
}

class Receiving {
  readonly #images: EngineImages;
  readonly #spool: ImageSpool;
  readonly #channel: Channel;
  readonly #offer: MessageOf<'offer'>;

  constructor(images: EngineImages, spool: ImageSpool, channel: Channel, offer: MessageOf<'offer'>) {
    this.#images = images;
    this.#spool = spool;
    this.#channel = channel;
    this.#offer = offer;
  }

  async run(): Promise<Names> {
    const { imageId, names } = this.#offer;
    const { signal } = this.#channel;
    let came: Load = Load.done;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      came = await this.#bring();
      if (came !== Load.done) continue;
      const given = await giveNames(this.#images, imageId, names, signal);
      if (given) return given;
    }
    throw came === Load.layerDamaged ? layerDamaged(imageId) : imageVanished(imageId);
  }

  async #bring(): Promise<Load> {
    const { imageId, layers } = this.#offer;
    const { signal } = this.#channel;
    if (await this.#images.find(imageId, signal)) return Load.done;
    const here = await LayersHere.of(this.#images, signal);
    const digests = [imageId, ...here.missing(layers)];
    const release = await this.#spool.take(digests, signal);
    if (!release) return this.#bring(); // What another image had in hand may be here now.
    try {
      return await this.#bringBlobs(digests, here);
    } finally {
      release();
    }
  }

  async #bringBlobs(digests: readonly string[], here: LayersHere): Promise<Load> {
    const { imageId, layers } = this.#offer;
    const { signal } = this.#channel;
    const blobs = await this.#spool.open(digests, signal);
    try {
      await this.#takeFromImages(blobs, here);
      await this.#takeFromSource(blobs);
      if (!blobs.every((blob) => blob.whole)) return Load.layerDamaged;
      const loaded = await this.#images.load(imageId, imageArchive(imageId, layers, blobs), signal);
      if (loaded === Load.done) await this.#spool.remove(blobs);
      return loaded;
    } catch (error) {
      // A disk that is full gets back what was taken of it.
      if (isDiskFull(error)) await this.#spool.remove(blobs);
      throw error;
    } finally {
      for (const blob of blobs) await blob.close();
    }
  }

  /** Layers that another image has here, on another base. */
  async #takeFromImages(blobs: readonly SpooledBlob[], here: LayersHere): Promise<void> {
    const { signal } = this.#channel;
    const byImage = new Map<ImageHere, Map<string, SpooledBlob>>();
    for (const blob of blobs) {
      const owner = blob.whole ? undefined : here.imageWith(blob.digest);
      if (!owner) continue;
      const of = byImage.get(owner) ?? new Map<string, SpooledBlob>();
      byImage.set(owner, of.set(blob.digest, blob));
    }
    for (const [owner, of] of byImage) {
      try {
        for await (const { digest, sizeBytes, content } of imageBlobs(
          this.#images,
          owner,
          of.keys(),
          signal,
        )) {
          const blob = of.get(digest);
          await this.#spool.expect(sizeBytes);
          await blob?.begin(0);
          for await (const piece of content) await blob?.append(piece);
          await blob?.finish();
        }
      } catch (error) {
        signal.throwIfAborted();
        if (isDiskFull(error)) throw error;
        // Deleted meanwhile, or not to be read: then it comes from the source, as if it had never been here.
      }
    }
  }

  async #takeFromSource(blobs: readonly SpooledBlob[]): Promise<void> {
    const wanted = new Map(blobs.filter((blob) => !blob.whole).map((blob) => [blob.digest, blob]));
    if (wanted.size === 0) return;
    await this.#channel.send({
      type: 'wants',
      blobs: [...wanted.values()].map(({ digest, sizeBytes }) => ({ digest, fromByte: sizeBytes })),
      encodings: codecs.map(({ encoding }) => encoding),
    });
    for (;;) {
      const { message } = await this.#channel.next();
      if (message.type === 'sent') break;
      const blob = message.type === 'blob' ? wanted.get(message.digest) : undefined;
      if (message.type !== 'blob' || !blob)
        throw imageStreamInvalid(`${message.type}, not what was asked for`);
      wanted.delete(message.digest);
      await this.#takeBlob(blob, message);
    }
    if (wanted.size > 0) throw imageStreamInvalid(`without ${[...wanted.keys()].join(', ')}`);
  }

  async #takeBlob(blob: SpooledBlob, { sizeBytes, fromByte }: MessageOf<'blob'>): Promise<void> {
    if (fromByte !== 0 && fromByte !== blob.sizeBytes)
      throw imageStreamInvalid(`a blob from byte ${fromByte}`);
    await this.#spool.expect(sizeBytes - fromByte);
    await blob.begin(fromByte);
    while (blob.sizeBytes < sizeBytes) {
      const raw = await decode(await this.#channel.next());
      if (blob.sizeBytes + raw.length > sizeBytes) throw imageStreamInvalid('more of a blob than it has');
      await blob.append(raw);
    }
    if (await blob.finish()) return;
    await this.#spool.remove([blob]);
    // What was left from before may have been wrong, and is asked for anew; what came just now is no better the next time.
    if (fromByte === 0) throw layerDamaged(blob.digest);
  }
}

async function decode({ message, payload }: Received): Promise<Uint8Array> {
  if (message.type !== 'data') throw imageStreamInvalid(`${message.type} in the middle of a blob`);
  const { encoding, rawBytes } = message;
  const codec = codecOf(encoding);
  if (encoding !== Encoding.identity && !codec) throw imageStreamInvalid(`the encoding ${encoding}`);
  try {
    const raw = codec ? await codec.decode(payload, rawBytes) : payload;
    if (raw.length === rawBytes) return raw;
  } catch (cause) {
    throw imageStreamInvalid(`data that is not ${encoding}`, cause);
  }
  throw imageStreamInvalid(`data of another length than told`);
}

function isDiskFull(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === 'LAYERS_DISK_FULL';
}
