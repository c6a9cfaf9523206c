import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { anySignal } from '../../../any-signal.ts';
import { insist } from '../../../deadlines.ts';
import { HoldfastError } from '../../../errors.ts';
import { linkStalled } from '../../../transfer/errors.ts';
import { type ImageSent, sendImage } from './send-image.ts';

/** How long the link may be away in the middle of an image. Nobody waits meanwhile: the app runs. */
const AWAY_MS = 30_000;
const OPEN_MS = 5_000;

/**
 * Send an image over as many streams as it takes: what came before the link broke is kept at the destination, and it goes on
 * there once the link is back.
 *
 * @param open opens a stream, which lives no longer than the signal it is given
 * @throws HoldfastError as `sendImage`
 */
export async function sendThroughBreaks(
  docker: Docker,
  imageId: string,
  open: (signal: AbortSignal) => Promise<Duplex>,
  signal: AbortSignal,
): Promise<ImageSent> {
  const within = { attemptMs: OPEN_MS, withinMs: AWAY_MS, signal };
  for (;;) {
    const stream = await insist(() => openSoon(open, signal), within);
    try {
      return await sendImage(docker, imageId, stream, signal);
    } catch (error) {
      if (!isLinkError(error)) throw error;
    }
  }
}

/** A link that is away takes minutes to say so. The deadline is the opening's, not the stream's. */
async function openSoon(
  open: (signal: AbortSignal) => Promise<Duplex>,
  signal: AbortSignal,
): Promise<Duplex> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(linkStalled('the destination', OPEN_MS)), OPEN_MS);
  try {
    return await open(anySignal([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

function isLinkError(error: unknown): boolean {
  return error instanceof HoldfastError && (error.code === 'LINK_BROKEN' || error.code === 'LINK_STALLED');
}
