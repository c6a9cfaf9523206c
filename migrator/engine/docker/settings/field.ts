import type { Finding } from '../../engine.ts';
import type { Inspected } from './inspected.ts';

/** What becomes of a field of `docker inspect` when its container is moved. */
export const Treatment = {
  /** The destination's has the same value. */
  carried: 'carried',
  /** The destination's has what comes to the same there. */
  translated: 'translated',
  /** Both ends are looked at; nothing is set. */
  checked: 'checked',
  /** Stands against the move when it asks for anything. */
  refused: 'refused',
  /** Nobody asked for it: each engine makes its own. */
  generated: 'generated',
} as const;
export type Treatment = (typeof Treatment)[keyof typeof Treatment];

/** Why a value cannot come along; undefined when it can. It is shown to users: it never holds the value itself. */
export type Objection = (value: unknown, container: Inspected) => string | undefined;

export interface Field {
  readonly treatment: Treatment;
  /** How users ask for it, or what it is. */
  readonly asked: string;
  /** For the documentation; of a refused field also for the one who is refused. */
  readonly why?: string;
  readonly code?: string;
  readonly objects?: Objection;
}

const UNKNOWN = 'this agent does not know that setting; a newer one may';

/** Fields by the names that the Docker Engine API gives them. */
export type Fields = Readonly<Record<string, Field>>;

export function carried(asked: string, why?: string, objects?: Objection, code?: string): Field {
  return field(Treatment.carried, asked, why, objects, code);
}

export function translated(asked: string, why: string, objects?: Objection, code?: string): Field {
  return field(Treatment.translated, asked, why, objects, code);
}

export function checked(asked: string, why: string): Field {
  return field(Treatment.checked, asked, why);
}

export function generated(asked: string, why?: string): Field {
  return field(Treatment.generated, asked, why);
}

/** @param harmless a value that asks for nothing, besides the empty ones */
export function refused(
  asked: string,
  why: string,
  { code, harmless }: { code?: string; harmless?: (value: unknown) => boolean } = {},
): Field {
  const objects: Objection = (value) => (isEmpty(value) || harmless?.(value) === true ? undefined : why);
  return field(Treatment.refused, asked, why, objects, code);
}

function field(treatment: Treatment, asked: string, why?: string, objects?: Objection, code?: string): Field {
  return {
    treatment,
    asked,
    ...(why === undefined ? {} : { why }),
    ...(objects === undefined ? {} : { objects }),
    ...(code === undefined ? {} : { code }),
  };
}

/** What Docker says when nothing was asked for. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Something a container has that cannot come along. */
export interface Refusal {
  readonly code: string;
  readonly asked: string;
  /** A clause: it says what would go wrong. */
  readonly why: string;
}

/** One object of `docker inspect`, gone through. */
export interface Sifted {
  readonly carried: Readonly<Record<string, unknown>>;
  readonly refusals: readonly Refusal[];
}

/**
 * Take what is carried out of one object of `docker inspect`, and say what stands against the rest. A field that is not
 * in the table and has a value is refused as well: a setting that a newer engine knows must not be lost in silence.
 */
export function sift(
  object: Readonly<Record<string, unknown>>,
  fields: Fields,
  container: Inspected,
): Sifted {
  const taken: Record<string, unknown> = {};
  const refusals: Refusal[] = [];
  for (const [name, value] of Object.entries(object)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      if (!isEmpty(value)) refusals.push({ code: 'SETTING_UNKNOWN', asked: name, why: UNKNOWN });
      continue;
    }
    if (field.treatment === Treatment.carried) taken[name] = value;
    const why = field.objects?.(value, container);
    if (why !== undefined) refusals.push({ code: field.code ?? 'SETTING_REFUSED', asked: field.asked, why });
  }
  return { carried: taken, refusals };
}

export function findingOf({ code, asked, why }: Refusal): Finding {
  return {
    code,
    message: `it has ${asked}, which cannot be moved: ${why}`,
    mend: `start it without ${asked}, or leave it where it is`,
  };
}
