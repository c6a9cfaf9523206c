/** A container that runc runs, whoever had it run: the runc engine itself, or Docker. */
export interface OciContainer {
  /** As its users call it. */
  readonly name: string;
  /** `runc --root`, and its name there. */
  readonly runcRoot: string;
  readonly id: string;
  /** Below each hierarchy's root: where its cgroup is when runc has no record of it. */
  readonly cgroupPath: string;
  /** See `runOnRecord`. */
  readonly operationFile: string;
}
