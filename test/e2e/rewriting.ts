import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';

/**
 * A request under way that has the app write to all of its sessions before it is answered. A move drains such a request
 * first: whatever was sent ahead is out of date at the freeze then, however quick the machine is.
 */
export class Rewriting {
  readonly #request: ClientRequest;

  private constructor(underWay: ClientRequest) {
    this.#request = underWay;
  }

  /** Settles when the app has the request in its hands. */
  static async begin(url: string): Promise<Rewriting> {
    const underWay = request(`${url}/rewrite`, { method: 'POST', agent: false });
    underWay.on('error', () => {}); // Nobody wants to know what came of it in the end.
    const answered = once(underWay, 'response');
    underWay.write('from here');
    const [response] = (await answered) as [IncomingMessage];
    response.on('error', () => {}).resume();
    return new Rewriting(underWay);
  }

  /** Let it be answered. */
  end(): void {
    this.#request.end('to here');
  }
}
