import { HoldfastError } from '../../migrator/errors.ts';

/** What a host's cable can do. Nothing given: as fast as the machine. */
export interface Link {
  /** Bits per second, in each direction on its own. */
  readonly rateBps?: number;
  /**
   * Added to every packet that leaves the host, as `netem delay` on its egress would. The round trip between two
   * hosts of such links grows by twice this, the one between a host and the machine by once.
   */
  readonly delayMs?: number;
}

const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/**
 * Read `1gbit,5ms`, `100mbit`, `20ms` or `unlimited`.
 *
 * @throws HoldfastError `LAB_BAD_LINK`
 */
export function parseLink(text: string): Link {
  let rateBps: number | undefined;
  let delayMs: number | undefined;
  for (const part of text === 'unlimited' ? [] : text.split(',')) {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit|ms)$/.exec(part.trim().toLowerCase()) ?? [];
    const value = Number(digits);
    if (unit === 'ms' && delayMs === undefined && value <= 10_000) delayMs = value;
    else if (unit !== undefined && unit !== 'ms' && rateBps === undefined && value > 0) {
      rateBps = value * (RATE_UNITS[unit] ?? 1);
    } else {
      throw new HoldfastError('LAB_BAD_LINK', `${JSON.stringify(text)} is not a link`, {
        mend: 'write a bandwidth, a delay or both: 1gbit,5ms or 100mbit or 20ms, or unlimited',
      });
    }
  }
  return {
    ...(rateBps === undefined ? {} : { rateBps }),
    ...(delayMs === undefined || delayMs === 0 ? {} : { delayMs }),
  };
}

export function delayed(link: Link): boolean {
  return (link.delayMs ?? 0) > 0;
}

export function limited(link: Link): boolean {
  return delayed(link) || link.rateBps !== undefined;
}

/** The reverse of `parseLink`. */
export function formatLink({ rateBps, delayMs }: Link): string {
  const rate =
    rateBps === undefined ? [] : [rateBps % 1e9 === 0 ? `${rateBps / 1e9}gbit` : `${rateBps / 1e6}mbit`];
  const delay = delayMs === undefined ? [] : [`${delayMs}ms`];
  return [...rate, ...delay].join(',') || 'unlimited';
}
