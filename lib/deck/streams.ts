/** The deck's stream links to its sailors, and the logs and commands that are opened over them. */
import type { Clock } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { StreamRequest } from "../messages/stream.ts";
import { awaitBind } from "../session/bound_link.ts";
import type { Stream } from "../session/channel.ts";
import { StreamError } from "../session/channel.ts";
import type { StreamMux } from "../session/stream_mux.ts";
import { createStreamMux } from "../session/stream_mux.ts";
import type { OutputPiece, OutputStream, RemoteExec } from "./api.ts";
import { StreamUnavailable } from "./api.ts";

/** A session's stream link comes a moment after its welcome. */
const LINK_WITHIN_MS = 3_000;
/** An accepted link says at once for which session it is. */
const BIND_WITHIN_MS = 5_000;
/** A sailor asks its runtime for the container before it answers; an Engine at work may take its time. */
const ANSWER_WITHIN_MS = 10_000;

export interface StreamRelay {
  /** A sailor dialled in; its first frame says for which session. */
  accept(link: Link): void;
  /** The deck dialled; resolves when the link is closed. A session has one link: the newer replaces the older. */
  attach(link: Link, sessionId: string): Promise<void>;
  /** The session is over: closes its link, which may be half dead and would never tell. */
  release(sessionId: string, reason: string): void;
  /**
   * Both resolve once the sailor has the container. They throw StreamUnavailable, as does reading what they give:
   * "noContainer", "nodeAway" when there is no link or it broke, "failed" with the sailor's words.
   */
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

export function createStreamRelay({ clock, logger, isOpen }: {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether there is such a session; its id is a secret of the deck and that sailor. */
  readonly isOpen: (sessionId: string) => boolean;
}): StreamRelay {
  const muxes = new Map<string, StreamMux>();
  const waiting = new Map<string, Set<() => void>>();
  let stopping = false;

  function attach(link: Link, sessionId: string): Promise<void> {
    return new Promise((resolve) => {
      let closed = false;
      let detach = () => {};
      // The mux sets the link's handlers; its close is listened to beside it, and may have come already.
      const mux = createStreamMux({
        ...link,
        onClose: (handler) =>
          link.onClose((reason) => {
            logger.debug("a stream link closed", { sessionId, reason });
            closed = true;
            handler(reason);
            detach();
            resolve();
          }),
      });
      if (closed) return;
      if (stopping) return mux.close("the deck is stopping");
      muxes.get(sessionId)?.close("a newer link of this session came");
      muxes.set(sessionId, mux);
      detach = () => {
        if (muxes.get(sessionId) === mux) muxes.delete(sessionId);
      };
      wake(sessionId);
    });
  }

  function wake(sessionId: string): void {
    for (const done of [...waiting.get(sessionId) ?? []]) done();
  }

  async function muxOf(sessionId: string): Promise<StreamMux> {
    if (!muxes.has(sessionId) && !stopping) await linkCame(sessionId);
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
    const mux = await muxOf(sessionId);
    let cancel = () => {};
    try {
      const stream = mux.open(request);
      cancel = clock.after(
        ANSWER_WITHIN_MS,
        () => stream.fail(new StreamError("away", `its node did not answer within ${ANSWER_WITHIN_MS / 1000} s`)),
      );
      await stream.started;
      return stream;
    } catch (error) {
      throw toUnavailable(error);
    } finally {
      cancel();
    }
  }

  return {
    accept(link) {
      const cancel = clock.after(BIND_WITHIN_MS, () => link.close("no bind came"));
      awaitBind(link, (sessionId, bound) => {
        cancel();
        if (!isOpen(sessionId)) return bound.close("there is no such session here");
        logger.debug("a stream link came", { sessionId });
        void attach(bound, sessionId);
      });
    },
    attach,
    release(sessionId, reason) {
      muxes.get(sessionId)?.close(reason);
      muxes.delete(sessionId);
      wake(sessionId);
    },
    async openLogs(sessionId, attemptId, { follow, tail, sinceMs, timestamps }) {
      const stream = await open(sessionId, { kind: "logs", attemptId, follow, tail, sinceMs, timestamps });
      const output = outputOf(stream, () => stream.end(null));
      return { [Symbol.asyncIterator]: () => output, close: () => stream.end(null) };
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
      const exitCode = exitCodeOf(stream);
      // Whoever meets the failure while reading the output never asks for the code.
      exitCode.catch(() => {});
      return {
        output: outputOf(stream, () => {}),
        exitCode,
        write: (data) => writeStdin(stream, data),
        closeStdin: () => void stream.write("stdin", new Uint8Array(0)),
        resize: (w, h) => stream.resize(w, h),
        close: () => stream.end(null),
      };
    },
    close() {
      stopping = true;
      for (const mux of [...muxes.values()]) mux.close("the deck is stopping");
      for (const sessionId of [...waiting.keys()]) wake(sessionId);
    },
  };
}

async function* outputOf(stream: Stream, onLeft: () => void): AsyncGenerator<OutputPiece, void, undefined> {
  try {
    // A sailor sends these two kinds only; the channel sees to that.
    for await (const piece of stream.incoming) yield piece as OutputPiece;
  } catch (error) {
    throw toUnavailable(error);
  } finally {
    onLeft();
  }
}

async function exitCodeOf(stream: Stream): Promise<number> {
  const exitCode = await stream.ended.catch((error) => {
    throw toUnavailable(error);
  });
  // Nobody knows how it would have ended: that is not a success.
  if (exitCode === null) throw new StreamUnavailable("failed", "the command was let go of before it ended");
  return exitCode;
}

async function writeStdin(stream: Stream, data: Uint8Array): Promise<void> {
  // No bytes would end stdin.
  if (data.length === 0) return;
  await stream.write("stdin", data).catch((error) => {
    throw toUnavailable(error);
  });
}

const CODES = { notFound: "noContainer", failed: "failed", away: "nodeAway" } as const;

function toUnavailable(error: unknown): unknown {
  return error instanceof StreamError ? new StreamUnavailable(CODES[error.code], error.message) : error;
}
