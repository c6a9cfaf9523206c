import { HoldfastError } from '../migrator/errors.ts';

interface Refusal {
  readonly text: RegExp;
  readonly code: string;
  readonly mend: string;
  readonly retryable?: boolean;
}

/** HAProxy says in English what it refuses, and in few words: these, in the versions from 2.6 to 3.2. */
const REFUSALS: readonly Refusal[] = [
  {
    text: /^Permission denied/,
    code: 'HAPROXY_FORBIDDEN',
    mend: 'give the socket `level admin` in the configuration of HAProxy',
  },
  {
    text: /^Unknown command/,
    code: 'HAPROXY_COMMAND_UNKNOWN',
    mend: 'this version of HAProxy lacks the command: install 2.6 or newer, for `wait` 3.0',
  },
  {
    text: /^Can't find the target PID/,
    code: 'HAPROXY_WORKER_GONE',
    mend: 'ask for the current worker',
    retryable: true,
  },
  {
    text: /^Unknown map identifier/,
    code: 'HAPROXY_MAP_UNKNOWN',
    mend: 'name the map as the configuration of HAProxy does',
  },
  {
    text: /^(key or pattern not found|entry not found|key not found)/i,
    code: 'HAPROXY_KEY_UNKNOWN',
    mend: 'add the key first',
  },
  {
    text: /^(No such backend|Can't find backend)/,
    code: 'HAPROXY_BACKEND_UNKNOWN',
    mend: 'add it to the configuration of HAProxy',
  },
  { text: /^No such server/, code: 'HAPROXY_SERVER_UNKNOWN', mend: 'add it to the configuration of HAProxy' },
  {
    text: /^Already exists a server with the same name/,
    code: 'HAPROXY_SERVER_EXISTS',
    mend: 'delete the server first, or take another name',
  },
  {
    text: /^(Server still has connections|Only servers in maintenance mode)/,
    code: 'HAPROXY_SERVER_IN_USE',
    mend: 'set its state to maint, and wait until its connections are closed',
    retryable: true,
  },
];

/** What HAProxy said instead of an answer, as an error: `HAPROXY_REFUSED` when it is none of those known. */
export function refusal(text: string): HoldfastError {
  return (
    knownRefusal(text) ??
    new HoldfastError('HAPROXY_REFUSED', firstLine(text) || 'it said nothing', {
      mend: 'see what HAProxy said, and its manual on the runtime API',
    })
  );
}

export function knownRefusal(text: string): HoldfastError | undefined {
  const known = REFUSALS.find((one) => one.text.test(text));
  if (known === undefined) return undefined;
  const { code, mend, retryable = false } = known;
  return new HoldfastError(code, firstLine(text), { mend, retryable });
}

/** An answer that is neither what was asked for nor a refusal. */
export function notUnderstood(what: string, text: string): HoldfastError {
  return new HoldfastError('HAPROXY_ANSWER_INVALID', `${what} is not understood: ${firstLine(text)}`, {
    mend: 'see that a runtime socket of HAProxy is there, of version 2.6 or newer',
  });
}

/** The same error, with what it was about before its message. */
export function about(what: string, error: HoldfastError): HoldfastError {
  return new HoldfastError(error.code, `${what}: ${error.message}`, {
    ...(error.mend === undefined ? {} : { mend: error.mend }),
    retryable: error.retryable,
    cause: error,
  });
}

const LONGEST_QUOTE = 200;

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, LONGEST_QUOTE);
}
