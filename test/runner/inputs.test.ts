import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { digestOfFiles, digestOfSurroundings } from './inputs.ts';

function project(t: Test): string {
  const root = t.testdir({
    'package.json': '{}',
    '.gitignore': 'ignored/\nnode_modules/\n',
    ignored: {},
    node_modules: { '.package-lock.json': '{}' },
    'tracked.ts': 'process.env.NAMED',
    'page.md': '',
  });
  execFileSync('git', ['init', '--quiet'], { cwd: root });
  execFileSync('git', ['add', '.'], { cwd: root });
  return root;
}

const CHANGES: Readonly<Record<string, (root: string) => void>> = {
  'what a file holds': (root) => writeFileSync(path.join(root, 'tracked.ts'), 'other'),
  'whether a file can be run': (root) => chmodSync(path.join(root, 'tracked.ts'), 0o755),
  'a page of prose': (root) => writeFileSync(path.join(root, 'page.md'), 'more'),
  'a new file that git does not know yet': (root) => writeFileSync(path.join(root, 'new.ts'), ''),
  'a new link': (root) => symlinkSync('nowhere', path.join(root, 'link')),
  'a file that is gone': (root) => rmSync(path.join(root, 'tracked.ts')),
};

for (const [what, change] of Object.entries(CHANGES)) {
  t.test(`${what} counts`, async (t) => {
    const root = project(t);
    const before = digestOfFiles(root);
    t.equal(digestOfFiles(root), before, 'and nothing else does');
    change(root);
    t.not(digestOfFiles(root), before);
  });
}

t.test('what git ignores does not count', async (t) => {
  const root = project(t);
  const before = digestOfFiles(root);
  writeFileSync(path.join(root, 'ignored/result'), 'of a run');
  t.equal(digestOfFiles(root), before);
});

t.test('a link counts by where it leads', async (t) => {
  const root = project(t);
  const link = path.join(root, 'link');
  symlinkSync('here', link);
  const before = digestOfFiles(root);
  rmSync(link);
  symlinkSync('there', link);
  t.not(digestOfFiles(root), before);
});

t.test('of the environment counts what the project names, and what the system goes by', async (t) => {
  const root = project(t);
  const of = (env: NodeJS.ProcessEnv) => digestOfSurroundings(root, env);
  t.equal(of({ WINDOW: '1' }), of({ WINDOW: '2' }));
  t.not(of({ NAMED: '1' }), of({ NAMED: '2' }));
  t.not(of({ NODE_OPTIONS: '--expose-gc' }), of({}));
});

t.test('the dependencies count as they are installed', async (t) => {
  const root = project(t);
  const before = digestOfSurroundings(root, {});
  writeFileSync(path.join(root, 'node_modules/.package-lock.json'), '{"packages":{}}');
  t.not(digestOfSurroundings(root, {}), before);
});

t.test('a directory inside of some other repository tells nothing', async (t) => {
  const root = t.testdir({ 'package.json': '{}' });
  t.throws(() => digestOfFiles(root), /git does not know the files/);
});
