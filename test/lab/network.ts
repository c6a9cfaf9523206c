import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';
import { bridgeName, cableName, labsDir } from './names.ts';
import type { HostState } from './state.ts';

const subnetsDir = path.join(labsDir, 'subnets');

export function gatewayAddress(subnet: number): string {
  return `10.213.${subnet}.1`;
}

export function hostAddress(subnet: number, index: number): string {
  return `10.213.${subnet}.${index + 2}`;
}

/** Take the first free 10.213.N.0/24 for the lab. A file that only one can create is the lock. */
export function claimSubnet(lab: string): number {
  mkdirSync(subnetsDir, { recursive: true });
  const inUse = Object.values(networkInterfaces()).flatMap((addresses) =>
    addresses?.map((one) => one.address),
  );
  for (let subnet = 1; subnet < 255; subnet++) {
    if (inUse.includes(gatewayAddress(subnet))) continue;
    try {
      writeFileSync(path.join(subnetsDir, String(subnet)), lab, { flag: 'wx' });
      return subnet;
    } catch {
      // Another lab has this one.
    }
  }
  throw new HoldfastError('LAB_NO_SUBNET', 'all networks for labs are taken', {
    mend: 'npm run lab -- prune',
  });
}

/** Give back what the lab has, and what labs had that are no more. */
export function releaseSubnets(lab: string): void {
  for (const subnet of subnetsTaken()) {
    const holder = readFileSync(path.join(subnetsDir, subnet), 'utf8');
    if (holder === lab) rmSync(path.join(subnetsDir, subnet), { force: true });
  }
}

function subnetsTaken(): string[] {
  return existsSync(subnetsDir) ? readdirSync(subnetsDir) : [];
}

/** Lay the lab's bridge and a cable to each host. */
export async function connectHosts(
  lab: string,
  subnet: number,
  hosts: readonly HostState[],
  signal: AbortSignal,
): Promise<void> {
  const bridge = bridgeName(lab);
  await ip(
    [
      `link add name ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `addr add ${gatewayAddress(subnet)}/24 dev ${bridge}`,
      `link set dev ${bridge} up`,
      ...hosts.flatMap(({ index, initPid }) => [
        `link add name ${cableName(lab, index)} type veth peer name eth0 netns ${initPid}`,
        `link set dev ${cableName(lab, index)} master ${bridge} up`,
      ]),
    ],
    signal,
  );
  await Promise.all(
    hosts.map(({ address, initPid }) =>
      ipInside(
        initPid,
        ['link set dev lo up', `addr add ${address}/24 dev eth0`, 'link set dev eth0 up'],
        signal,
      ),
    ),
  );
}

export async function ip(lines: readonly string[], signal: AbortSignal): Promise<void> {
  await run('ip', ['-batch', '-'], { signal, input: `${lines.join('\n')}\n` });
}

export async function ipInside(
  initPid: number,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const args = ['-t', String(initPid), '-n', 'ip', '-batch', '-'];
  await run('nsenter', args, { signal, input: `${lines.join('\n')}\n` });
}

/** The machine's ends of everything the lab has laid. */
export function linksOf(lab: string): string[] {
  return readdirSync('/sys/class/net').filter((name) => name.startsWith(bridgeName(lab)));
}
