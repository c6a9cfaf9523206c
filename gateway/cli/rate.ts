import { InvalidArgumentError } from 'commander';
import { parseRateBps } from '../../migrator/rate.ts';

/** An option's `200mbit` or `25MB/s`, in bits a second. */
export function parseRate(text: string): number {
  const rateBps = parseRateBps(text);
  if (rateBps !== undefined) return rateBps;
  throw new InvalidArgumentError('Write a rate as 200mbit or 25MB/s, in whole numbers.');
}
