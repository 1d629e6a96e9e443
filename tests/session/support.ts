/** A deck's and a sailor's end over one link in memory, and what the tests of both look at. */
import type { Link } from "../../lib/contracts/link.ts";
import type { StreamFrameKind, StreamRequest } from "../../lib/messages/stream.ts";
import { decodeFrame, encodeFrame } from "../../lib/messages/stream.ts";
import type { Stream } from "../../lib/session/channel.ts";
import type { StreamMux } from "../../lib/session/stream_mux.ts";
import { createStreamMux } from "../../lib/session/stream_mux.ts";
import type { LinkPair } from "../fixtures/link_pair.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";

export type Serve = (request: StreamRequest, stream: Stream) => Promise<void>;

export const LOGS: Extract<StreamRequest, { kind: "logs" }> = {
  kind: "logs",
  attemptId: "a",
  follow: true,
  tail: null,
  sinceMs: null,
  timestamps: false,
};

export interface Ends {
  readonly deck: StreamMux;
  readonly pair: LinkPair;
  /** Bytes of data frames that each end has sent. */
  readonly sent: { deck: number; sailor: number };
}

export function createEnds(serve: Serve): Ends {
  const pair = createLinkPair();
  const sent = { deck: 0, sailor: 0 };
  createStreamMux(counting(pair.far, (bytes) => sent.sailor += bytes), serve);
  return { deck: createStreamMux(counting(pair.near, (bytes) => sent.deck += bytes)), pair, sent };
}

function counting(link: Link, onData: (bytes: number) => void): Link {
  return {
    ...link,
    send(frame) {
      const decoded = decodeFrame(frame as Uint8Array);
      if (decoded && ["stdout", "stderr", "stdin"].includes(decoded.kind)) onData(decoded.payload.length);
      link.send(frame);
    },
  };
}

export function frame(kind: StreamFrameKind, stream: number, payload: unknown = new Uint8Array(0)): Uint8Array {
  return encodeFrame({
    kind,
    stream,
    payload: payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload)),
  });
}

/** Bytes that tell their place, so that a lost, doubled or swapped piece shows. */
export function pattern(from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(from + i);
  return bytes;
}

export const byteAt = (at: number) => (at * 31 + (at >>> 8) * 7 + (at >>> 16)) & 255;

/** The first place at which `data` is not the pattern from `from` on; -1: none. */
export function misplaced(data: Uint8Array, from: number): number {
  for (let i = 0; i < data.length; i++) if (data[i] !== byteAt(from + i)) return from + i;
  return -1;
}

/** `promise`, or an error after a while: for what only real sockets make happen. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 20_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadlineMs / 1000} s: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
