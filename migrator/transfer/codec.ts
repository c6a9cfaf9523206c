import * as zlib from 'node:zlib';

/** How a chunk's bytes are written on the wire. */
export const Encoding = { identity: 'identity', brotli: 'brotli', zstd: 'zstd' } as const;
export type Encoding = (typeof Encoding)[keyof typeof Encoding];

export interface Codec {
  readonly encoding: Encoding;
  encode(raw: Uint8Array): Promise<Uint8Array>;
  /** Undo `encode`. Rejects when the result would be longer than `sizeBytes`. */
  decode(payload: Uint8Array, sizeBytes: number): Promise<Uint8Array>;
}

interface ZlibOptions {
  chunkSize: number;
  maxOutputLength?: number;
  params?: Record<number, number>;
}
type ZlibCall = (
  input: Uint8Array,
  options: ZlibOptions,
  done: (error: Error | null, output: Uint8Array) => void,
) => void;

/** Node has zstd from 22.15 on, and its types for 20 know nothing of it. */
const { zstdCompress, zstdDecompress } = zlib as { zstdCompress?: ZlibCall; zstdDecompress?: ZlibCall };
const ZSTD_c_compressionLevel = 100;

/**
 * Brotli's quality 0 rather than 1: 300 against 180 MiB/s a core on executable code, for 6 % more bytes.
 * zstd at level 1 is as fast and packs better.
 */
const brotli = zlibCodec(Encoding.brotli, zlib.brotliCompress, zlib.brotliDecompress, {
  [zlib.constants.BROTLI_PARAM_QUALITY]: 0,
});
const zstd =
  zstdCompress && zstdDecompress
    ? [zlibCodec(Encoding.zstd, zstdCompress, zstdDecompress, { [ZSTD_c_compressionLevel]: 1 })]
    : [];

/** What this process can encode and decode besides `identity`, the best first. */
export const codecs: readonly Codec[] = [...zstd, brotli];

export function codecOf(encoding: string): Codec | undefined {
  return codecs.find((codec) => codec.encoding === encoding);
}

function zlibCodec(
  encoding: Encoding,
  compress: ZlibCall,
  decompress: ZlibCall,
  params: Record<number, number>,
): Codec {
  return {
    encoding,
    // One output block for the whole result: zlib's own 16 KiB would cost a round through the thread pool each.
    encode: (raw) => call(compress, raw, { chunkSize: Math.max(raw.length, 64), params }),
    decode: (payload, sizeBytes) =>
      call(decompress, payload, { chunkSize: sizeBytes + 64, maxOutputLength: sizeBytes }),
  };
}

function call(zlibCall: ZlibCall, input: Uint8Array, options: ZlibOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlibCall(input, options, (error, output) => (error ? reject(error) : resolve(output)));
  });
}
