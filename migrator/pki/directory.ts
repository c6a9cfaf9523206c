import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError } from '../errors.ts';
import { createAuthority, createLeaf, type Pem } from './certificate.ts';
import { alternativeName, checkName } from './names.ts';
import type { Role } from './role.ts';

const AUTHORITY = 'ca';

export interface IssuedFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/**
 * Make a certificate authority in `dir`: `ca.crt`, and `ca.key` which only its owner can read.
 *
 * @throws HoldfastError `PKI_EXISTS` when there is one already and `force` is not set
 */
export async function initAuthority(options: {
  dir: string;
  days: number;
  force: boolean;
}): Promise<IssuedFiles> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  await refuseToOverwrite(options.dir, AUTHORITY, options.force);
  return store(options.dir, AUTHORITY, await createAuthority({ days: options.days }));
}

/**
 * Issue `NAME.crt` and `NAME.key` in `dir`, signed by the authority there.
 *
 * @throws HoldfastError `PKI_MISSING`, `PKI_EXISTS`, `PKI_NAME_INVALID`, `PKI_SAN_INVALID`
 */
export async function issueCertificate(options: {
  dir: string;
  name: string;
  role: Role;
  /** IP addresses and host names under which the holder is reached. */
  san: readonly string[];
  days: number;
  force: boolean;
}): Promise<IssuedFiles> {
  checkName(options.name);
  const alternativeNames = options.san.map(alternativeName);
  const authority = await readAuthority(options.dir);
  await refuseToOverwrite(options.dir, options.name, options.force);
  const leaf = await createLeaf(authority, { ...options, alternativeNames });
  return store(options.dir, options.name, leaf);
}

async function readAuthority(dir: string): Promise<Pem> {
  const { certificateFile, keyFile } = filesOf(dir, AUTHORITY);
  try {
    return { certificate: await readFile(certificateFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
  } catch (cause) {
    throw new HoldfastError('PKI_MISSING', `${dir} holds no certificate authority that can be read`, {
      mend: `make one with: gateway pki init --dir ${dir}`,
      cause,
    });
  }
}

function filesOf(dir: string, name: string): IssuedFiles {
  return { certificateFile: path.join(dir, `${name}.crt`), keyFile: path.join(dir, `${name}.key`) };
}

async function refuseToOverwrite(dir: string, name: string, force: boolean): Promise<void> {
  if (force) return;
  for (const file of Object.values(filesOf(dir, name))) {
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (!exists) continue;
    throw new HoldfastError('PKI_EXISTS', `${file} exists already`, {
      mend: 'choose another name or directory, or overwrite it with --force',
    });
  }
}

async function store(dir: string, name: string, pem: Pem): Promise<IssuedFiles> {
  const files = filesOf(dir, name);
  await writeNew(files.keyFile, pem.key, 0o600);
  await writeNew(files.certificateFile, pem.certificate, 0o644);
  return files;
}

/** A file made afresh and moved into place: an old file's looser mode never meets the new secret. */
async function writeNew(file: string, text: string, mode: number): Promise<void> {
  const fresh = `${file}.new`;
  await rm(fresh, { force: true });
  const handle = await open(fresh, 'wx', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}
