/** Keeps a session to one static sailor: dials it until it is there, and again whenever the session ends. */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Dialer } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Random } from "../contracts/random.ts";
import { SESSION_PATH, STREAM_PATH } from "../messages/session.ts";
import { keepStreamLink } from "../session/stream_dial.ts";
import type { Sessions } from "./sessions.ts";
import type { StreamRelay } from "./streams.ts";

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** A session that lasted so long was a good one: the next dial comes at once. */
const GOOD_SESSION_MS = 5_000;

export async function keepDialling(options: {
  readonly worker: { readonly address: string; readonly tls?: boolean; readonly token?: string };
  readonly dialer: Dialer;
  readonly sessions: Sessions;
  readonly streams: StreamRelay;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { worker, dialer, sessions, streams, clock, random, logger, signal } = options;
  const url = `${worker.tls ? "wss" : "ws"}://${worker.address}`;
  let failures = 0;
  let said: string | undefined;
  while (!signal.aborted) {
    try {
      const link = await dialer.dial(`${url}${SESSION_PATH}`, { token: worker.token, signal });
      const startedMs = clock.monoMs();
      const over = new AbortController();
      const reason = await sessions.accept(link, {
        staticAddress: worker.address,
        remoteIp: "",
        onWelcome: (sessionId) =>
          void keepStreamLink({
            dialer,
            url: `${url}${STREAM_PATH}`,
            token: worker.token,
            sessionId,
            clock,
            signal: over.signal,
            onLink: (streamLink) => streams.attach(streamLink, sessionId),
          }),
      });
      over.abort();
      if (clock.monoMs() - startedMs > GOOD_SESSION_MS) failures = 0;
      // One that is refused is dialled again and again: said once for each reason in a row.
      if (failures === 0 || reason !== said) logger.info("a session ended", { node: worker.address, reason });
      said = reason;
    } catch (error) {
      const reason = (error as Error).message;
      if (reason !== said && !signal.aborted) {
        logger.info("a sailor does not answer yet", { node: worker.address, reason });
      }
      said = reason;
    }
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures++, 10)) * (0.5 + random.next() / 2);
    await pause(clock, delayMs, signal);
  }
}
