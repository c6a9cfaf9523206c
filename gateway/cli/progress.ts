import { type MigrationEvent, Outcome } from '../../migrator/events.ts';
import type { EndedEvent } from './follow.ts';
import { mebibytes, milliseconds } from './text.ts';

const STEP_WIDTH = 14;
const TIME_WIDTH = 9;

/** A line for each step as it ends; on a terminal also the one under way. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  #pending = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  readonly show = (event: MigrationEvent): void => {
    const { text, underWay } = describe(event);
    if (underWay) this.#underWay(text);
    else this.#line(text);
  };

  #line(text: string): void {
    this.#out.write(this.#pending ? `\r\u001b[K${text}\n` : `${text}\n`);
    this.#pending = false;
  }

  #underWay(text: string): void {
    if (!this.#out.isTTY) return;
    this.#out.write(this.#pending ? `\r\u001b[K${text}` : text);
    this.#pending = true;
  }
}

function describe(event: MigrationEvent): { text: string; underWay: boolean } {
  switch (event.type) {
    case 'started':
      return done(`moving ${event.app} from ${event.from} to ${event.to} (${event.migrationId})`);
    case 'planned':
      return done(`  ${event.strategy}: ${event.reason}`);
    case 'step-started':
      return { text: `  ${event.step} …`, underWay: true };
    case 'step-finished':
      return done(stepLine(event.step, event.durationMs, details(event.detail)));
    case 'step-failed':
      return done(stepLine(event.step, event.durationMs, `failed: ${event.error.code}`));
    case 'undo-started':
      return { text: `  undoing ${event.step} …`, underWay: true };
    case 'undo-finished':
      return done(`  ${event.step} undone`);
    case 'pages-lost':
      return done(
        `  LOST: what the app did since ${event.since}, ${event.requests} requests; it goes on from before`,
      );
    case 'ended':
      return done(summary(event));
  }
}

function done(text: string): { text: string; underWay: boolean } {
  return { text, underWay: false };
}

function stepLine(step: string, durationMs: number, more: string): string {
  const time = milliseconds(durationMs).padStart(TIME_WIDTH);
  return `  ${step.padEnd(STEP_WIDTH)}${time}${more === '' ? '' : `  ${more}`}`;
}

/** `bytesSent: 33554432` as `sent 32.0 MiB`: the unit is in the name. */
function details(detail: Readonly<Record<string, number>> = {}): string {
  return Object.entries(detail)
    .map(([name, value]) => {
      if (/bytes/i.test(name)) return `${words(name.replace(/bytes/i, ''))} ${mebibytes(value)}`;
      if (name.endsWith('Ms')) return `${words(name.slice(0, -2))} ${milliseconds(value)}`;
      return `${words(name)} ${value}`;
    })
    .join(', ');
}

function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).trim();
}

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  [Outcome.succeeded]: 'succeeded',
  [Outcome.refused]: 'refused, nothing was touched',
  [Outcome.rolledBack]: 'rolled back, the app runs on where it was',
  [Outcome.setBack]: 'set back, the app goes on where it was as it was at the freeze',
  [Outcome.lost]: 'lost, the app runs nowhere',
  [Outcome.failed]: 'failed, and so did the way back',
};

function summary({ outcome, figures, predicted }: EndedEvent): string {
  const { frozenMs, holdMs, heldRequests, bytesSent, verifiedBytes, totalMs, pageInMs } = figures;
  const parts = [`${OUTCOMES[outcome]}; total ${milliseconds(totalMs)}`];
  if (frozenMs !== undefined) parts.push(`frozen ${milliseconds(frozenMs)}`);
  if (holdMs !== undefined) parts.push(`held ${milliseconds(holdMs)}`);
  if (heldRequests !== undefined) parts.push(`${heldRequests} requests held`);
  if (pageInMs !== undefined) parts.push(`memory fetched within ${milliseconds(pageInMs)}`);
  if (bytesSent !== undefined) parts.push(`${mebibytes(bytesSent)} sent`);
  if (verifiedBytes !== undefined) parts.push(`${mebibytes(verifiedBytes)} of memory verified`);
  if (outcome !== Outcome.succeeded || predicted === undefined) return parts.join(', ');
  const foreseen = [
    `total ${milliseconds(predicted.totalMs)}`,
    `frozen ${milliseconds(predicted.frozenMs)}`,
    `held ${milliseconds(predicted.holdMs)}`,
    `${mebibytes(predicted.bytesSent)} sent`,
  ];
  return `${parts.join(', ')}\npredicted: ${foreseen.join(', ')}`;
}
