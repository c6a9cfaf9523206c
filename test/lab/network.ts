import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';
import { labsDir, uplinkName } from './names.ts';
import { cleanEnv, startPart } from './started.ts';
import type { HostState, LabState } from './state.ts';

/*
 * The lab's bridge is in a network namespace of its own, the switch. The machine has only one end of one cable to
 * it, so that no firewall of the machine (Docker's, for one) comes between two hosts.
 *
 *   machine: hf1a2b3c4 ── uplink : switch bridge : port0 ── eth0 : host a
 *                                                  port1 ── eth0 : host b
 */

export const BRIDGE = 'bridge';

const subnetsDir = path.join(labsDir, 'subnets');

export function portName(index: number): string {
  return `port${index}`;
}

export function gatewayAddress(subnet: number): string {
  return `10.213.${subnet}.1`;
}

export function hostAddress(subnet: number, index: number): string {
  return `10.213.${subnet}.${index + 2}`;
}

/** Take the first free 10.213.N.0/24 for the lab. A file that only one run can create is the lock. */
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
    mend: 'take down labs that are no longer needed: npm run lab -- prune',
  });
}

export function releaseSubnet(lab: string): void {
  for (const file of existsSync(subnetsDir) ? readdirSync(subnetsDir) : []) {
    const claim = path.join(subnetsDir, file);
    if (existsSync(claim) && readFileSync(claim, 'utf8') === lab) rmSync(claim, { force: true });
  }
}

/** Start the namespace the bridge is in; the pid that keeps it comes back. */
export async function startSwitch(lab: string, signal: AbortSignal): Promise<number> {
  const keep = 'echo ready; exec sleep infinity >/dev/null 2>&1';
  return startPart(lab, 'lab.switch', ['unshare', '-n', '--', 'sh', '-c', keep], signal);
}

/** Lay the bridge, the machine's cable to it, and a cable to each host. */
export async function connect(
  { name, subnet, switchPid, hosts }: LabState,
  signal: AbortSignal,
): Promise<void> {
  await inside(switchPid, signal, [
    `link add name ${BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set dev ${BRIDGE} up`,
    ...hosts.flatMap(({ index, initPid }) => [
      `link add name ${portName(index)} type veth peer name eth0 netns ${initPid}`,
      `link set dev ${portName(index)} master ${BRIDGE} up`,
    ]),
  ]);
  await ip(signal, [
    `link add name ${uplinkName(name)} type veth peer name uplink netns ${switchPid}`,
    `addr add ${gatewayAddress(subnet)}/24 dev ${uplinkName(name)}`,
    `link set dev ${uplinkName(name)} up`,
  ]);
  await Promise.all([
    inside(switchPid, signal, [`link set dev uplink master ${BRIDGE} up`]),
    ...hosts.map((host) => bringUp(host, signal)),
  ]);
}

async function bringUp({ address, initPid }: HostState, signal: AbortSignal): Promise<void> {
  await inside(initPid, signal, [
    'link set dev lo up',
    `addr add ${address}/24 dev eth0`,
    'link set dev eth0 up',
  ]);
}

async function ip(signal: AbortSignal, lines: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { signal, env: cleanEnv(), input: `${lines.join('\n')}\n` });
}

/** Run a batch of lines of `ip`, or one of its sisters, in the network namespace of `pid`. */
export async function inside(
  pid: number,
  signal: AbortSignal,
  lines: readonly string[],
  program: 'ip' | 'tc' | 'bridge' = 'ip',
): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  await run('nsenter', ['-t', String(pid), '-n', '--', program, '-batch', '-'], {
    signal,
    env: cleanEnv(),
    input,
  });
}

/** The lab's links on the machine. */
export function linksOf(lab: string): string[] {
  return readdirSync('/sys/class/net').filter((name) => name === uplinkName(lab));
}
