import { get } from 'node:http';

/** `GET /state` of the app. */
export interface AppState {
  readonly seq: number;
  readonly head: string;
  readonly users: number;
  /** Request ids that came to the app more than once. */
  readonly duplicates: number;
  readonly pid: number;
  readonly startedAt: string;
  readonly memoryBytes: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  readonly count?: number;
}

/** Ask the app what it knows. @throws when it does not answer with 200 within 5 s. */
export function readState(url: string, host?: string, user?: string): Promise<AppState> {
  const path = user === undefined ? '/state' : `/state?user=${encodeURIComponent(user)}`;
  const options = {
    agent: false as const,
    signal: AbortSignal.timeout(5_000),
    ...(host === undefined ? {} : { headers: { host } }),
  };
  return new Promise((resolve, reject) => {
    const asked = get(`${url}${path}`, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as AppState);
        else reject(new Error(`/state answered ${response.statusCode}: ${text}`));
      });
    });
    asked.once('error', reject);
  });
}
