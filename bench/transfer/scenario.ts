import { APP_COMMAND, APP_IMAGE } from '../../test/lab/docker-image.ts';

/** What is moved. */
export interface Scenario {
  /** All layers, the shared base among them. */
  readonly imageMib: number;
  readonly volumesMib: number;
  /** In all volumes. */
  readonly files: number;
  readonly memoryMib: number;
}

export const SCENARIO: Scenario = { imageMib: 300, volumesMib: 200, files: 20_000, memoryMib: 128 };

export const MIB = 1 << 20;
/** Of Docker's containers, of the app to the gateway. */
export const NAME = 'shop';
/** What both hosts have had for long: Debian and Node. */
export const BASE_IMAGE = APP_IMAGE;
export const IMAGE = 'shop-with-all:1';
export const VOLUMES = ['shop-uploads', 'shop-data'] as const;
/** Where the app finds a volume. */
export const mountPoint = (volume: string) => `/data/${volume}`;
/** Where Docker has one. */
export const volumeDir = (volume: string) => `/var/lib/docker/volumes/${volume}/_data`;
/** The whole of what is rewritten is so every two seconds. */
export const REWRITTEN_SHARE = 0.02;
const REWRITTEN_IN_S = 2;

/** The app with its files rewritten by the same process. */
export const COMMAND = APP_COMMAND.toSpliced(-1, 0, '--import', '/srv/rewrite.mjs');

export function environment({ memoryMib, files }: Scenario): Readonly<Record<string, string>> {
  return {
    MEMORY_MIB: String(memoryMib),
    REWRITE_DIRS: VOLUMES.map(mountPoint).join(':'),
    REWRITE_PER_S: String((files * REWRITTEN_SHARE) / REWRITTEN_IN_S),
  };
}

export function inWords(scenario: Scenario, baseMib: number): string {
  const { imageMib, volumesMib, files, memoryMib } = scenario;
  return (
    `an image of ${imageMib} MiB (${Math.round(baseMib)} MiB of it a base that both hosts have), ` +
    `${volumesMib} MiB in ${files.toLocaleString('en')} files on ${VOLUMES.length} volumes, ` +
    `${files * REWRITTEN_SHARE} of them written anew every ${REWRITTEN_IN_S} s, ${memoryMib} MiB of sessions in memory`
  );
}
