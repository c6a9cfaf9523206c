/** What a hold does about WebSockets and other upgraded connections that are open: it awaits their end, or closes them last. */
export const Upgrades = { wait: 'wait', close: 'close' } as const;
export type Upgrades = (typeof Upgrades)[keyof typeof Upgrades];
