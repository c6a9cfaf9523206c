/** One way of moving the app, by which moves are compared. */
export const Way = {
  /** `docker save | docker load`, rsync, `docker stop`, rsync, `docker run`: what is in memory is gone. */
  stopAndStart: 'stop-and-start',
  /** The same up to the stop; then Docker's own checkpoint, all of the memory in it. */
  checkpoint: 'checkpoint',
  /** Holdfast, to a host that has the base of the image and nothing else. */
  there: 'there',
  /** Holdfast, back to where the app came from. */
  back: 'back',
  /** Holdfast, there once more. */
  repeat: 'repeat',
  /** Holdfast's runc engine, with the same memory and nothing else, in turn with the moves of Docker. */
  runc: 'runc',
} as const;
export type Way = (typeof Way)[keyof typeof Way];

export const WAYS: readonly { readonly way: Way; readonly title: string }[] = [
  { way: Way.stopAndStart, title: 'save | load, rsync, stop and start' },
  { way: Way.checkpoint, title: 'save | load, rsync, docker checkpoint' },
  { way: Way.there, title: 'Holdfast' },
  { way: Way.back, title: 'Holdfast, the way back' },
  { way: Way.repeat, title: 'Holdfast, there again' },
  { way: Way.runc, title: 'Holdfast, memory alone, runc engine' },
];

/** What is measured at one go, and can be asked for. */
export const APPROACHES = ['stop-and-start', 'checkpoint', 'holdfast'] as const;
export type Approach = (typeof APPROACHES)[number];
