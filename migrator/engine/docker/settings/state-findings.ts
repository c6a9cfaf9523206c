import type { Finding } from '../../engine.ts';
import type { DockerApi, ExecSession } from './docker-api.ts';
import type { Inspected } from './inspected.ts';

/** What stands against the move in how the container stands just now. */
export async function stateFindings(docker: DockerApi, container: Inspected): Promise<Finding[]> {
  const { Status } = container.State;
  if (Status !== 'running') {
    return [
      {
        code: 'CONTAINER_NOT_RUNNING',
        message: `${container.Name.slice(1)} is ${Status} here`,
        mend: Status === 'paused' ? 'docker unpause it' : 'start it, or move it from the host it runs on',
      },
    ];
  }
  for (const id of container.ExecIDs ?? []) {
    const session = await docker.exec(id);
    if (session?.Running !== true || isHealthCheck(session, container)) continue;
    return [
      {
        code: 'EXEC_OPEN',
        message: 'somebody is in it with docker exec, and cannot come along',
        mend: 'end that first',
      },
    ];
  }
  return [];
}

/** Its check is an exec like any other; it is over in a moment, and made anew at the destination. */
function isHealthCheck({ ProcessConfig }: ExecSession, { Config }: Inspected): boolean {
  const [kind, ...test] = Config.Healthcheck?.Test ?? [];
  const said = [ProcessConfig.entrypoint, ...(ProcessConfig.arguments ?? [])];
  // A shell, `-c`, and the line for it.
  if (kind === 'CMD-SHELL') return said.at(-1) === test[0];
  return kind === 'CMD' && said.length === test.length && said.every((word, index) => word === test[index]);
}
