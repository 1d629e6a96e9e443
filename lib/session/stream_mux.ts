/**
 * Many streams over one link, each with credit, so that none can flood the other end or hold up its neighbours.
 * The deck opens and numbers streams, the sailor serves them; both ends use this module. `bind` was taken elsewhere.
 *
 * 1. Memory stays bounded whatever the other end does: streams, bytes of each, and bytes waiting to leave.
 * 2. Who breaks the protocol is cut off: the link closes, and nothing more of it is taken.
 * 3. When the link goes, every stream fails with the reason.
 */
import type { Link } from "../contracts/link.ts";
import type { StreamFrame, StreamRequest } from "../messages/stream.ts";
import {
  decodeFrame,
  encodeFrame,
  INITIAL_CREDIT_BYTES,
  STREAM_FRAME_BYTES_MAX,
  streamRequest,
} from "../messages/stream.ts";
import type { Stream } from "./channel.ts";
import { Channel, decodeJson, encodeJson, StreamError } from "./channel.ts";

/** Streams of one link at a time, those counted that are over and whose server has not returned. */
export const STREAMS_MAX = 256;
/** All credit of all streams and what control frames add: only an end that does not read its socket gets there. */
const BUFFERED_BYTES_MAX = STREAMS_MAX * INITIAL_CREDIT_BYTES + 16 * 2 ** 20;

export interface StreamMux {
  /** Throws StreamError: "away" when the link is gone, "failed" when there are too many or the request is too long. */
  open(request: StreamRequest): Stream;
  close(reason: string): void;
}

/** Sets both handlers of `link`. `serve` makes this end the sailor's; a stream that it throws at fails with that, one that it leaves ends. */
export function createStreamMux(
  link: Link,
  serve?: (request: StreamRequest, stream: Stream) => Promise<void>,
): StreamMux {
  const role = serve ? "sailor" : "deck";
  const streams = new Map<number, Channel>();
  let serving = 0;
  /** Number of the newest stream. Frames of older ones that are over may still be on their way. */
  let newest = 0;
  let overReason: string | null = null;

  link.onClose(finish);
  link.onFrame((frame) => {
    if (overReason !== null) return;
    try {
      take(parse(frame));
    } catch (error) {
      close(`a bad stream frame: ${(error as Error).message}`);
    }
  });

  function finish(reason: string): void {
    if (overReason !== null) return;
    overReason = reason;
    for (const channel of [...streams.values()]) channel.over(away(reason));
  }

  /** Streams fail at once: the link's own end may take its time. */
  function close(reason: string): void {
    finish(reason);
    link.close(reason);
  }

  function send(frame: StreamFrame): void {
    if (overReason !== null) return;
    link.send(encodeFrame(frame));
    if (link.buffered() > BUFFERED_BYTES_MAX) close("the other end does not read");
  }

  function add(id: number): Channel {
    const channel = new Channel(
      role,
      (kind, payload) => send({ kind, stream: id, payload }),
      () => streams.delete(id),
    );
    streams.set(id, channel);
    newest = id;
    return channel;
  }

  function take({ kind, stream: id, payload }: StreamFrame): void {
    if (kind === "open") return opened(id, payload);
    if (id === 0 || id > newest) throw new Error(`stream ${id} was not opened`);
    streams.get(id)?.take(kind, payload);
  }

  function opened(id: number, payload: Uint8Array): void {
    if (!serve) throw new Error("open is not for a deck");
    if (id <= newest) throw new Error(`stream ${id} was opened before`);
    // A newer deck may ask for what this sailor does not know: that is no reason to cut its other streams.
    const request = streamRequest.safeParse(decodeJson(payload));
    const channel = add(id);
    if (!request.success) return channel.fail(new StreamError("failed", "this node does not know such a request"));
    if (serving >= STREAMS_MAX) return channel.fail(new StreamError("failed", tooMany()));
    serving++;
    serve(request.data, channel)
      .then(() => channel.end(null))
      .catch((error) => channel.fail(error instanceof StreamError ? error : new StreamError("failed", textOf(error))))
      .finally(() => serving--);
  }

  return {
    open(request) {
      if (overReason !== null) throw away(overReason);
      if (streams.size >= STREAMS_MAX) throw new StreamError("failed", tooMany());
      const payload = encodeJson(request);
      if (payload.length + 5 > STREAM_FRAME_BYTES_MAX) throw new StreamError("failed", "the request is too long");
      const channel = add(newest + 1);
      send({ kind: "open", stream: newest, payload });
      return channel;
    },
    close,
  };
}

function parse(frame: string | Uint8Array): StreamFrame {
  if (typeof frame === "string") throw new Error("text on a stream link");
  if (frame.length > STREAM_FRAME_BYTES_MAX) throw new Error(`${frame.length} bytes, of ${STREAM_FRAME_BYTES_MAX}`);
  const decoded = decodeFrame(frame);
  if (!decoded) throw new Error("no frame of this protocol");
  return decoded;
}

const away = (reason: string) => new StreamError("away", `the connection to the node ended: ${reason}`);
const tooMany = () => `its node serves ${STREAMS_MAX} logs and commands already; try again later`;
const textOf = (error: unknown) => error instanceof Error ? error.message : String(error);
