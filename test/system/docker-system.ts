import path from 'node:path';
import { RUNTIME } from '../../migrator/engine/docker/runtime/install.ts';
import { build, PLAIN_NODE } from '../build.mjs';
import { answering, createDockerLab, type LabDocker, runApp } from '../lab/docker.ts';
import { APP, appContainer } from './configs.ts';
import { type System, type SystemOptions, startSystem } from './system.ts';

const INSTALL_TIMEOUT_MS = 20_000;
const REACHED_TIMEOUT_MS = 10_000;

/** A system whose app is a container of a stock Docker Engine that somebody has started by `docker run` on the first host. */
export async function startDockerSystem(options: Omit<SystemOptions, 'lab' | 'idle'> = {}): Promise<System> {
  const { hosts, link, signal, app = {}, log = () => {} } = options;
  const docker = await createDockerLab({
    ...(hosts === undefined ? {} : { hosts }),
    ...(link === undefined ? {} : { link }),
    ...(signal === undefined ? {} : { signal }),
    log,
  });
  let system: System | undefined;
  try {
    const [first = ''] = docker.lab.hosts.keys();
    log('registering the runtime with Docker: gateway agent install');
    await Promise.all([...docker.lab.hosts.keys()].map((host) => installRuntime(docker.on(host))));
    const { env } = appContainer(app);
    log(`docker run on ${first}, ${env.MEMORY_MIB} MiB of sessions`);
    const more = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    await runApp(docker.on(first), { name: APP, more });
    system = await startSystem({
      ...options,
      lab: docker.lab,
      ownsLab: true,
      idle: true,
      agent(settings, host) {
        settings.containers = { [APP]: { engine: 'docker', health: { path: '/health' } } };
        options.agent?.(settings, host);
      },
    });
    await answering(`${system.url}/health`, AbortSignal.timeout(REACHED_TIMEOUT_MS));
    return system;
  } catch (error) {
    await system?.stop();
    await docker.down();
    throw error;
  }
}

/** As whoever sets a host up does. */
export async function installRuntime(engine: LabDocker): Promise<void> {
  await agentCommand(engine, 'install');
  if (!(await hasRuntime(engine))) throw new Error(`Docker on ${engine.host.name} has no runtime ${RUNTIME}`);
}

export async function uninstallRuntime(engine: LabDocker): Promise<void> {
  await agentCommand(engine, 'uninstall');
  if (await hasRuntime(engine)) throw new Error(`Docker on ${engine.host.name} still has ${RUNTIME}`);
}

async function agentCommand({ host }: LabDocker, command: string): Promise<void> {
  const program = path.join('/opt/holdfast', build(), 'gateway/main.js');
  await host.exec('/usr/bin/env', [...PLAIN_NODE, '/usr/bin/node', program, 'agent', command], {
    signal: AbortSignal.timeout(INSTALL_TIMEOUT_MS),
  });
}

async function hasRuntime({ docker }: LabDocker): Promise<boolean> {
  return (await docker('info', '--format', '{{json .Runtimes}}')).includes(`"${RUNTIME}"`);
}
