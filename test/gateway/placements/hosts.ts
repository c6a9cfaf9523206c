import type { ContainerHost } from '../../../gateway/placements/survey.ts';
import type { AgentInfo, ContainerReport } from '../../../migrator/agent/protocol.ts';
import { HoldfastError } from '../../../migrator/errors.ts';

/** A host with one container `shop`, whose agent can be silenced. */
export class ToyHost implements ContainerHost {
  readonly host: string;
  state: ContainerReport['state'];
  silent = false;
  port: number;
  asked = 0;

  constructor(host: string, state: ContainerReport['state'] = 'absent', port = 3000) {
    this.host = host;
    this.state = state;
    this.port = port;
  }

  async info(): Promise<AgentInfo> {
    this.#answer();
    return { host: this.host, version: '0.1.0', engines: ['runc'], lazyPages: true };
  }

  async containers(): Promise<ContainerReport[]> {
    this.asked += 1;
    this.#answer();
    return [{ name: 'shop', engine: 'runc', state: this.state, port: this.port }];
  }

  async start(): Promise<void> {
    this.#answer();
    this.state = 'running';
  }

  async remove(): Promise<void> {
    this.#answer();
    this.state = 'absent';
  }

  #answer(): void {
    if (this.silent) {
      throw new HoldfastError('AGENT_UNREACHABLE', `${this.host} does not answer`, { retryable: true });
    }
  }
}
