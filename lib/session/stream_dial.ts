/** Keeps the stream link that belongs to a session, for the side that dialled the session. */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Dialer, Link } from "../contracts/link.ts";
import { encodeFrame } from "../messages/stream.ts";

const RETRY_MS = 500;

/** Dials until `signal` is aborted; each link is bound to the session and handed over, and dialled anew when it closes. */
export async function keepStreamLink(options: {
  readonly dialer: Dialer;
  readonly url: string;
  readonly token?: string;
  readonly sessionId: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Resolves when the link is closed. */
  readonly onLink: (link: Link) => Promise<void>;
}): Promise<void> {
  const { dialer, url, token, sessionId, clock, signal } = options;
  while (!signal.aborted) {
    try {
      const link = await dialer.dial(url, { token, signal });
      link.send(
        encodeFrame({ kind: "bind", stream: 0, payload: new TextEncoder().encode(JSON.stringify({ sessionId })) }),
      );
      const abort = () => link.close("the session is over");
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      await options.onLink(link);
      signal.removeEventListener("abort", abort);
    } catch {
      // The session beside it tells when the other side is away; this link only follows.
    }
    await pause(clock, RETRY_MS, signal);
  }
}
