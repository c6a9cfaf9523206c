export const LEAST_RATE_BPS = 1_000_000;

/** Of a rate in a configuration: a JSON schema's pattern. */
export const RATE_PATTERN = '^[1-9][0-9]{0,4}([mMgG]bit(/s)?|[mMgG][bB]/s)$';

const UNITS_BPS: Readonly<Record<string, number>> = { mbit: 1e6, gbit: 1e9, mb: 8e6, gb: 8e9 };

/**
 * `200mbit`, as tc writes it, or `25MB/s`, in bits a second. Units are decimal. Undefined without a unit, and for units that mean
 * bits to one program and bytes to another (`200m`, `25mbps`).
 */
export function parseRateBps(text: string): number | undefined {
  if (!new RegExp(RATE_PATTERN).test(text)) return undefined;
  const [, digits, unit = ''] = /^(\d+)([a-z]+)/.exec(text.toLowerCase()) ?? [];
  return Number(digits) * (UNITS_BPS[unit] ?? Number.NaN);
}
