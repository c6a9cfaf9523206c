import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import { BufferStore } from '../../../transfer/buffers.ts';
import { codecs } from '../../../transfer/codec.ts';
import { encode } from '../../../transfer/encode.ts';
import { EncodingChoice, Patience } from '../../../transfer/encoding-choice.ts';
import { chunksOf } from './blob-chunks.ts';
import { Channel, type Received } from './channel.ts';
import { EngineImages, type ImageHere } from './engine-images.ts';
import { imageNotFound, imageStreamInvalid } from './errors.ts';
import { type ImageBlob, imageBlobs } from './image-blobs.ts';
import { CHUNK_BYTES, type MessageOf } from './messages.ts';
import type { Names } from './names.ts';

/** Chunks being encoded ahead of the one that is written: as many as the thread pool has threads. */
const AHEAD = 4;

export interface ImageSent extends Names {
  /** Put on the stream, as encoded, with all that goes with it. */
  readonly bytesSent: number;
  readonly layers: number;
  /** Those of them that crossed, or the rest of which did. */
  readonly layersSent: number;
}

/**
 * Source: give the engine at the other end of `stream` an image, as far as it lacks it. Settles when it is there.
 *
 * @param imageId its whole id, `sha256:…`
 * @throws HoldfastError what `receiveImage` failed with, `IMAGE_NOT_FOUND`, `LAYERS_UNAVAILABLE`, `DOCKER_IMAGES_FAILED`,
 * `LINK_BROKEN`, `LINK_STALLED`
 */
export async function sendImage(
  docker: Docker,
  imageId: string,
  stream: Duplex,
  signal: AbortSignal,
): Promise<ImageSent> {
  const channel = new Channel(stream, signal);
  try {
    const sent = await new Sending(new EngineImages(docker), imageId, channel).run();
    await channel.end();
    return { ...sent, bytesSent: channel.sentBytes };
  } catch (error) {
    const reason = channel.reasonOf(error);
    await channel.fail(reason);
    throw reason;
  }
}

class Sending {
  readonly #images: EngineImages;
  readonly #imageId: string;
  readonly #channel: Channel;
  readonly #sent = new Set<string>();
  readonly #buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: AHEAD + 2 });

  constructor(images: EngineImages, imageId: string, channel: Channel) {
    this.#images = images;
    this.#imageId = imageId;
    this.#channel = channel;
  }

  async run(): Promise<Omit<ImageSent, 'bytesSent'>> {
    const channel = this.#channel;
    const image = await this.#images.find(this.#imageId, channel.signal);
    if (!image) throw imageNotFound(this.#imageId);
    const { layers, names } = image;
    await channel.send({ type: 'offer', imageId: this.#imageId, layers: [...layers], names: [...names] });
    for (let answer = channel.next(); ; ) {
      const { message } = await answer;
      if (message.type === 'done') {
        const layersSent = layers.filter((layer) => this.#sent.has(layer)).length;
        return {
          layers: layers.length,
          layersSent,
          names: message.names,
          namesTaken: message.namesTaken,
        };
      }
      if (message.type !== 'wants') throw imageStreamInvalid(`${message.type}, not an answer`);
      // The other end is listened to meanwhile: it may fail, or say how far it has come.
      answer = channel.next();
      answer.catch(() => {}); // It fires the channel's signal, which ends the sending.
      await this.#sendWanted(image, message).catch((error) => explain(error, answer));
    }
  }

  async #sendWanted(image: ImageHere, wants: MessageOf<'wants'>): Promise<void> {
    const { signal, meter } = this.#channel;
    const codec = codecs.find(({ encoding }) => wants.encodings.includes(encoding));
    const choice = new EncodingChoice({ codec, meter, patience: Patience.ahead });
    const wanted = new Map(wants.blobs.map(({ digest, fromByte }) => [digest, fromByte]));
    for await (const blob of imageBlobs(this.#images, image, wanted.keys(), signal)) {
      const fromByte = wanted.get(blob.digest) ?? 0;
      // Of what has all bytes and still another digest, some are wrong.
      await this.#sendBlob(blob, fromByte < blob.sizeBytes ? fromByte : 0, choice);
      this.#sent.add(blob.digest);
    }
    await this.#channel.send({ type: 'sent' });
  }

  /** Chunks are read and encoded a few ahead, sent in order, and never faster than the stream takes them. */
  async #sendBlob(blob: ImageBlob, fromByte: number, choice: EncodingChoice): Promise<void> {
    const { digest, sizeBytes, content } = blob;
    await this.#channel.send({ type: 'blob', digest, sizeBytes, fromByte });
    const underWay: Promise<void>[] = [];
    let last = Promise.resolve();
    for await (const { raw, buffer } of chunksOf(content, fromByte, this.#buffers)) {
      last = this.#sendAfter(last, encode(raw, choice), raw.length).then(() => this.#buffers.give(buffer));
      last.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
      underWay.push(last);
      if (underWay.length > AHEAD) await underWay.shift();
    }
    await last;
  }

  async #sendAfter(before: Promise<void>, ready: ReturnType<typeof encode>, rawBytes: number): Promise<void> {
    const [{ encoding, payload }] = await Promise.all([ready, before]);
    await this.#channel.send({ type: 'data', rawBytes, encoding }, payload);
  }
}

/** What the other end said before it closed the stream says more than the broken pipe. */
async function explain(error: unknown, answer: Promise<Received>): Promise<never> {
  if (error instanceof HoldfastError && error.code === 'LINK_BROKEN') await answer;
  throw error;
}
