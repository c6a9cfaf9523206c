import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { initAuthority, issueCertificate } from '../../migrator/pki/directory.ts';
import { Role } from '../../migrator/pki/role.ts';
import type { Lab } from '../lab/lab.ts';

const DAYS = 2;

/** One authority, a certificate for the gateway in `dir`, and for each agent one in its host's /etc/holdfast. */
export async function issueAll(lab: Lab, dir: string): Promise<void> {
  await initAuthority({ dir, days: DAYS, force: false });
  await issueCertificate({
    dir,
    name: 'gateway',
    role: Role.gateway,
    san: [lab.gatewayAddress],
    days: DAYS,
    force: false,
  });
  for (const { name, address, rootDir } of lab.hosts.values()) {
    await issueCertificate({ dir, name, role: Role.agent, san: [address, name], days: DAYS, force: false });
    const etc = path.join(rootDir, 'etc/holdfast');
    await mkdir(etc, { recursive: true });
    for (const file of ['ca.crt', `${name}.crt`, `${name}.key`]) {
      await copyFile(path.join(dir, file), path.join(etc, file));
    }
  }
}
