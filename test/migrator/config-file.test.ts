import { Type } from '@sinclair/typebox';
import t from 'tap';
import { parseConfig } from '../../migrator/config-file.ts';

const schema = Type.Object(
  {
    listen: Type.String(),
    apps: Type.Record(
      Type.String(),
      Type.Object({ port: Type.Integer({ maximum: 65535 }) }, { additionalProperties: false }),
    ),
    retries: Type.Integer({ default: 3 }),
  },
  { additionalProperties: false },
);

t.test('a valid file gives its values, with the defaults filled in', async (t) => {
  const config = parseConfig(schema, 'listen: ":80"\napps:\n  shop: { port: 8080 }\n', 'g.yaml');
  t.same(config, { listen: ':80', apps: { shop: { port: 8080 } }, retries: 3 });
});

t.test('an unknown key is an error that names its line', async (t) => {
  const text = 'listen: ":80"\napps:\n  shop:\n    port: 8080\n    prot: 1\n';
  t.throws(() => parseConfig(schema, text, 'g.yaml'), {
    code: 'CONFIG_INVALID',
    message: 'g.yaml:5: unknown key "prot" in apps.shop',
  });
});

t.test('every wrong value is named with its line', async (t) => {
  const text = 'listen: 7\napps:\n  shop:\n    port: 80800\n';
  t.throws(() => parseConfig(schema, text, 'g.yaml'), {
    message: 'g.yaml:1: listen must be string\ng.yaml:4: apps.shop.port must be <= 65535',
  });
});

t.test('a missing key is reported at its parent', async (t) => {
  t.throws(() => parseConfig(schema, 'listen: a\napps:\n  shop: {}\n', 'g.yaml'), {
    message: "g.yaml:3: apps.shop must have required property 'port'",
  });
});

t.test('broken YAML names the line', async (t) => {
  t.throws(() => parseConfig(schema, 'listen: a\napps: [\n', 'g.yaml'), { message: /^g\.yaml:[23]: / });
});
