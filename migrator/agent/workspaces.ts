import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Workspace } from '../engine/engine.ts';

const TMPFS_MAGIC = 0x01021994;

/** The directories of migrations under `runDir`. A checkpoint holds all secrets of its app: only root sees in. */
export class Workspaces {
  readonly #imagesRoot: string;
  readonly #workRoot: string;

  constructor(runDir: string) {
    this.#imagesRoot = path.join(runDir, 'images');
    this.#workRoot = path.join(runDir, 'work');
  }

  async init(): Promise<void> {
    for (const root of [this.#imagesRoot, this.#workRoot]) {
      await mkdir(root, { recursive: true, mode: 0o700 });
    }
  }

  /** Where checkpoints lie, for those who ask how much room there is. */
  get imagesRoot(): string {
    return this.#imagesRoot;
  }

  async onTmpfs(): Promise<boolean> {
    return (await statfs(this.#imagesRoot)).type === TMPFS_MAGIC;
  }

  of(migrationId: string): Workspace {
    return {
      migrationId,
      imagesDir: path.join(this.#imagesRoot, migrationId),
      workDir: path.join(this.#workRoot, migrationId),
    };
  }

  /** A workspace without anything in it, whatever was there. */
  async make(migrationId: string): Promise<Workspace> {
    const workspace = this.of(migrationId);
    await this.remove(migrationId);
    await mkdir(workspace.imagesDir, { mode: 0o700 });
    await mkdir(workspace.workDir, { mode: 0o700 });
    return workspace;
  }

  /** Throw away images that are worthless or about to come again, but for `keep`. */
  async emptyImages({ imagesDir }: Workspace, keep?: string): Promise<void> {
    for (const name of await readdir(imagesDir)) {
      if (name !== keep) await rm(path.join(imagesDir, name), { recursive: true });
    }
  }

  async remove(migrationId: string): Promise<void> {
    const { imagesDir, workDir } = this.of(migrationId);
    await rm(imagesDir, { recursive: true, force: true });
    await rm(workDir, { recursive: true, force: true });
  }

  /** Remove every workspace that no migration needs any more. */
  async sweep(keep: ReadonlySet<string>): Promise<void> {
    const ids = [...(await readdir(this.#imagesRoot)), ...(await readdir(this.#workRoot))];
    for (const id of new Set(ids)) if (!keep.has(id)) await this.remove(id);
  }
}
