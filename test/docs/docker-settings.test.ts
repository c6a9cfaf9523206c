import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import {
  MOUNT_FIELDS,
  NETWORK_FIELDS,
  VOLUME_FIELDS,
} from '../../migrator/engine/docker/settings/belongings-fields.ts';
import { CONFIG_FIELDS } from '../../migrator/engine/docker/settings/config-fields.ts';
import { CONTAINER_FIELDS, ENDPOINT_FIELDS } from '../../migrator/engine/docker/settings/container-fields.ts';
import type { Fields } from '../../migrator/engine/docker/settings/field.ts';
import { HOST_CONFIG_FIELDS } from '../../migrator/engine/docker/settings/host-config-fields.ts';

/** `UPDATE_DOCS=1 npx tap test/docs/docker-settings.test.ts` writes what it would otherwise find out of date. */
const UPDATE = process.env.UPDATE_DOCS === '1';
const PAGE = new URL('../../docs/docker-settings.md', import.meta.url);

const tables: Readonly<Record<string, Fields>> = {
  container: CONTAINER_FIELDS,
  config: CONFIG_FIELDS,
  'host config': HOST_CONFIG_FIELDS,
  endpoint: ENDPOINT_FIELDS,
  mount: MOUNT_FIELDS,
  volume: VOLUME_FIELDS,
  network: NETWORK_FIELDS,
};

for (const [name, fields] of Object.entries(tables)) {
  t.test(`docs/docker-settings.md tells what becomes of every field: ${name}`, async (t) => {
    const table = [
      '| field | asked for by | it is | |',
      '|---|---|---|---|',
      ...Object.entries(fields).map(row),
    ];
    const between = new RegExp(`(?<=<!-- ${name} -->\n).*?(?=\n<!-- end of ${name} -->)`, 's');
    const page = await readFile(PAGE, 'utf8');
    if (UPDATE) await writeFile(PAGE, page.replace(between, `\n${table.join('\n')}\n`));
    const documented = between.exec(page)?.[0].split('\n');
    t.same(documented?.filter((line) => line.startsWith('| `')).map(unpadded), table.slice(2).map(unpadded));
  });
}

function row([name, { asked, treatment, why = '' }]: [string, Fields[string]]): string {
  return `| \`${name}\` | ${asked.startsWith('-') ? `\`${asked}\`` : asked} | ${treatment} | ${why} |`;
}

/** The columns' widths are the formatter's. */
function unpadded(line: string): string {
  return line.replace(/ +/g, ' ').trim();
}
