/** Keeps a session with a deck that this side dials, and dials the session's stream socket too. */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Dialer, Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Random } from "../contracts/random.ts";
import { backoffMs } from "../core/backoff.ts";
import { SESSION_PATH, STREAM_PATH } from "../messages/session.ts";
import { keepStreamLink } from "../session/stream_dial.ts";

const REDIAL_MIN_MS = 200;
const REDIAL_MAX_MS = 5_000;

export interface JoinOptions {
  readonly dialer: Dialer;
  readonly url: string;
  readonly token: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Runs a session over the link; resolves when it has ended. */
  readonly run: (link: Link) => Promise<unknown>;
}

/**
 * Dials again after a loss, 0.1 s to 5 s later: longer each time, until a session has lasted. Why it does not come
 * through is said whenever the reason is another one: a deck that was still starting may then refuse for good.
 */
export async function keepJoined(options: JoinOptions): Promise<void> {
  const { dialer, url, token, clock, random, logger, signal, run } = options;
  let failures = 0;
  let said: string | undefined;
  while (!signal.aborted) {
    const startedMs = clock.monoMs();
    try {
      await run(await dialer.dial(new URL(SESSION_PATH, url).href, { token, signal }));
      said = undefined;
      if (clock.monoMs() - startedMs > REDIAL_MAX_MS) failures = 0;
    } catch (error) {
      const reason = (error as Error).message;
      if (reason !== said && !signal.aborted) logger.warn("the deck does not answer", { reason });
      said = reason;
    }
    await pause(clock, backoffMs(failures++, REDIAL_MIN_MS, REDIAL_MAX_MS, random.next()), signal);
  }
}

/** Whoever dialled the session dials its streams too. Ends with `signal`. */
export function keepStreams(
  { dialer, url, token, sessionId, clock, signal, serve }: {
    readonly dialer: Dialer;
    readonly url: string;
    readonly token: string | undefined;
    readonly sessionId: string;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly serve: (link: Link) => void;
  },
): void {
  void keepStreamLink({
    dialer,
    url: new URL(STREAM_PATH, url).href,
    token,
    sessionId,
    clock,
    signal,
    onLink: (link) =>
      new Promise((resolve) =>
        serve({
          ...link,
          onClose: (handler) =>
            link.onClose((reason) => {
              handler(reason);
              resolve();
            }),
        })
      ),
  });
}
