import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type MigrationEvent, Outcome } from '../../migrator/events.ts';
import type { Observer } from '../proxy/observer.ts';

const REQUEST_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HOLD_BUCKETS_S = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30];
const PAGE_IN_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const FROZEN_BUCKETS_S = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1, 2, 5, 10];

const ERROR_BUCKETS = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5];
/** The figures that are foreseen. */
const PREDICTED = ['frozenMs', 'holdMs', 'totalMs', 'bytesSent'] as const;

/** Anybody can make up methods; each would be a time series of its own. */
const KNOWN_METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
]);
const UPGRADED = 101;

/** Every metric of the gateway, in a registry of its own. docs/metrics.md describes them. */
export class Metrics implements Observer {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #requests: Counter<'app' | 'method' | 'code'>;
  readonly #requestDuration: Histogram<'app'>;
  readonly #holdDuration: Histogram<'app'>;
  readonly #rejected: Counter<'app' | 'reason'>;
  readonly #migrations: Counter<'app' | 'outcome'>;
  readonly #frozen: Histogram;
  readonly #predictedFrozen: Histogram;
  readonly #predictionError: Histogram<'figure'>;
  readonly #pageIn: Histogram;
  readonly #fetched: Counter<'from'>;

  /**
   * @param heldNow the requests held at this moment, by app; asked whenever the metrics are
   * @param haproxysNow whether each HAProxy in front answers; asked as often
   */
  constructor(
    heldNow: () => Iterable<readonly [app: string, requests: number]>,
    haproxysNow: () => Iterable<readonly [haproxy: string, answers: boolean]> = () => [],
  ) {
    const registers = [this.#registry];
    this.contentType = this.#registry.contentType;
    // Each look at the event loop's delay wakes the process, which may have nothing else to do.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 1_000 });
    this.#requests = new Counter({
      name: 'holdfast_requests_total',
      help: 'Requests answered, by app, method and status code',
      labelNames: ['app', 'method', 'code'],
      registers,
    });
    this.#requestDuration = new Histogram({
      name: 'holdfast_request_duration_seconds',
      help: 'From a request’s head to the end of its answer, the time it was held included',
      labelNames: ['app'],
      buckets: REQUEST_BUCKETS_S,
      registers,
    });
    this.#holdDuration = new Histogram({
      name: 'holdfast_hold_duration_seconds',
      help: 'How long requests that were held waited at the gate',
      labelNames: ['app'],
      buckets: HOLD_BUCKETS_S,
      registers,
    });
    this.#rejected = new Counter({
      name: 'holdfast_rejected_requests_total',
      help: 'Requests the gateway itself turned away, by reason',
      labelNames: ['app', 'reason'],
      registers,
    });
    this.#migrations = new Counter({
      name: 'holdfast_migrations_total',
      help: 'Migrations that have ended, by app and outcome',
      labelNames: ['app', 'outcome'],
      registers,
    });
    this.#frozen = new Histogram({
      name: 'holdfast_frozen_seconds',
      help: 'How long an app was frozen by a migration, from the freeze until it ran again at either end',
      buckets: FROZEN_BUCKETS_S,
      registers,
    });
    this.#predictedFrozen = new Histogram({
      name: 'holdfast_predicted_frozen_seconds',
      help: 'How long a migration that succeeded was predicted to freeze its app',
      buckets: FROZEN_BUCKETS_S,
      registers,
    });
    this.#predictionError = new Histogram({
      name: 'holdfast_prediction_error_ratio',
      help: 'How far predictions were off, as a share of what it came to, by figure',
      labelNames: ['figure'],
      buckets: ERROR_BUCKETS,
      registers,
    });
    this.#pageIn = new Histogram({
      name: 'holdfast_page_in_seconds',
      help: 'How long an app that had been moved still needed its source, until its last page was over',
      buckets: PAGE_IN_BUCKETS_S,
      registers,
    });
    this.#fetched = new Counter({
      name: 'holdfast_pages_fetched_bytes_total',
      help: 'Memory given to moved apps on demand, by where it came from',
      labelNames: ['from'],
      registers,
    });
    new Gauge({
      name: 'holdfast_held_requests',
      help: 'Requests held at the gate now',
      labelNames: ['app'],
      registers,
      collect() {
        this.reset();
        for (const [app, requests] of heldNow()) this.set({ app }, requests);
      },
    });
    new Gauge({
      name: 'holdfast_haproxy_up',
      help: 'Whether a HAProxy in front answered when it was last looked at',
      labelNames: ['haproxy'],
      registers,
      collect() {
        this.reset();
        for (const [haproxy, answers] of haproxysNow()) this.set({ haproxy }, answers ? 1 : 0);
      },
    });
  }

  requestFinished(app: string, method: string, status: number, durationMs: number): void {
    this.#requests.inc({ app, method: KNOWN_METHODS.has(method) ? method : 'other', code: status });
    // How long somebody kept a WebSocket open says nothing about how fast the app answers.
    if (status !== UPGRADED) this.#requestDuration.observe({ app }, durationMs / 1000);
  }

  /** What is held now is asked of the gates themselves. */
  requestHeld(): void {}

  holdEnded(app: string, waitedMs: number): void {
    this.#holdDuration.observe({ app }, waitedMs / 1000);
  }

  requestRejected(app: string, reason: string): void {
    this.#rejected.inc({ app, reason });
  }

  /** A listener for the migrations' events. */
  readonly migrationEvent = (event: MigrationEvent): void => {
    if (event.type !== 'ended') return;
    this.#migrations.inc({ app: event.app, outcome: event.outcome });
    const { frozenMs, pageInMs, fromStoreBytes = 0, fromSourceBytes = 0 } = event.figures;
    if (frozenMs !== undefined) this.#frozen.observe(frozenMs / 1000);
    if (pageInMs !== undefined) this.#pageIn.observe(pageInMs / 1000);
    this.#fetched.inc({ from: 'store' }, fromStoreBytes);
    this.#fetched.inc({ from: 'source' }, fromSourceBytes);
    const { predicted } = event;
    if (event.outcome !== Outcome.succeeded || predicted === undefined) return;
    this.#predictedFrozen.observe(predicted.frozenMs / 1000);
    for (const figure of PREDICTED) {
      const actual = event.figures[figure];
      if (actual === undefined || actual === 0) continue;
      this.#predictionError.observe({ figure }, Math.abs(predicted[figure] - actual) / actual);
    }
  };

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The names of all metrics that are not the runtime's. */
  names(): string[] {
    return this.#registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('holdfast_'));
  }
}
