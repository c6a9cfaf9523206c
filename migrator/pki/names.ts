import { isIP } from 'node:net';
import { HoldfastError } from '../errors.ts';

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/i;
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** File and subject name of a certificate: nothing that leaves the directory, or takes the authority's place. */
export function checkName(name: string): void {
  if (NAME.test(name) && name.toLowerCase() !== 'ca') return;
  throw new HoldfastError('PKI_NAME_INVALID', `${JSON.stringify(name)} cannot be the name of a certificate`, {
    mend: 'use up to 64 letters, digits, dots and dashes, and not "ca"',
  });
}

export interface AlternativeName {
  readonly type: 'ip' | 'dns';
  readonly value: string;
}

/** A subject alternative name from what the user wrote: an IP address or a host name. */
export function alternativeName(text: string): AlternativeName {
  if (isIP(text) !== 0) return { type: 'ip', value: text };
  // A name whose last label is a number is a mistyped address, never a host.
  if (DNS_NAME.test(text) && !/(?:^|\.)\d+$/.test(text)) return { type: 'dns', value: text };
  throw new HoldfastError(
    'PKI_SAN_INVALID',
    `${JSON.stringify(text)} is neither an IP address nor a host name`,
    {
      mend: 'give the address or the name under which the host is reached, without a port',
    },
  );
}
