import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cgroupsOf, processesOf, removeCgroups } from './cgroups.ts';
import { delayed } from './link.ts';
import { BRIDGE, inside, portName } from './network.ts';
import { startPart } from './started.ts';
import type { HostState, LabState } from './state.ts';

/*
 * The cable between a host and the switch, made to behave as its link says.
 *
 * Bandwidth: a token bucket at both ends of the veth, so each direction has its own.
 * Delay: the kernel's netem is not everywhere, so the port is taken off the bridge and a relay is put between:
 *
 *   eth0 ── port0 : segment0 : in0 ── relay (holds what comes from the host) ── out0 : bridge
 *
 * Neither the host's link nor its addresses change by that, and open connections live on.
 */

const relayScript = fileURLToPath(new URL('relay.pl', import.meta.url));
/** A burst smaller than one segmentation-offloaded packet would make the bucket take it apart. */
const MIN_BURST_BYTES = 96 * 1024;
const BURST_MS = 2;
const QUEUE_MS = 50;
const POLL_MS = 2;
/** As the bridge program of old iproute2 takes them, by number. */
const PORT_STATES = { disabled: 0, forwarding: 3 } as const;

/** Bring the cable of `host` from what it is into the state `host` describes. */
export async function applyLink(lab: LabState, host: HostState, signal: AbortSignal): Promise<void> {
  await limit(host.initPid, 'eth0', host.link.rateBps, signal);
  await limit(lab.switchPid, portName(host.index), host.link.rateBps, signal);
  const delayMs = host.link.delayMs ?? 0;
  await removeRelay(lab, host, signal);
  if (delayMs > 0) await insertRelay(lab, host, delayMs, signal);
  await applyCut(lab, host, signal);
}

/**
 * Cut or mend: the switch drops what comes and goes at the host's port. Nobody sees a carrier go, as with a cable
 * cut behind the next switch: both ends find out by waiting.
 */
export async function applyCut(lab: LabState, host: HostState, signal: AbortSignal): Promise<void> {
  const port = delayed(host.link) ? outName(host.index) : portName(host.index);
  const state = host.cut ? 'disabled' : 'forwarding';
  await inside(lab.switchPid, signal, [`link set dev ${port} state ${PORT_STATES[state]}`], 'bridge');
}

async function limit(
  pid: number,
  dev: string,
  rateBps: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const none = `qdisc replace dev ${dev} root noqueue`;
  if (rateBps === undefined) return inside(pid, signal, [none], 'tc');
  const burstBytes = Math.max(MIN_BURST_BYTES, Math.ceil((rateBps / 8000) * BURST_MS));
  const bucket = `rate ${Math.round(rateBps)}bit burst ${burstBytes} latency ${QUEUE_MS}ms`;
  await inside(pid, signal, [`qdisc replace dev ${dev} root tbf ${bucket}`], 'tc');
}

const segmentName = (index: number) => `segment${index}`;
const inName = (index: number) => `in${index}`;
const outName = (index: number) => `out${index}`;
const relayMember = (host: HostState) => `${host.name}.relay`;

async function insertRelay(
  lab: LabState,
  host: HostState,
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
  const [segment, port] = [segmentName(host.index), portName(host.index)];
  const [near, far] = [inName(host.index), outName(host.index)];
  const relay = ['perl', relayScript, near, far, String(delayMs)];
  const enter = ['nsenter', '-t', String(lab.switchPid), '-n', '--'];
  await startPart(lab.name, relayMember(host), [...enter, ...relay], signal);
  await inside(lab.switchPid, signal, [
    `link add name ${segment} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set dev ${segment} up`,
    `link set dev ${near} master ${segment} up`,
    `link set dev ${far} master ${BRIDGE} up`,
    `link set dev ${port} master ${segment}`,
  ]);
}

async function removeRelay(lab: LabState, host: HostState, signal: AbortSignal): Promise<void> {
  const member = relayMember(host);
  const relays = processesOf(cgroupsOf(lab.name, member));
  if (relays.length === 0) return;
  await inside(lab.switchPid, signal, [`link set dev ${portName(host.index)} master ${BRIDGE}`]);
  for (const pid of relays) process.kill(pid, 'SIGKILL');
  while (!removeCgroups(lab.name, member)) {
    signal.throwIfAborted();
    await sleep(POLL_MS); // Nothing tells when a process that is not our child has ended.
  }
  await inside(lab.switchPid, signal, [`link del dev ${segmentName(host.index)}`]);
}
