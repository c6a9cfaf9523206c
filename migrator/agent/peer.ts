import { Value } from '@sinclair/typebox/value';
import { type ErrorBody, fromErrorBody, HoldfastError } from '../errors.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import { type Codec, codecs } from '../transfer/codec.ts';
import { Link } from '../transfer/link.ts';
import { uploadImages } from '../transfer/upload.ts';
import { ErrorReply, ImagesOffer, type SendReply } from './protocol.ts';

/** With nothing acknowledged for this long, the link counts as cut. */
const STALL_MS = 3_000;

/** The destination's agent, as the source's sees it: a link that stands ready before the freeze. */
export class Peer {
  readonly #link: Link;
  readonly #path: string;
  readonly #codec: Codec | undefined;

  private constructor(link: Link, path: string, codec: Codec | undefined) {
    this.#link = link;
    this.#path = path;
    this.#codec = codec;
  }

  /**
   * Connect, and ask whether images of this migration are awaited there.
   *
   * @throws HoldfastError `LINK_BROKEN`, and what the other agent answers
   */
  static async connect(options: {
    url: string;
    migrationId: string;
    tls: TlsMaterial;
    signal: AbortSignal;
  }): Promise<Peer> {
    const { signal } = options;
    const link = new Link(options);
    const path = `/v1/migrations/${options.migrationId}/images`;
    try {
      await link.open(signal);
      const { statusCode, body } = await link.getJson(path, signal);
      if (statusCode >= 400 && Value.Check(ErrorReply, body)) throw fromErrorBody(body as ErrorBody);
      if (statusCode >= 300 || !Value.Check(ImagesOffer, body)) {
        throw new HoldfastError('AGENT_ANSWER_INVALID', `${options.url} answered what was not understood`, {
          mend: 'run the same version of Holdfast everywhere, and check that it is an agent',
        });
      }
      const codec = codecs.find(({ encoding }) => body.encodings.includes(encoding));
      return new Peer(link, path, codec);
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** @throws HoldfastError see `uploadImages` */
  async send(dir: string, signal: AbortSignal): Promise<SendReply> {
    const { imageBytes } = await uploadImages({
      link: this.#link,
      path: this.#path,
      dir,
      codec: this.#codec,
      stallMs: STALL_MS,
      signal,
    });
    return { bytesSent: this.#link.bytesSent, imageBytes };
  }

  close(): void {
    this.#link.close();
  }
}
