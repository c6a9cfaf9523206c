import { Encoding } from './codec.ts';
import type { EncodingChoice } from './encoding-choice.ts';

export interface Encoded {
  readonly encoding: Encoding;
  readonly payload: Uint8Array;
}

export function asItIs(raw: Buffer): Encoded {
  return { encoding: Encoding.identity, payload: raw };
}

/** Encode a chunk where that gets it to the other end sooner, and learn from it. */
export async function encode(raw: Buffer, choice: EncodingChoice): Promise<Encoded> {
  const codec = raw.length === 0 ? undefined : choice.choose(raw.length);
  if (codec === undefined) return asItIs(raw);
  choice.begun();
  const payload = await codec.encode(raw);
  const worthSending = choice.encoded({ sizeBytes: raw.length, encodedBytes: payload.length });
  return worthSending ? { encoding: codec.encoding, payload } : asItIs(raw);
}
