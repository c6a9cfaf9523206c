/**
 * `npm test`: tap, without the test files that have passed before with everything just as it is now.
 *
 * What follows `npm test --` is tap's; `--all` runs all test files, and so does CI=true. Files that are named are run.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TapConfig } from '@tapjs/config';
import { type Base, tap } from '@tapjs/core';
import { digestOfFiles, digestOfSurroundings } from './inputs.ts';
import { PassedFiles } from './passed.ts';

/** Options of tap by which no result changes. The packages of tap named here are those its own command is made of. */
const HOW_IT_IS_SHOWN = /^(jobs|reporter.*|output-.*|(no-)?(color|bail|diag)|comments|passes|files)$/;

const TAP = '@tapjs/run';
const root = process.cwd();
const say = (line: string) => process.stderr.write(`holdfast: ${line}\n`);

// In place: tap reads the same array.
const args = process.argv.slice(2);
const all = args.includes('--all');
process.argv.splice(2, args.length, ...args.filter((arg) => arg !== '--all'));
const env = { ...process.env }; // As it was given: tap's configuration adds itself to it.
const config = (await TapConfig.load()).parse();
const { values, positionals } = config;
const named = positionals.length > 0 || values.files !== undefined;
const talksOnly = values.help || values.version || values.versions;

const passed = process.env.CI === 'true' || talksOnly ? undefined : remembered();
if (passed === undefined || named || all || !leaveOut(passed)) await import(TAP);

/** What has passed already. From now on every file is added to it as it passes. */
function remembered(): PassedFiles | undefined {
  try {
    const files = digestOfFiles(root);
    const options = Object.entries(values ?? {})
      .filter(([name]) => !HOW_IT_IS_SHOWN.test(name))
      .sort();
    const state = JSON.stringify([files, digestOfSurroundings(root, env), options]);
    const passed = new PassedFiles(
      path.join(root, '.tap/passed'),
      createHash('sha256').update(state).digest('hex'),
    );
    // The one that tap's own command takes, with the same options.
    tap({ context: Symbol.for('tap.isRunner') }).on('subtestEnd', (file) => {
      if (passedWholly(file) && stillThose(files)) passed.add(file.name);
    });
    return passed;
  } catch (error) {
    say(`all test files are run, and none is remembered: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** What was changed meanwhile may have been read before or after. */
function stillThose(files: string): boolean {
  try {
    return digestOfFiles(root) === files;
  } catch {
    return false; // One has just gone away.
  }
}

function passedWholly(file: Base): boolean {
  const { pass, fail, skip, todo } = file.counts;
  return file.results?.ok === true && file.passing() && pass > 0 && fail + skip + todo === 0;
}

/** @returns whether nothing is left to run */
function leaveOut(passed: PassedFiles): boolean {
  if (passed.isEmpty) return false;
  const files = testFiles();
  const left = files.filter((file) => !passed.has(file));
  const out = files.length - left.length;
  if (out === 0) return false;
  say(
    `${out} of ${files.length} test files passed before with everything just as it is now, and are not run again ` +
      '(npm test -- --all runs them)',
  );
  config.values.files = left;
  if (left.length > 0)
    process.on('exit', () => say(`tap's figures are of ${left.length} test files; ${out} passed before`));
  return left.length === 0;
}

/** Those tap would run; none where it cannot tell, which it then says itself. */
function testFiles(): string[] {
  const command = [fileURLToPath(import.meta.resolve(TAP)), 'list', ...process.argv.slice(2)];
  const { status, stdout } = spawnSync(process.execPath, command, { env, encoding: 'utf8' });
  return status === 0 ? stdout.split('\n').filter(Boolean) : [];
}
