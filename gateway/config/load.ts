import { dirname, resolve } from 'node:path';
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { parseConfig, readConfigText } from '../../migrator/config-file.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { adminIsExposed, type ConfigFault, findFaults } from './faults.ts';
import { GatewayConfig } from './schema.ts';

/**
 * Read gateway.yaml. Relative file names in it are taken from the directory it lies in.
 *
 * @throws HoldfastError `CONFIG_UNREADABLE`; `CONFIG_INVALID`, every fault on a line of its own; `ADMIN_NEEDS_TOKEN`
 */
export async function loadGatewayConfig(file: string): Promise<GatewayConfig> {
  return parseGatewayConfig(await readConfigText(file), file);
}

export function parseGatewayConfig(text: string, file: string): GatewayConfig {
  const config = parseConfig(GatewayConfig, text, file);
  const faults = findFaults(config);
  if (faults.length > 0) {
    const lineOf = lineFinder(text);
    const lines = faults.map((fault: ConfigFault) => `${file}:${lineOf(fault.path)}: ${fault.message}`);
    throw new HoldfastError('CONFIG_INVALID', lines.join('\n'));
  }
  if (adminIsExposed(config) && config.admin.tokenFile === undefined) {
    throw new HoldfastError(
      'ADMIN_NEEDS_TOKEN',
      `${file}:${lineFinder(text)(['admin', 'listen'])}: admin.listen ${config.admin.listen} can be reached from elsewhere`,
      { mend: 'set admin.tokenFile, or listen on 127.0.0.1' },
    );
  }
  return withAbsolutePaths(config, dirname(resolve(file)));
}

/** The line a key path stands on, or that of the nearest part of it that is in the file. */
function lineFinder(text: string): (path: readonly string[]) => number {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  return (path) => {
    let node: unknown = document.contents;
    let line = 1;
    for (const part of path) {
      const pair = isMap(node) ? node.items.find((item) => String(item.key) === part) : undefined;
      const next = pair?.value ?? (isSeq(node) ? node.items[Number(part)] : undefined);
      const range = ((pair?.key ?? next) as Node | undefined)?.range;
      if (!range) break;
      line = lines.linePos(range[0]).line;
      node = next;
    }
    return line;
  };
}

function withAbsolutePaths(config: GatewayConfig, base: string): GatewayConfig {
  const { tls, admin } = config;
  return {
    ...config,
    stateDir: resolve(base, config.stateDir),
    admin: admin.tokenFile === undefined ? admin : { ...admin, tokenFile: resolve(base, admin.tokenFile) },
    ...(tls === undefined
      ? {}
      : { tls: { ca: resolve(base, tls.ca), cert: resolve(base, tls.cert), key: resolve(base, tls.key) } }),
  };
}
