/**
 * Many streams over one link, each with credit, so that none can flood the other end or hold up its neighbours.
 * The deck opens, the sailor serves; both ends use this module.
 *
 * 1. Nobody sends more bytes of a stream than the other has granted; who does is cut off.
 * 2. Credit is granted as the reader takes bytes in, so at most INITIAL_CREDIT_BYTES of a stream lie here.
 * 3. When the link goes, every stream fails with the reason.
 */
import type { Link } from "../contracts/link.ts";
import type { StreamFrameKind, StreamRequest } from "../messages/stream.ts";
import {
  decodeFrame,
  encodeFrame,
  INITIAL_CREDIT_BYTES,
  STREAM_FRAME_BYTES_MAX,
  streamCredit,
  streamEnd,
  streamError,
  streamRequest,
  streamResize,
} from "../messages/stream.ts";

export class StreamError extends Error {
  constructor(readonly code: "notFound" | "failed", message: string) {
    super(message);
    this.name = "StreamError";
  }
}

export interface Piece {
  readonly stream: "stdout" | "stderr" | "stdin";
  readonly data: Uint8Array;
}

/** One end of a stream. `incoming` is read by one reader; leaving it early closes the stream. */
export interface Stream {
  readonly incoming: AsyncIterable<Piece>;
  /** Resolves with the exit code (null: none) when the other end has ended it; rejects when it failed. */
  readonly ended: Promise<number | null>;
  /** Aborted when the stream is over, whatever the reason. */
  readonly signal: AbortSignal;
  /** Resolves when the bytes have been sent, which waits for credit. No bytes: the end of stdin, or a sign of life. */
  write(stream: Piece["stream"], data: Uint8Array): Promise<void>;
  resize(columns: number, rows: number): void;
  onResize(handler: (columns: number, rows: number) => void): void;
  end(exitCode: number | null): void;
  fail(error: StreamError): void;
}

export interface StreamMux {
  open(request: StreamRequest): Stream;
  close(reason: string): void;
}

const DATA: ReadonlySet<StreamFrameKind> = new Set(["stdout", "stderr", "stdin"]);
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const json = (payload: Uint8Array) => JSON.parse(new TextDecoder().decode(payload));
const NOTHING = new Uint8Array(0);

/** `serve` undefined: this end does not take streams. The first frame after a `bind` has been taken elsewhere. */
export function createStreamMux(
  link: Link,
  serve?: (request: StreamRequest, stream: Stream) => Promise<void>,
): StreamMux {
  const streams = new Map<number, Channel>();
  let next = 1;

  link.onFrame((frame) => {
    try {
      take(frame);
    } catch (error) {
      link.close(`a bad stream frame: ${(error as Error).message}`);
    }
  });
  link.onClose((reason) => {
    for (const channel of [...streams.values()]) channel.over(new StreamError("failed", reason));
  });

  function add(id: number): Channel {
    const channel = new Channel(
      (kind, payload) => link.send(encodeFrame({ kind, stream: id, payload })),
      () => streams.delete(id),
    );
    streams.set(id, channel);
    return channel;
  }

  function take(frame: string | Uint8Array): void {
    const decoded = typeof frame === "string" ? undefined : decodeFrame(frame);
    if (!decoded) throw new Error("not a stream frame");
    const { kind, stream: id, payload } = decoded;
    if (kind === "open") {
      if (!serve || streams.has(id)) throw new Error(`stream ${id} cannot be opened here`);
      const request = streamRequest.parse(json(payload));
      const channel = add(id);
      serve(request, channel).catch((error) =>
        channel.fail(error instanceof StreamError ? error : new StreamError("failed", String(error?.message ?? error)))
      );
      return;
    }
    // A stream that is over here may still have frames on their way.
    streams.get(id)?.take(kind, payload);
  }

  return {
    open(request) {
      const id = next++;
      const channel = add(id);
      link.send(encodeFrame({ kind: "open", stream: id, payload: text(request) }));
      return channel;
    },
    close: (reason) => link.close(reason),
  };
}

class Channel implements Stream {
  readonly incoming: AsyncIterable<Piece>;
  readonly ended: Promise<number | null>;
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #done = Promise.withResolvers<number | null>();
  readonly #inbox: Piece[] = [];
  #credit = INITIAL_CREDIT_BYTES;
  #granted = INITIAL_CREDIT_BYTES;
  #consumed = 0;
  #isOver = false;
  #error: StreamError | null = null;
  #wakeReader: () => void = () => {};
  #creditWaiters: (() => void)[] = [];
  #onResize: (columns: number, rows: number) => void = () => {};

  constructor(
    readonly send: (kind: StreamFrameKind, payload: Uint8Array) => void,
    readonly forget: () => void,
  ) {
    this.signal = this.#abort.signal;
    this.ended = this.#done.promise;
    this.ended.catch(() => {}); // Whoever only reads need not look at the end.
    this.incoming = this.#read();
  }

  take(kind: StreamFrameKind, payload: Uint8Array): void {
    if (DATA.has(kind)) {
      this.#granted -= payload.length;
      if (this.#granted < 0) throw new Error("more bytes than were granted");
      this.#inbox.push({ stream: kind as Piece["stream"], data: payload });
      this.#wakeReader();
      return;
    }
    switch (kind) {
      case "credit":
        this.#credit += streamCredit.parse(json(payload)).bytes;
        for (const wake of this.#creditWaiters.splice(0)) wake();
        return;
      case "resize": {
        const { columns, rows } = streamResize.parse(json(payload));
        return this.#onResize(columns, rows);
      }
      case "end":
        return this.over(null, streamEnd.parse(json(payload)).exitCode);
      case "error": {
        const { code, message } = streamError.parse(json(payload));
        return this.over(new StreamError(code, message));
      }
      default:
        throw new Error(`${kind} does not belong into a stream`);
    }
  }

  over(error: StreamError | null, exitCode: number | null = null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.forget();
    if (error) this.#done.reject(error);
    else this.#done.resolve(exitCode);
    this.#abort.abort();
    this.#wakeReader();
    for (const wake of this.#creditWaiters.splice(0)) wake();
  }

  async write(stream: Piece["stream"], data: Uint8Array): Promise<void> {
    if (data.length === 0) {
      if (!this.#isOver) this.send(stream, NOTHING);
      return;
    }
    for (let from = 0; from < data.length;) {
      while (this.#credit <= 0 && !this.#isOver) await new Promise<void>((wake) => this.#creditWaiters.push(wake));
      if (this.#isOver) throw this.#error ?? new StreamError("failed", "the stream is over");
      const size = Math.min(this.#credit, data.length - from, STREAM_FRAME_BYTES_MAX - 5);
      this.#credit -= size;
      this.send(stream, data.subarray(from, from + size));
      from += size;
    }
  }

  resize(columns: number, rows: number): void {
    if (!this.#isOver) this.send("resize", text({ columns, rows }));
  }

  onResize(handler: (columns: number, rows: number) => void): void {
    this.#onResize = handler;
  }

  end(exitCode: number | null): void {
    if (this.#isOver) return;
    this.send("end", text({ exitCode }));
    this.over(null, exitCode);
  }

  fail(error: StreamError): void {
    if (this.#isOver) return;
    this.send("error", text({ code: error.code, message: error.message.slice(0, 1024) }));
    this.over(error);
  }

  async *#read(): AsyncIterable<Piece> {
    try {
      while (true) {
        const piece = this.#inbox.shift();
        if (piece) {
          if (piece.stream === "stdin" && piece.data.length === 0) return;
          yield piece;
          this.#grant(piece.data.length);
          continue;
        }
        if (this.#isOver) {
          if (this.#error) throw this.#error;
          return;
        }
        await new Promise<void>((wake) => this.#wakeReader = wake);
      }
    } finally {
      this.#inbox.length = 0;
    }
  }

  /** In steps, so that small pieces do not each cost a frame. */
  #grant(bytes: number): void {
    this.#consumed += bytes;
    if (this.#isOver || this.#consumed < INITIAL_CREDIT_BYTES / 4) return;
    this.send("credit", text({ bytes: this.#consumed }));
    this.#granted += this.#consumed;
    this.#consumed = 0;
  }
}
