import { isIP } from 'node:net';
import { ANYTHING, type ConfigLine } from './config-lines.ts';
import { begins, type Need, required, type Verdict } from './config-needs.ts';
import { APP_SERVER, GATE_SERVER } from './names.ts';

/** Where Holdfast takes what is to be held, and how it is told of the client there. */
interface Gate {
  readonly address: string;
  readonly proxyProtocol: boolean;
}

/** The gate in a backend of its own. */
export function gateServer(gate: Gate): Need {
  return gateNeed(gate, '', '', ({ words }) =>
    words.includes('backup') ? 'It is the only one here.' : undefined,
  );
}

/** The gate in an app's backend. */
export function backupServer(gate: Gate): Need {
  const why = 'Takes over while the app’s own server is not to be used.';
  return gateNeed(gate, ' backup', why, ({ words }) =>
    words.includes('backup') ? undefined : 'It is for when the app’s own server is not to be used.',
  );
}

function gateNeed(
  { address, proxyProtocol }: Gate,
  ending: string,
  why: string,
  fault: (line: ConfigLine) => string | undefined,
): Need {
  const text = `server ${GATE_SERVER} ${address}${proxyProtocol ? ' send-proxy-v2-ssl' : ''}${ending}`;
  return required(text, why, (lines) => {
    const line = lines.find((one) => begins(one, ['server', GATE_SERVER]));
    if (line === undefined) return { kind: 'missing' };
    const { words } = line;
    const wrong = (why: string): Verdict => ({ kind: 'wrong', line, text, why });
    if (!isReached(words[2] ?? '', address)) return wrong(`Holdfast is reached at ${address}.`);
    if (words.includes('disabled')) return wrong('It is disabled.');
    if (
      words.some((word) => word.startsWith('send-proxy-v2')) !== proxyProtocol ||
      words.includes('send-proxy')
    ) {
      return wrong(
        `By \`proxyProtocolFrom\`, Holdfast ${proxyProtocol ? 'expects' : 'takes no'} send-proxy-v2.`,
      );
    }
    const other = fault(line);
    return other === undefined ? { kind: 'met', line } : wrong(other);
  });
}

/** The app itself; Holdfast says where that is. */
export function appServer(): Need {
  const text = `server ${APP_SERVER} 127.0.0.1:1 check inter 200ms rise 1 fall 8 disabled`;
  const why =
    'Where the app is, Holdfast says; until then it is in maintenance. It is sent requests once a check has passed. Add ' +
    '"option httpchk GET /health" if the app has such a page; as it is, its port must take connections.';
  return required(text, why, (lines) => {
    const line = lines.find((one) => begins(one, ['server', APP_SERVER]));
    if (line === undefined) return { kind: 'missing' };
    if (!line.words.includes('check')) return { kind: 'wrong', line, text, why: 'It lacks `check`.' };
    if (line.words.includes('backup')) return { kind: 'wrong', line, text, why: 'It is no backup.' };
    return { kind: 'met', line };
  });
}

/**
 * Servers that would be sent an app's requests, whatever Holdfast does. One called like ours is another section's, whose
 * first line is not there.
 */
export function strayServers(lines: readonly ConfigLine[]): ConfigLine[] {
  const ours: readonly (string | undefined)[] = [APP_SERVER, GATE_SERVER];
  return lines.filter(
    ({ words: [keyword, name] }) =>
      keyword === 'server-template' || (keyword === 'server' && !ours.includes(name)),
  );
}

/** A name may be that of any address. */
function isReached(address: string, gate: string): boolean {
  if (address.includes(ANYTHING)) return true;
  const [there, here] = [address.replace(/^ipv[46]@/, ''), gate].map((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: text.slice(colon + 1) };
  }) as [{ host: string; port: string }, { host: string; port: string }];
  if (there.port !== here.port) return false;
  return there.host === here.host || isIP(there.host) === 0 || isIP(here.host) === 0;
}
