/** The deck's stream links to its sailors, and the logs and commands that are opened over them. */
import type { Clock } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { StreamRequest } from "../messages/stream.ts";
import { awaitBind } from "../session/bound_link.ts";
import type { Piece, Stream, StreamMux } from "../session/stream_mux.ts";
import { createStreamMux, StreamError } from "../session/stream_mux.ts";
import type { OutputPiece, OutputStream, RemoteExec } from "./api.ts";
import { StreamUnavailable } from "./api.ts";

/** A session's stream link comes a moment after its welcome. */
const LINK_WITHIN_MS = 3_000;

export interface StreamRelay {
  /** A sailor dialled in; its first frame says for which session. */
  accept(link: Link): void;
  /** The deck dialled; resolves when the link is closed. */
  attach(link: Link, sessionId: string): Promise<void>;
  openLogs(
    sessionId: string,
    attemptId: string,
    options: {
      readonly follow: boolean;
      readonly tail: number | null;
      readonly sinceMs: number | null;
      readonly timestamps: boolean;
    },
  ): Promise<OutputStream>;
  openExec(
    sessionId: string,
    attemptId: string,
    options: {
      readonly command: readonly string[];
      readonly tty: boolean;
      readonly stdin: boolean;
      readonly columns?: number;
      readonly rows?: number;
    },
  ): Promise<RemoteExec>;
  close(): void;
}

export function createStreamRelay({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): StreamRelay {
  const muxes = new Map<string, StreamMux>();
  const waiting = new Map<string, Set<() => void>>();

  function attach(link: Link, sessionId: string): Promise<void> {
    return new Promise((resolve) => {
      // The mux sets the link's handlers; its close is listened to beside it.
      const mux = createStreamMux({
        ...link,
        onClose: (handler) =>
          link.onClose((reason) => {
            handler(reason);
            if (muxes.get(sessionId) === mux) muxes.delete(sessionId);
            resolve();
          }),
      });
      muxes.set(sessionId, mux);
      for (const wake of waiting.get(sessionId) ?? []) wake();
      waiting.delete(sessionId);
    });
  }

  async function muxOf(sessionId: string): Promise<StreamMux> {
    if (!muxes.has(sessionId)) await linkCame(sessionId);
    const mux = muxes.get(sessionId);
    if (!mux) {
      throw new StreamUnavailable("nodeAway", "its node has no open connection for logs and commands; try again");
    }
    return mux;
  }

  function linkCame(sessionId: string): Promise<void> {
    return new Promise((resolve) => {
      const wakes = waiting.get(sessionId) ?? new Set();
      waiting.set(sessionId, wakes);
      const done = () => {
        cancel();
        wakes.delete(done);
        if (wakes.size === 0) waiting.delete(sessionId);
        resolve();
      };
      const cancel = clock.after(LINK_WITHIN_MS, done);
      wakes.add(done);
    });
  }

  async function open(sessionId: string, request: StreamRequest): Promise<Stream> {
    return (await muxOf(sessionId)).open(request);
  }

  return {
    accept(link) {
      awaitBind(link, (sessionId, bound) => {
        logger.debug("a stream link came", { sessionId });
        void attach(bound, sessionId);
      });
    },
    attach,
    async openLogs(sessionId, attemptId, { follow, tail, sinceMs, timestamps }) {
      const stream = await open(sessionId, { kind: "logs", attemptId, follow, tail, sinceMs, timestamps });
      const first = await firstPiece(stream);
      return {
        [Symbol.asyncIterator]: () => first[Symbol.asyncIterator](),
        close: () => stream.end(null),
      };
    },
    async openExec(sessionId, attemptId, { command, tty, stdin, columns, rows }) {
      const stream = await open(sessionId, {
        kind: "exec",
        attemptId,
        command: [...command],
        tty,
        stdin,
        columns,
        rows,
      });
      const exitCode = stream.ended.then((code) => code ?? 0, (error) => {
        throw toUnavailable(error);
      });
      // Whoever meets the failure while reading the output never asks for the code.
      exitCode.catch(() => {});
      return {
        output: outputOf(stream.incoming),
        exitCode,
        write: (data) => stream.write("stdin", data),
        closeStdin: () => void stream.write("stdin", new Uint8Array(0)),
        resize: (w, h) => stream.resize(w, h),
        close: () => stream.end(null),
      };
    },
    close() {
      for (const mux of muxes.values()) mux.close("the deck is stopping");
    },
  };
}

/** The output, once the sailor has said that there is a container: one that is gone is an answer of its own, not an empty log. */
async function firstPiece(stream: Stream): Promise<AsyncIterable<OutputPiece>> {
  const pieces = stream.incoming[Symbol.asyncIterator]();
  const first = pieces.next();
  first.catch(() => {}); // Thrown again to whoever reads.
  await Promise.race([first, stream.ended]).catch((error) => {
    throw toUnavailable(error);
  });
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (let next = await first; !next.done; next = await pieces.next()) {
          if (next.value.data.length > 0) yield next.value as OutputPiece;
        }
      } catch (error) {
        throw toUnavailable(error);
      } finally {
        stream.end(null);
      }
    },
  };
}

async function* outputOf(pieces: AsyncIterable<Piece>): AsyncIterable<OutputPiece> {
  try {
    for await (const piece of pieces) {
      if (piece.data.length > 0) yield piece as OutputPiece;
    }
  } catch (error) {
    throw toUnavailable(error);
  }
}

function toUnavailable(error: unknown): unknown {
  if (!(error instanceof StreamError)) return error;
  return new StreamUnavailable(error.code === "notFound" ? "noContainer" : "failed", error.message);
}
