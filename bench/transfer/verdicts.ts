import { formatLink, type Link } from '../../test/lab/link.ts';
import { median } from '../statistics.ts';
import { atMost, type Verdict } from '../verdict.ts';
import type { Measurement } from './measurement.ts';
import { Way } from './way.ts';

type Measure = (one: Measurement) => number | null;
const bytes: Measure = (one) => one.bytes.all;
const frozen: Measure = (one) => one.frozenMs;
const engine: Measure = (one) => one.engineMs;

const MOVES_OF_DOCKER: readonly Way[] = [Way.there, Way.back, Way.repeat];

/** For each link, medians throughout. What was not measured is said so and not passed over. */
export function verdictsOn(measurements: readonly Measurement[], links: readonly Link[]): Verdict[] {
  return links.flatMap((link) => {
    const name = formatLink(link);
    const here = measurements.filter((one) => formatLink(one.link) === name);
    const of = (ways: readonly Way[], measure: Measure) =>
      median(here.filter(({ way }) => ways.includes(way)).flatMap((one) => measure(one) ?? []));
    const frozenMs = of(MOVES_OF_DOCKER, frozen);
    const whole = of([Way.checkpoint], bytes);
    return [
      atMost(`${name}: bytes / save | load, rsync, whole memory`, ratio(of([Way.there], bytes), whole), 0.5),
      atMost(`${name}: bytes of the way back / the same`, ratio(of([Way.back], bytes), whole), 0.1),
      atMost(
        `${name}: frozenMs / Docker's own two commands`,
        ratio(frozenMs, of([Way.checkpoint], engine)),
        0.2,
      ),
      atMost(`${name}: frozenMs more than with runc`, difference(frozenMs, of([Way.runc], frozen)), 150),
      atMost(
        `${name}: last pass over the files, ms`,
        of(MOVES_OF_DOCKER, (one) => one.lastPassMs),
        100,
      ),
      atMost(`${name}: failed and lost requests of all Holdfast moves`, faults(here), 0),
    ];
  });
}

function ratio(one: number | null, other: number | null): number | null {
  return one === null || other === null || other === 0 ? null : one / other;
}

function difference(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one - other;
}

function faults(measurements: readonly Measurement[]): number | null {
  const own = measurements.filter(({ way }) => way !== Way.stopAndStart && way !== Way.checkpoint);
  return own.length === 0 ? null : own.reduce((sum, { failed, lost }) => sum + failed + lost, 0);
}
