import { setTimeout as delay } from 'node:timers/promises';
import { anySignal } from '../../migrator/any-signal.ts';
import type { LabHost } from '../../test/lab/lab.ts';
import { APP_PORT, type AppOptions } from '../../test/system/configs.ts';

/** A move as somebody makes it with a container engine's own commands and a shell, step by step. */
export interface Hand {
  /** All that can be made ready before the move, on either host. */
  makeReady(host: LabHost, app: AppOptions): Promise<void>;
  /** Settles when the app answers. */
  start(host: LabHost): Promise<void>;
  /** What goes ahead while the app runs, where there is such a thing. */
  sendAhead?(from: LabHost, to: LabHost): Promise<void>;
  /** Writes the checkpoint and ends the app. */
  checkpoint(host: LabHost): Promise<void>;
  copy(from: LabHost, to: LabHost): Promise<void>;
  /** Settles when the app answers. */
  restore(host: LabHost): Promise<void>;
  /** Nothing of the app is left on the host, whatever state it was in. */
  clear(host: LabHost): Promise<void>;
}

const TRANSFER_PORT = 9000;
/** A gibibyte over 100 Mbit/s takes a minute and a half. */
const STEP_TIMEOUT_MS = 240_000;
const HEALTH_TIMEOUT_MS = 60_000;

export function shell(host: LabHost, script: string, signal: AbortSignal) {
  return host.exec('sh', ['-c', script], {
    signal: anySignal([signal, AbortSignal.timeout(STEP_TIMEOUT_MS)]),
  });
}

/** The whole move; settles when the app answers on `to`. */
export async function moveByHand(hand: Hand, from: LabHost, to: LabHost): Promise<void> {
  await hand.sendAhead?.(from, to);
  await hand.checkpoint(from);
  await hand.copy(from, to);
  await hand.restore(to);
}

/** What `produce` prints on one host goes to `consume` on the other. */
export async function overLink(
  from: { readonly host: LabHost; readonly produce: string },
  to: { readonly host: LabHost; readonly consume: string },
  asked: AbortSignal,
): Promise<void> {
  const broken = new AbortController();
  const signal = anySignal([asked, broken.signal]);
  const listen = `TCP-LISTEN:${TRANSFER_PORT},reuseaddr`;
  // socat tries again until the other side listens.
  const connect = `TCP:${to.host.address}:${TRANSFER_PORT},retry=200,interval=0.01`;
  const ends = [
    shell(to.host, `socat -u ${listen} - | ${to.consume}`, signal),
    shell(from.host, `${from.produce} | socat -u - ${connect}`, signal),
  ];
  try {
    await Promise.all(ends);
  } finally {
    broken.abort();
    await Promise.allSettled(ends);
  }
}

export async function healthy(host: LabHost, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + HEALTH_TIMEOUT_MS;
  for (;;) {
    try {
      const response = await fetch(`http://${host.address}:${APP_PORT}/health`, {
        signal: AbortSignal.timeout(1_000),
      });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch (cause) {
      if (performance.now() > deadline) throw new Error(`the app does not answer on ${host.name}`, { cause });
    }
    await delay(10, undefined, { signal });
  }
}
