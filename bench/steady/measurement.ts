/** What the load saw of a proxy in one go. */
export interface Load {
  readonly requests: number;
  readonly requestsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Connections refused or broken, time-outs, and answers other than 2xx and 3xx. */
  readonly errors: number;
}

/** One proxy under load, once; in a round it is measured twice. */
export interface Measurement extends Load {
  readonly proxy: string;
  readonly round: number;
  /** Of all processes that the proxy needs, the kernel's work for them included. */
  readonly cpuUsPerRequest: number;
  /** Share of its core that the proxy used: where it is far from 1, something else was the bottleneck. */
  readonly busy: number;
  /** Requests that came by way of Node, where none should; `null`: they all do, or there is no Node. */
  readonly throughNode: number | null;
}
