import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import type Docker from 'dockerode';
import type { Test } from 'tap';
import {
  type ImageReceived,
  receiveImage,
} from '../../../../../migrator/engine/docker/image/receive-image.ts';
import { type ImageSent, sendImage } from '../../../../../migrator/engine/docker/image/send-image.ts';
import { ImageSpool } from '../../../../../migrator/engine/docker/image/spool.ts';
import type { HoldfastError } from '../../../../../migrator/errors.ts';

const LONGEST_MS = 60_000;

export type Outcome<T> = T | HoldfastError;

export interface TwoEnds {
  readonly spoolDir: string;
  /** Move an image from one engine to the other, and tell how it went at both. */
  move(
    imageId: string,
    options?: {
      /** The connection breaks when this much has passed from the source. */
      readonly cutAfterBytes?: number;
      /** Called with every piece that comes to the destination, to do something to it or meanwhile. */
      readonly onPiece?: (piece: Buffer) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<{ sent: Outcome<ImageSent>; received: Outcome<ImageReceived> }>;
}

/** Two engines, and connections between them as agents have them. */
export function twoEnds(t: Test, engines: { from: Docker; to: Docker; spoolDir?: string }): TwoEnds {
  const spoolDir = engines.spoolDir ?? path.join(t.testdir({}), 'spool');
  const spool = new ImageSpool(spoolDir);
  return {
    spoolDir,
    async move(
      imageId,
      { cutAfterBytes, onPiece = () => {}, signal = AbortSignal.timeout(LONGEST_MS) } = {},
    ) {
      const [near, far] = await connection();
      const read = far.read.bind(far);
      far.read = (sizeBytes?: number) => {
        if (far.bytesRead > (cutAfterBytes ?? Number.POSITIVE_INFINITY)) far.destroy(new Error('cut'));
        const piece: Buffer | null = read(sizeBytes);
        if (piece) onPiece(piece);
        return piece;
      };
      try {
        const [sent, received] = await Promise.all([
          sendImage(engines.from, imageId, near, signal).catch((error: HoldfastError) => error),
          receiveImage(engines.to, spool, far, signal).catch((error: HoldfastError) => error),
        ]);
        return { sent, received };
      } finally {
        near.destroy();
        far.destroy();
      }
    },
  };
}

/** Two ends of a TCP connection. */
export async function connection(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const far = await accepted;
  server.close();
  return [near, far];
}
