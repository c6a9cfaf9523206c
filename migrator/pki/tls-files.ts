import { readFile } from 'node:fs/promises';
import { Type } from '@sinclair/typebox';
import { HoldfastError } from '../errors.ts';

/** Where one end of a mutual TLS connection keeps what it shows and what it trusts. */
export const TlsPaths = Type.Object(
  {
    /** The authority that signed the other end's certificate. */
    ca: Type.String({ minLength: 1 }),
    cert: Type.String({ minLength: 1 }),
    key: Type.String({ minLength: 1 }),
  },
  { additionalProperties: false },
);
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The same, read: PEM texts. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** @throws HoldfastError `TLS_FILE_UNREADABLE` */
export async function readTlsFiles(paths: TlsPaths): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([read(paths.ca), read(paths.cert), read(paths.key)]);
  return { ca, cert, key };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError('TLS_FILE_UNREADABLE', `${file} cannot be read`, {
      mend: 'make certificates with gateway pki, and name them under tls: in the config',
      cause,
    });
  }
}
