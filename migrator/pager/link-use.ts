/** What a connection to the source is for. */
export const LinkUse = {
  /** Pages that somebody waits for. */
  urgent: 'urgent',
  /** Pages that will be wanted. */
  ahead: 'ahead',
  /** What of the store still holds. */
  comparing: 'comparing',
} as const;
export type LinkUse = (typeof LinkUse)[keyof typeof LinkUse];
