import { surveyMemory } from '../memory/survey.ts';
import { Link } from '../transfer/link.ts';
import { probeLink } from '../transfer/probe.ts';
import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext } from './host.ts';
import type { MeasureReply, MeasureRequest } from './protocol.ts';

/**
 * What a move of this container to another agent would meet: its memory, and the link, or what the move may have of it.
 * Touches nothing.
 */
export async function measure(
  host: HostContext,
  container: string,
  { to: url, limitRateBps }: MeasureRequest,
): Promise<MeasureReply> {
  const engine = engineOf(host, container);
  const signal = AbortSignal.timeout(Deadlines.measureMs);
  const link = new Link({ url, tls: host.tls });
  const flow = host.link.flow(url, limitRateBps);
  try {
    const { survey, meanwhile } = await surveyMemory(
      () => engine.processes(container),
      async () => {
        await link.open(signal);
        return probeLink(link, flow, signal);
      },
      signal,
    );
    return { memory: survey, link: meanwhile };
  } finally {
    link.close();
    flow.close();
  }
}
