import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { replaceFile } from '../../replace-file.ts';

const RestartPolicy = Type.Object({ Name: Type.String(), MaximumRetryCount: Type.Integer() });
export type RestartPolicy = Static<typeof RestartPolicy>;

/** Docker restarts nothing by itself whose move is not over: that could be a second instance. */
export const NEVER: RestartPolicy = { Name: 'no', MaximumRetryCount: 0 };

const Hand = Type.Union([
  /** It is to go: whether Docker is to restart it is put back when it stays after all. */
  Type.Object({ role: Type.Literal('leaving'), id: Type.String(), restartPolicy: RestartPolicy }),
  /** It is to come: made here for a move, or about to be. What it is to have is set when it is for good. */
  Type.Object({
    role: Type.Literal('arriving'),
    id: Type.Optional(Type.String()),
    restartPolicy: Type.Optional(RestartPolicy),
  }),
]);
export type Hand = Static<typeof Hand>;

/** What moves have in their hands of Docker's containers here. It outlives the agent, and the host. */
export class Hands {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async get(name: string): Promise<Hand | undefined> {
    const text = await readFile(this.#file(name), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const hand: unknown = JSON.parse(text);
    return Value.Check(Hand, hand) ? hand : undefined;
  }

  async set(name: string, hand: Hand): Promise<void> {
    await replaceFile(this.#file(name), JSON.stringify(hand));
  }

  async clear(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return join(this.#dir, `${name}.json`);
  }
}
