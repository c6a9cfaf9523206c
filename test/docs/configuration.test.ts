import { readFile, writeFile } from 'node:fs/promises';
import type { TSchema } from '@sinclair/typebox';
import t, { type Test } from 'tap';
import { parseGatewayConfig } from '../../gateway/config/load.ts';
import { GatewayConfig } from '../../gateway/config/schema.ts';
import { AgentConfig } from '../../migrator/agent/config.ts';

/** `UPDATE_DOCS=1 npx tap test/docs/configuration.test.ts` writes what it would otherwise find out of date. */
const UPDATE = process.env.UPDATE_DOCS === '1';

const fileOf = (name: string) => new URL(`../../docs/${name}`, import.meta.url);

async function sameSchema(t: Test, name: string, schema: TSchema): Promise<void> {
  const text = JSON.stringify(schema, null, 2);
  if (UPDATE) await writeFile(fileOf(name), `${text}\n`);
  t.same(JSON.parse(await readFile(fileOf(name), 'utf8')), JSON.parse(text));
}

/** A row for each key: what stands under `NAME` and in lists is written with its whole path. */
function rows(schema: TSchema, path: string): string[] {
  const required = new Set<string>(schema.required ?? []);
  return Object.entries<TSchema>(schema.properties ?? {}).flatMap(([key, value]) => {
    const here = path === '' ? key : `${path}.${key}`;
    const below = value.items?.properties
      ? rows(value.items, `${here}[]`)
      : value.patternProperties
        ? rows(Object.values<TSchema>(value.patternProperties)[0] as TSchema, `${here}.NAME`)
        : rows(value, here);
    return [
      `| \`${here}\` | ${defaultOf(value, required.has(key))} | ${value.description ?? ''} |`,
      ...below,
    ];
  });
}

function defaultOf(value: TSchema, required: boolean): string {
  if (value.properties || value.patternProperties)
    return value.default === undefined && required ? 'required' : '';
  if (value.default !== undefined) return `\`${JSON.stringify(value.default)}\``;
  return required ? 'required' : '–';
}

t.test('docs/gateway.schema.json is the schema the gateway goes by', (t) =>
  sameSchema(t, 'gateway.schema.json', GatewayConfig),
);

t.test('docs/agent.schema.json is the schema the agent goes by', (t) =>
  sameSchema(t, 'agent.schema.json', AgentConfig),
);

t.test('docs/configuration.md lists every key with its default', async (t) => {
  const table = ['| key | default | meaning |', '|---|---|---|', ...rows(GatewayConfig, '')];
  const page = await readFile(fileOf('configuration.md'), 'utf8');
  const between = /(?<=<!-- keys -->\n).*(?=\n<!-- end of keys -->)/s;
  if (UPDATE) await writeFile(fileOf('configuration.md'), page.replace(between, `\n${table.join('\n')}\n`));
  const documented = between
    .exec(page)?.[0]
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  t.same(documented?.map(unpadded), table.slice(2).map(unpadded));
});

t.test('the example in docs/configuration.md is valid', async (t) => {
  const page = await readFile(fileOf('configuration.md'), 'utf8');
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? '';
  t.same(Object.keys(parseGatewayConfig(example, 'gateway.yaml').apps), ['shop', 'blog']);
});

/** The columns' widths are the formatter's. */
function unpadded(row: string): string {
  return row.replace(/ +/g, ' ');
}
