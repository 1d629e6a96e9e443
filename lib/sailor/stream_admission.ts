/**
 * Stream links that a deck dials: taken only for a session that this sailor obeys. A session's id is a secret of its two
 * ends, so whoever names it is the deck that was welcome, and not merely somebody with this listener's token.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import { awaitBind } from "../session/bound_link.ts";

const BIND_WITHIN_MS = 5_000;
/** The deck dials when it has sent its welcome, which may still be on its way or wait for the journal. */
const WELCOME_WITHIN_MS = 5_000;

export interface StreamAdmission {
  accept(link: Link): void;
  opened(sessionId: string): void;
  closed(sessionId: string): void;
}

export function createStreamAdmission(
  { clock, serve }: { readonly clock: Clock; readonly serve: (link: Link) => void },
): StreamAdmission {
  const open = new Set<string>();
  const waiting = new Map<string, Set<() => void>>();

  function admit(sessionId: string, link: Link): void {
    if (open.has(sessionId)) return serve(link);
    const waits = waiting.get(sessionId) ?? new Set();
    waiting.set(sessionId, waits);
    const end = () => {
      cancel();
      if (waits.delete(ready) && waits.size === 0) waiting.delete(sessionId);
    };
    const ready = () => {
      end();
      serve(link);
    };
    const cancel = clock.after(WELCOME_WITHIN_MS, () => {
      end();
      link.close("there is no such session here");
    });
    waits.add(ready);
    link.onClose(end);
  }

  return {
    accept(link) {
      let bound = false;
      const cancel = clock.after(BIND_WITHIN_MS, () => {
        if (!bound) link.close("no bind came");
      });
      awaitBind(link, (sessionId, boundLink) => {
        bound = true;
        cancel();
        admit(sessionId, boundLink);
      });
    },
    opened(sessionId) {
      open.add(sessionId);
      for (const ready of [...waiting.get(sessionId) ?? []]) ready();
    },
    closed: (sessionId) => void open.delete(sessionId),
  };
}
