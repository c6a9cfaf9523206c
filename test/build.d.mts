/** The repository: on a lab's hosts it is at /opt/holdfast. */
export const repoDir: string;

/** Arguments of env(1) for Node: the test runner gives every program it starts, however indirectly, hooks to load. */
export const PLAIN_NODE: readonly string[];

/**
 * Compile the sources, unless it has been done for what they hold now.
 *
 * @returns the directory, relative to the repository's own
 */
export function build(): string;

/** Where the sources are compiled as they are now, if they have been. */
export function built(): string | undefined;
