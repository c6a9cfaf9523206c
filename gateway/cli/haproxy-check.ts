import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { ConfigFinding } from '../../haproxy/config-check.ts';
import type { ConfigTrial } from '../../haproxy/config-trial.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { Exit } from './failure.ts';
import { print, printJson } from './text.ts';

interface CheckOptions {
  readonly config: string;
  readonly gate?: string;
  readonly frontend?: string;
  /** Of `--no-haproxy`. */
  readonly haproxy: boolean;
  readonly json: boolean;
}

export function haproxyCheckCommand(haproxy: Command): void {
  haproxy
    .command('check <file>')
    .description('tell which lines a haproxy.cfg lacks for the apps of a configuration')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--gate <address>', 'where HAProxy reaches the gateway; its `listen` when not given')
    .option('--frontend <name>', 'the frontend that takes the apps’ requests; found when not given')
    .option('--no-haproxy', 'do not have `haproxy -c` read it, too, where HAProxy is installed')
    .option('--json', 'print one JSON object', false)
    .action(async (file: string, options: CheckOptions) => {
      const [{ loadGatewayConfig }, { checkHaproxyText }, { tryHaproxyConfig }] = await Promise.all([
        import('../config/load.ts'),
        import('../haproxy-text.ts'),
        import('../../haproxy/config-trial.ts'),
      ]);
      const config = await loadGatewayConfig(options.config);
      const findings = checkHaproxyText(await readConfig(file), config, options);
      const trial = options.haproxy ? await tryHaproxyConfig(file) : undefined;
      const valid = trial?.isAccepted !== false && findings.every(({ weight }) => weight === 'advised');
      if (options.json) printJson({ file, valid, findings, haproxy: trial ?? null });
      else print(report(file, findings, trial));
      if (!valid) process.exitCode = Exit.failed;
    });
}

async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError('HAPROXY_CONFIG_UNREADABLE', `${file} cannot be read`, {
      mend: 'name the configuration of HAProxy, as a user who may read it',
      cause,
    });
  }
}

function report(file: string, findings: readonly ConfigFinding[], trial: ConfigTrial | undefined): string {
  const said = trial === undefined ? [] : trial.said.map((line) => `haproxy -c: ${line}`);
  if (trial?.isAccepted === false) said.push('haproxy -c: HAProxy refuses this configuration');
  const count = (of: ConfigFinding['weight']) => findings.filter(({ weight }) => weight === of).length;
  const [required, advised] = [count('required'), count('advised')];
  const outcome = required === 0 ? 'nothing that Holdfast needs is missing' : `to be changed: ${required}`;
  const end = `${file}: ${outcome}${advised === 0 ? '' : `; advised: ${advised}`}`;
  return `${[...findings.map((finding) => told(file, finding)), ...said, end].join('\n')}\n`;
}

function told(file: string, { kind, weight, section, line, found, lines, why }: ConfigFinding): string {
  const advice = weight === 'advised' ? 'advised: ' : '';
  const isSection = lines[0] === section;
  const what = {
    missing: isSection ? 'a section is missing:' : `in ${section} is missing:`,
    wrong: `in ${section} is ${lines.length > 0 ? 'to be changed' : 'to go'}: ${found}`,
  }[kind];
  const into = kind === 'wrong' && lines.length > 0 ? ['  into:'] : [];
  return [
    `${file}:${line}: ${advice}${what}`,
    ...into,
    ...lines.map((text) => `    ${text}`),
    ...(isSection ? [] : [`  ${why}`]),
  ].join('\n');
}
