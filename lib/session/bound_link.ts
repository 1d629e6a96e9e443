/** The first frame of an accepted stream link says to which session it belongs; what follows is another's to read. */
import type { Link } from "../contracts/link.ts";
import { decodeFrame, streamBind } from "../messages/stream.ts";

const EARLY_FRAMES_MAX = 64;

/** Calls `onBound` with the session's id and the link, whose handlers are free to be set; closes it when the frame is none. */
export function awaitBind(link: Link, onBound: (sessionId: string, link: Link) => void): void {
  let bound = false;
  const early: (string | Uint8Array)[] = [];
  let inner: ((frame: string | Uint8Array) => void) | undefined;
  let innerClose: ((reason: string) => void) | undefined;
  let closed: string | undefined;
  link.onClose((reason) => {
    closed = reason;
    innerClose?.(reason);
  });
  link.onFrame((frame) => {
    if (inner) return inner(frame);
    if (bound) {
      // Whoever has it may take a moment to decide; what comes until then is little, and kept.
      if (early.push(frame) > EARLY_FRAMES_MAX) link.close("too much came before the link was taken");
      return;
    }
    const sessionId = sessionOf(frame);
    if (sessionId === undefined) return link.close("a stream link begins with bind");
    bound = true;
    onBound(sessionId, {
      ...link,
      onFrame(handler) {
        inner = handler;
        for (const each of early.splice(0)) handler(each);
      },
      onClose: (handler) => {
        innerClose = handler;
        if (closed !== undefined) handler(closed);
      },
    });
  });
}

function sessionOf(frame: string | Uint8Array): string | undefined {
  const decoded = typeof frame === "string" ? undefined : decodeFrame(frame);
  if (decoded?.kind !== "bind") return undefined;
  try {
    return streamBind.parse(JSON.parse(new TextDecoder().decode(decoded.payload))).sessionId;
  } catch {
    return undefined; // Not JSON, or not the right shape: no bind either way.
  }
}
