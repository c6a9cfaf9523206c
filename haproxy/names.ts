/** What the configuration of HAProxy and those who drive it call things; see config-text.ts. */

export function backendOf(app: string): string {
  return `holdfast_app_${app}`;
}

/** In an app's backend, the app itself. */
export const APP_SERVER = 'app';

/** In an app's backend the one that takes over while the app's server is not to be used; alone in its own. */
export const GATE_SERVER = 'gate';

export const GATE_BACKEND = 'holdfast_gate';

/** What the map says of an app. An app it says nothing of goes by way of the gate. */
export const Way = {
  /** HAProxy sends requests to the app's own server. */
  direct: 'direct',
  /** HAProxy sends requests to Holdfast, which holds them or sends them on. */
  gate: 'gate',
} as const;
export type Way = (typeof Way)[keyof typeof Way];
