import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Upper-case names in the sources that are no codes of ours: the system's, Node's and other programs'. */
const FOREIGN = [
  /^(ERR|UND_ERR|ABORT|HOLDFAST|SCMP|RLIMIT|CAP|FST)_/,
  /^(AUDIT_WRITE|DAC_OVERRIDE|NET_BIND_SERVICE|NET_RAW|SYS_CHROOT)$/,
];

async function sources(): Promise<string[]> {
  const folders = ['gateway', 'haproxy', 'migrator'];
  const names = await Promise.all(folders.map((folder) => readdir(join(ROOT, folder), { recursive: true })));
  const files = names.flatMap((list, index) => list.map((name) => join(ROOT, folders[index] ?? '', name)));
  return Promise.all(files.filter((file) => file.endsWith('.ts')).map((file) => readFile(file, 'utf8')));
}

async function documented(): Promise<string[]> {
  const page = await readFile(join(ROOT, 'docs/errors.md'), 'utf8');
  return [...page.matchAll(/^\|(?: +[–\d]+ +\|)? +`([A-Z_]+)` +\|/gm)].map((match) => match[1] ?? '');
}

t.test('every code in the sources is in docs/errors.md', async (t) => {
  const known = new Set(await documented());
  const codes = new Set(
    (await sources()).flatMap((text) =>
      [
        ...text.matchAll(/\b(?:HoldfastError|Kind|Refusal)\(\s*'([A-Z_]+)'/g),
        ...text.matchAll(/\bcode: '([A-Z_]+)'/g),
        ...text.matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g),
      ].map((match) => match[1] ?? ''),
    ),
  );
  const missing = [...codes].filter(
    (code) => !known.has(code) && !FOREIGN.some((foreign) => foreign.test(code)),
  );
  t.same(missing, []);
});

t.test('every code in docs/errors.md is in the sources', async (t) => {
  const text = (await sources()).join('\n');
  const gone = (await documented()).filter((code) => !new RegExp(`['" ]${code}\\b`).test(text));
  t.same(gone, []);
});

t.test('no code is explained twice, except one that users may see too', async (t) => {
  const codes = await documented();
  t.same(
    codes.filter((code, index) => codes.indexOf(code) !== index),
    ['NO_TARGET'],
  );
});
