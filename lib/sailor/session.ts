/**
 * The sailor's end of one session with a deck. Owns the order of the protocol: hello, welcome, increments without a gap,
 * reports until acknowledged, signs of life. What should run is the sailor's to arrange (`SessionHost`).
 */
import type { Clock } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { AttemptReport, Challenge, DeckMessage, Hello, SailorMessage, Welcome } from "../messages/session.ts";
import { parseDeckMessage } from "../messages/session.ts";
import { partsOf } from "./report_parts.ts";
import { createFrameOrder } from "../session/frame_order.ts";

export interface SessionHost {
  hello(): Promise<Hello>;
  /** The signature that answers a challenge that came over `link`. */
  prove(challenge: Challenge, link: Link): string;
  /** A sentence when this deck must not be obeyed. */
  judge(welcome: Welcome): { readonly code: "foreignCluster" | "staleTerm"; readonly message: string } | undefined;
  /** Called once it is clear that this deck is obeyed; resolves when the whole list is taken in. */
  welcomed(welcome: Welcome, session: Session): Promise<void>;
  assign(message: Extract<DeckMessage, { kind: "assign" }>, session: Session): Promise<void>;
  acknowledged(reports: readonly { readonly attemptId: string; readonly revision: number }[]): void;
  /** Whole lists of addresses of the services that are named. */
  servicesChanged(services: Readonly<Record<string, readonly string[]>>): void;
  heartbeat(): Promise<Extract<SailorMessage, { kind: "heartbeat" }>>;
}

export interface Session {
  readonly link: Link;
  sessionId(): string | null;
  report(reports: readonly AttemptReport[]): void;
  /** A heartbeat now, because something of what it says has changed. */
  beat(): void;
  close(reason: string): void;
}

/** Silence before the welcome, while nothing is agreed yet. */
const WELCOME_WITHIN_MS = 15_000;

/** Resolves with the reason when the session has ended. */
export async function runSession(
  options: { readonly link: Link; readonly host: SessionHost; readonly clock: Clock; readonly logger: Logger },
): Promise<string> {
  const { link, host, clock, logger } = options;
  const ended = Promise.withResolvers<string>();
  let welcome: Welcome | null = null;
  let sequence = 0;
  let heardMonoMs = clock.monoMs();
  let over = false;
  let cancelBeat = () => {};
  let cancelWatch = () => {};
  // Messages are taken in one after the other, though taking one in may wait for the journal.
  let queue: Promise<void> = Promise.resolve();

  const order = createFrameOrder();
  const send = (message: SailorMessage) => link.send(order.write(message));
  const session: Session = {
    link,
    sessionId: () => welcome?.sessionId ?? null,
    report: (reports) => {
      if (welcome) { for (const part of partsOf(reports)) send({ kind: "reports", reports: part }); }
    },
    beat: async () => {
      if (welcome) send(await host.heartbeat());
    },
    close: (reason) => link.close(reason),
  };
  const leave = (reason: string) => {
    over = true;
    logger.warn("leaving a session", { reason });
    send({ kind: "leaving", reason });
    link.close(reason);
  };

  link.onClose((reason) => {
    over = true;
    cancelBeat();
    cancelWatch();
    ended.resolve(reason);
  });
  link.onFrame((frame) => {
    heardMonoMs = clock.monoMs();
    queue = queue.then(() => take(frame)).catch((error) => {
      logger.error("a message of the deck could not be carried out", { error: String(error.stack ?? error) });
      leave("a message could not be carried out");
    });
  });
  watch(WELCOME_WITHIN_MS);
  try {
    send(await host.hello());
  } catch (error) {
    link.close(`no hello: ${(error as Error).message}`);
  }
  return await ended.promise;

  async function take(frame: string | Uint8Array): Promise<void> {
    // What waited in line when the session ended is not taken: a newer one may have begun.
    if (over) return;
    const parsed = parseDeckMessage(frame);
    if (parsed.kind === "bad") return leave(`cannot read the message: ${parsed.problem}`);
    const turn = order.take(parsed.number);
    if (turn === "gap") return leave("a message of the deck is missing");
    if (turn === "again" || parsed.kind === "skip") return;
    const { message } = parsed;
    switch (message.kind) {
      case "welcome":
        return await takeWelcome(message);
      case "challenge":
        if (welcome) return leave("a challenge came after the welcome");
        return send({ kind: "proof", signature: host.prove(message, link) });
      case "refuse":
        over = true;
        logger.warn("the deck refuses this sailor", { code: message.code, message: message.message });
        return link.close(message.message);
      case "ping":
        if (welcome) send(await host.heartbeat());
        return;
      case "acknowledge":
        return host.acknowledged(message.reports);
      case "services":
        if (welcome) host.servicesChanged(message.services);
        return;
      case "assign":
        if (!welcome) return leave("an increment came before the welcome");
        if (message.sequence !== sequence + 1) {
          return leave(`increment ${message.sequence} came after ${sequence}: something is missing`);
        }
        sequence = message.sequence;
        return await host.assign(message, session);
      default:
        message satisfies never;
    }
  }

  async function takeWelcome(message: Welcome): Promise<void> {
    if (welcome) return leave("a second welcome");
    const refusal = host.judge(message);
    if (refusal) {
      logger.warn("this deck is not obeyed", refusal);
      over = true;
      send({ kind: "refuse", ...refusal });
      return link.close(refusal.message);
    }
    welcome = message;
    cancelWatch();
    watch(message.timeoutMs);
    beatEvery(message.heartbeatMs);
    await host.welcomed(message, session);
  }

  function beatEvery(periodMs: number): void {
    cancelBeat = clock.after(periodMs, async () => {
      send(await host.heartbeat());
      if (!over) beatEvery(periodMs);
    });
  }

  function watch(timeoutMs: number): void {
    if (over) return;
    const leftMs = heardMonoMs + timeoutMs - clock.monoMs();
    if (leftMs <= 0) return link.close(`the deck was silent for ${timeoutMs / 1000} s`);
    cancelWatch = clock.after(leftMs, () => watch(timeoutMs));
  }
}
