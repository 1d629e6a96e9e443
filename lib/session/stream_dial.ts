/** Keeps the stream link that belongs to a session, for the side that dialled the session. */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Dialer, Link } from "../contracts/link.ts";
import { encodeFrame } from "../messages/stream.ts";

const RETRY_MS = 500;

/**
 * Dials until `signal` is aborted, then closes the link and resolves. Each link is bound to the session and handed
 * over, and dialled anew half a second after it closed.
 */
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
  const { clock, signal } = options;
  while (!signal.aborted) {
    try {
      await useLink(options);
    } catch {
      // The session beside it tells when the other side is away; this link only follows.
    }
    await pause(clock, RETRY_MS, signal);
  }
}

async function useLink({ dialer, url, token, sessionId, signal, onLink }: Parameters<typeof keepStreamLink>[0]) {
  const link = await dialer.dial(url, { token, signal });
  const close = () => link.close("the session is over");
  signal.addEventListener("abort", close, { once: true });
  try {
    // Aborted between the answer and now: the listener comes too late.
    if (signal.aborted) return close();
    link.send(
      encodeFrame({ kind: "bind", stream: 0, payload: new TextEncoder().encode(JSON.stringify({ sessionId })) }),
    );
    await onLink(link);
  } catch (error) {
    link.close("nobody takes the stream link");
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}
