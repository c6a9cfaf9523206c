/** What one host sends another, the most urgent first. */
export const Traffic = {
  /** Pages that a process at the destination stands still for. */
  faults: 0,
  /** What is left of an app that is frozen: its users wait. */
  difference: 1,
  /** Memory of an app that runs, at either end. */
  memory: 2,
  files: 3,
  layers: 4,
} as const;
export type Traffic = (typeof Traffic)[keyof typeof Traffic];
