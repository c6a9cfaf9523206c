import type { LabHost } from '../../test/lab/lab.ts';

const TIMEOUT_MS = 10_000;

/**
 * Counts what goes between two hosts, in both directions and whoever sends it, at the firewall of the first one. What
 * its users send and get is not between the two and not counted.
 */
export class LinkMeter {
  readonly #host: LabHost;

  private constructor(host: LabHost) {
    this.#host = host;
  }

  /** Once for each pair; it goes away with the lab. */
  static async between(host: LabHost, other: LabHost): Promise<LinkMeter> {
    const rules = `table ip link_meter {
      chain sent { type filter hook output priority filter; ip daddr ${other.address} counter; }
      chain received { type filter hook input priority filter; ip saddr ${other.address} counter; }
    }\n`;
    await host.exec('nft', ['-f', '-'], { input: rules, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return new LinkMeter(host);
  }

  /** Bytes of IP packets so far. */
  async bytes(): Promise<number> {
    const { stdout } = await this.#host.exec('nft', ['list', 'table', 'ip', 'link_meter'], {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return [...stdout.matchAll(/ bytes (\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  }
}
