/**
 * The deck's ends of the sessions with sailors. Owns links, liveness marks and the per-session sequence of `assign`;
 * what messages mean is decided in the core. A session that breaks a rule is closed: the next one begins with full truth.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Verify } from "../contracts/keys.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Random } from "../contracts/random.ts";
import type { Send } from "../core/draft.ts";
import type { Assignment } from "../core/outgoing.ts";
import type { State } from "../core/state.ts";
import type { DeckMessage, Hello } from "../messages/session.ts";
import { parseSailorMessage } from "../messages/session.ts";
import type { Admission } from "./admission.ts";
import { createAdmission } from "./admission.ts";
import type { FrameOrder } from "../session/frame_order.ts";
import { createFrameOrder } from "../session/frame_order.ts";
import type { Loop } from "./loop.ts";
import type { Addresses } from "./addresses.ts";
import type { Secrets } from "./secrets.ts";

/** For the proof, too. */
const HELLO_WITHIN_MS = 10_000;
const BEFORE_ADMISSION: ReadonlySet<string> = new Set(["hello", "proof", "refuse"]);
/** A sailor that lets so much pile up is not reading. */
const BUFFERED_BYTES_MAX = 64 * 2 ** 20;

interface Session {
  readonly id: string;
  readonly link: Link;
  readonly admission: Admission;
  /** Its hello came; whether it counts may hang on a proof. */
  greeted: boolean;
  /** Null: not admitted yet. */
  readonly order: FrameOrder;
  nodeId: string | null;
  sequence: number;
  readonly onWelcome: (sessionId: string) => void;
}

export interface AcceptOptions {
  /** The address that the deck dialled; null: the sailor dialled. */
  readonly staticAddress: string | null;
  readonly remoteIp: string;
  readonly onWelcome?: (sessionId: string) => void;
}

export interface Sessions {
  /** Takes a link that a sailor dialled, or that the deck dialled at `staticAddress`. Resolves when it is closed. */
  accept(link: Link, options: AcceptOptions): Promise<string>;
  send(sends: readonly Send[]): void;
  close(sessionId: string, reason: string): void;
  /** Asks every sailor for a sign of life. */
  ping(): void;
  /** Does nothing when the node has no session. */
  tell(nodeId: string, message: DeckMessage): void;
  ofNode(nodeId: string): string | undefined;
  has(sessionId: string): boolean;
  closeAll(reason: string): void;
}

export function createSessions(options: {
  readonly loop: () => Loop;
  readonly working: State;
  readonly clusterId: string;
  readonly term: number;
  readonly verify: Verify;
  readonly secrets: Pick<Secrets, "fill" | "hideInReports">;
  /** Where the services answer that a task binds. */
  readonly addresses: () => Pick<Addresses, "fill">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A session has ended, whether or not it was ever welcome. */
  readonly onOver?: (sessionId: string, reason: string) => void;
}): Sessions {
  const { working, clock, random, logger, term } = options;
  const sessions = new Map<string, Session>();
  const byNode = new Map<string, Session>();

  function post(session: Session, message: DeckMessage): void {
    if (session.link.buffered() > BUFFERED_BYTES_MAX) {
      return session.link.close("the sailor does not read");
    }
    session.link.send(session.order.write(complete(message)));
  }

  /** Values of secrets, and addresses as they are now, come in here: the last place before the wire. */
  function complete(message: DeckMessage): DeckMessage {
    if (message.kind !== "assign" && message.kind !== "welcome") return message;
    if (!message.assignments.some(({ spec }) => spec.secrets || spec.bind)) return message;
    const { fill } = options.addresses();
    return {
      ...message,
      assignments: message.assignments.map((each) => each.spec.secrets ? options.secrets.fill(each) : each).map(fill),
    };
  }

  function close(sessionId: string, reason: string): void {
    sessions.get(sessionId)?.link.close(reason);
  }

  function take(session: Session, frame: string | Uint8Array, staticAddress: string | null, remoteIp: string): void {
    const parsed = parseSailorMessage(frame);
    if (parsed.kind === "bad") {
      logger.warn("a sailor sent what cannot be read", { remoteIp, problem: parsed.problem });
      return session.link.close(`cannot read the message: ${parsed.problem}`);
    }
    const turn = session.order.take(parsed.number);
    if (turn === "gap") return session.link.close("a message of the sailor is missing; start over");
    if (turn === "again" || parsed.kind === "skip") return;
    const { message } = parsed;
    if (session.nodeId === null && !BEFORE_ADMISSION.has(message.kind)) {
      return session.link.close("a session begins with hello");
    }
    switch (message.kind) {
      case "hello":
        if (session.nodeId !== null || session.greeted) return session.link.close("a session has one hello");
        session.greeted = true;
        {
          const answer = session.admission.hello(message);
          if (answer.kind === "challenge") return post(session, answer.message);
        }
        return admit(session, message, staticAddress, remoteIp);
      case "proof": {
        if (session.nodeId !== null) return session.link.close("a session has one proof");
        const answer = session.admission.proof(message);
        if (answer.kind === "proven") return admit(session, answer.hello, staticAddress, remoteIp);
        logger.warn("a sailor is refused", { remoteIp, reason: answer.why });
        post(session, { kind: "refuse", code: "unauthorized", message: answer.why });
        return session.link.close(answer.why);
      }
      case "reports":
        heard(session);
        return options.loop().post({
          kind: "reports",
          sessionId: session.id,
          nodeId: session.nodeId!,
          reports: options.secrets.hideInReports(message.reports),
          hello: null,
        });
      case "heartbeat": {
        const live = heard(session);
        if (!live) return;
        const { local, runtimesAway = [] } = message;
        const before = [live.local, live.runtimesAway ?? []];
        const changed = JSON.stringify(before) !== JSON.stringify([local, runtimesAway]);
        // The same objects again where they say the same: what is known of where tasks fit hangs on them.
        const told = changed ? { local, runtimesAway } : {};
        working.live.set(session.nodeId!, { ...live, stats: message.stats ?? live.stats, ...told });
        if (changed) options.loop().post({ kind: "place" });
        return;
      }
      case "leaving":
      case "refuse":
        logger.warn("a sailor ended its session", {
          node: staticAddress ?? session.nodeId,
          reason: message.kind === "refuse" ? message.message : message.reason,
        });
        return session.link.close("as the sailor asked");
      default:
        message satisfies never;
    }
  }

  function admit(session: Session, hello: Hello, staticAddress: string | null, remoteIp: string): void {
    session.nodeId = hello.nodeId;
    const attempts = [...options.secrets.hideInReports(hello.attempts)];
    options.loop().post({
      kind: "hello",
      sessionId: session.id,
      hello: { ...hello, attempts },
      staticAddress,
      remoteIp,
    });
  }

  function heard(session: Session) {
    const live = working.live.get(session.nodeId!);
    if (!live || live.sessionId !== session.id) {
      // Given up or removed while it was welcome: only a new hello brings the node back.
      if (byNode.get(session.nodeId!) === session) session.link.close("the deck had given the session up; start over");
      return undefined;
    }
    const now = { ...live, heardMonoMs: clock.monoMs() };
    working.live.set(session.nodeId!, now);
    return now;
  }

  return {
    accept(link, { staticAddress, remoteIp, onWelcome = () => {} }) {
      const session: Session = {
        id: random.uuid(),
        link,
        admission: createAdmission({ ...options, dialledBy: staticAddress === null ? "sailor" : "deck" }),
        greeted: false,
        order: createFrameOrder(),
        nodeId: null,
        sequence: 0,
        onWelcome,
      };
      sessions.set(session.id, session);
      const cancel = clock.after(HELLO_WITHIN_MS, () => {
        if (session.nodeId === null) link.close(session.greeted ? "no proof came" : "no hello came");
      });
      return new Promise((resolve) => {
        link.onClose((reason) => {
          cancel();
          sessions.delete(session.id);
          options.onOver?.(session.id, reason);
          if (session.nodeId !== null) {
            if (byNode.get(session.nodeId) === session) byNode.delete(session.nodeId);
            options.loop().post({ kind: "sessionClosed", sessionId: session.id, nodeId: session.nodeId });
          }
          resolve(reason);
        });
        link.onFrame((frame) => take(session, frame, staticAddress, remoteIp));
      });
    },
    send(sends) {
      const toNodes = new Map<string, { assignments: Map<string, Assignment>; drop: Set<string> }>();
      const flush = () => {
        for (const [nodeId, { assignments, drop }] of toNodes) {
          const session = byNode.get(nodeId);
          if (!session) continue;
          post(session, {
            kind: "assign",
            term,
            sequence: ++session.sequence,
            assignments: [...assignments.values()],
            drop: [...drop],
          });
        }
        toNodes.clear();
      };
      for (const send of sends) {
        switch (send.kind) {
          case "assign":
          case "drop": {
            const entry = toNodes.get(send.nodeId) ?? { assignments: new Map(), drop: new Set() };
            toNodes.set(send.nodeId, entry);
            if (send.kind === "assign") entry.assignments.set(send.assignment.attemptId, send.assignment);
            else entry.drop.add(send.attemptId);
            break;
          }
          case "message": {
            const session = sessions.get(send.sessionId);
            if (!session) break;
            // What was decided before a welcome is part of its list; what comes after must follow it.
            if (send.message.kind === "welcome") flush();
            post(session, send.message as DeckMessage);
            if (send.message.kind === "welcome") {
              byNode.set(session.nodeId!, session);
              session.onWelcome(session.id);
            }
            break;
          }
          case "close":
            close(send.sessionId, send.reason);
            break;
          default:
            send satisfies never;
        }
      }
      flush();
    },
    close,
    ping() {
      for (const session of byNode.values()) post(session, { kind: "ping" });
    },
    tell(nodeId, message) {
      const session = byNode.get(nodeId);
      if (session) post(session, message);
    },
    ofNode: (nodeId) => byNode.get(nodeId)?.id,
    has: (sessionId) => sessions.has(sessionId),
    closeAll(reason) {
      for (const session of [...sessions.values()]) session.link.close(reason);
    },
  };
}
