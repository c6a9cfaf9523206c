import { type Static, Type } from '@sinclair/typebox';
import { Health } from '../oci/health.ts';

export const StorageMode = Type.Union([Type.Literal('local'), Type.Literal('shared')]);
export type StorageMode = Static<typeof StorageMode>;

/** One entry of `containers:` in agent.yaml with `engine: docker`. */
export const DockerContainer = Type.Object(
  {
    engine: Type.Literal('docker'),
    /** Docker's name for it; that of the entry if not given. */
    container: Type.Optional(Type.String({ pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]*$' })),
    /** The app's port at the host's address; the only one that is published over TCP if not given. */
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    health: Type.Optional(Health),
    /**
     * Of a mount, by its path in the container. `shared`: both hosts have the same storage there, which is proven before a
     * move and not copied. `local`: each has its own, and a volume is copied. Told by the file system if not given.
     */
    storage: Type.Record(Type.String({ pattern: '^/' }), StorageMode, {
      default: {},
      additionalProperties: false,
    }),
    /**
     * Connections the app has opened to others cannot follow it to another address. `refuse`: no move while there are
     * any. `close`: the app finds them closed after the move, for apps that connect anew.
     */
    connections: Type.Union([Type.Literal('refuse'), Type.Literal('close')], { default: 'refuse' }),
  },
  { additionalProperties: false },
);
export type DockerContainer = Static<typeof DockerContainer>;
