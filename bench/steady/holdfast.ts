import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { Supervised } from '../../test/lab/supervised.ts';
import type { GatewaySettings } from '../../test/system/configs.ts';
import { APP_ADDRESS, answers, node, startPinned } from './place.ts';

export const APP = 'app';

/** Put a gateway.yaml for the app there; it never moves, so there are no hosts. */
export async function writeGatewayConfig(
  dir: string,
  { listen, admin }: { readonly listen: string; readonly admin: string },
  gate: GatewaySettings['gate'],
): Promise<string> {
  const file = path.join(dir, 'gateway.yaml');
  const stateDir = path.join(dir, 'gateway-state');
  await mkdir(stateDir, { recursive: true });
  const settings = {
    listen,
    admin: { listen: admin },
    stateDir,
    apps: { [APP]: { match: [{ path: '/' }], upstream: `http://${APP_ADDRESS}` } },
    ...(gate === undefined ? {} : { gate }),
  };
  await writeFile(file, stringify(settings));
  return file;
}

/** `gateway serve` on one core. Whoever starts it must `stop` it. */
export async function startGateway(options: {
  readonly program: string;
  readonly dir: string;
  readonly configFile: string;
  readonly core: number;
  readonly admin: string;
}): Promise<Supervised> {
  const { program, dir, configFile, core, admin } = options;
  const gateway = new Supervised({
    name: 'gateway',
    logFile: path.join(dir, 'gateway.log'),
    spawn: (output) => startPinned(core, node(program, 'serve', '-c', configFile), output),
    ready: (signal) => answers(`http://${admin}/healthz`, signal),
  });
  await gateway.start({ supervise: false });
  return gateway;
}

/** Requests that the gateway has answered, by its own count. */
export async function answeredByGateway(admin: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(`http://${admin}/metrics`, { signal });
  return answeredIn(await response.text());
}

export function answeredIn(metrics: string): number {
  const lines = metrics.matchAll(/^holdfast_requests_total\{[^}]*\} (\S+)$/gm);
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}
