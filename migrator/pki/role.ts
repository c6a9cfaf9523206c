import type { PeerCertificate } from 'node:tls';

/** What a certificate's holder may do; it stands in the subject's organisational unit. */
export const Role = {
  /** Every call. */
  gateway: 'gateway',
  /** Only what one agent asks of another: to take a checkpoint. */
  agent: 'agent',
} as const;
export type Role = (typeof Role)[keyof typeof Role];

/** The role a verified peer certificate grants, or undefined when it grants none. */
export function roleOf(certificate: PeerCertificate | Record<string, never>): Role | undefined {
  const unit: unknown = certificate.subject?.OU;
  return Object.values(Role).find((role) => role === unit);
}
