import { type Static, Type } from '@sinclair/typebox';
import { Health } from '../oci/health.ts';

const strict = { additionalProperties: false } as const;
const AbsolutePath = Type.String({ pattern: '^/' });

const Mount = Type.Object(
  {
    source: AbsolutePath,
    /** Must exist in the root file system, which is read-only. */
    destination: AbsolutePath,
    readOnly: Type.Boolean({ default: false }),
  },
  strict,
);

/** One entry of `containers:` in agent.yaml with `engine: runc`. */
export const RuncContainer = Type.Object(
  {
    engine: Type.Literal('runc'),
    /** Used read-only, the same at both ends. */
    rootfs: AbsolutePath,
    command: Type.Array(Type.String(), { minItems: 1 }),
    env: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Type.String(), { default: {} }),
    cwd: Type.String({ pattern: '^/', default: '/' }),
    /** `uid:gid`, as numbers. */
    user: Type.String({ pattern: '^\\d+:\\d+$', default: '0:0' }),
    /** The app's port at the host's address: containers share the host's network. */
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    health: Type.Optional(Health),
    mounts: Type.Array(Mount, { default: [] }),
    /**
     * Where the app can write. What is there travels with the container; each costs some 5 ms of the freeze at either end.
     * They must exist in the root file system.
     */
    tmpfs: Type.Array(AbsolutePath, { default: ['/tmp', '/run', '/dev/shm'], uniqueItems: true }),
    memoryLimitBytes: Type.Optional(Type.Integer({ minimum: 4 << 20 })),
    /** `unconfined` lets the app open io_uring, which no checkpoint can carry. */
    seccomp: Type.Union([Type.Literal('default'), Type.Literal('unconfined')], { default: 'default' }),
    /**
     * Connections the app has opened to others cannot follow it to another address. `refuse`: no move while there are
     * any. `close`: the app finds them closed after the move, for apps that connect anew.
     */
    connections: Type.Union([Type.Literal('refuse'), Type.Literal('close')], { default: 'refuse' }),
  },
  strict,
);
export type RuncContainer = Static<typeof RuncContainer>;
