/**
 * One end of one stream: what the other end sends becomes pieces to read, what is written here waits for credit.
 * Knows its two ends, deck and sailor, and which frames each may send; the link is the mux's business.
 *
 * 1. Writes leave in the order in which they were made, the end of stdin after the last of them.
 * 2. A frame that this end cannot get from an honest other end makes `take` throw.
 * 3. Once over, a stream stays over: writes fail, what lies here can be read unless this end itself ended it.
 */
import type { StreamFrameKind } from "../messages/stream.ts";
import {
  INITIAL_CREDIT_BYTES,
  STREAM_FRAME_BYTES_MAX,
  streamCredit,
  streamEnd,
  streamError,
  streamResize,
} from "../messages/stream.ts";
import type { Piece } from "./inbox.ts";
import { Inbox } from "./inbox.ts";

/** Small enough that streams take turns on the link. */
const DATA_BYTES_MAX = Math.min(64 * 1024, STREAM_FRAME_BYTES_MAX - 5);
/** Honest readers never grant more than they got; more would let them fill this end's memory. */
const CREDIT_BYTES_MAX = 4 * INITIAL_CREDIT_BYTES;
const MESSAGE_CHARS_MAX = 1024;
const NOTHING = new Uint8Array(0);

/** `away`: the link is gone, so nobody knows what became of it. The others are the sailor's answers. */
export class StreamError extends Error {
  constructor(readonly code: "notFound" | "failed" | "away", message: string) {
    super(message);
    this.name = "StreamError";
  }
}

export interface Stream {
  /** For one reader. Leaving it early discards the rest; the stream goes on until it is ended. */
  readonly incoming: AsyncIterable<Piece>;
  /** Resolves with the first sign of the other end, rejects when the stream failed before that. */
  readonly started: Promise<void>;
  /** Resolves with the exit code (null: none) when either end has ended it; rejects with StreamError when it failed. */
  readonly ended: Promise<number | null>;
  /** Aborted when the stream is over, whatever the reason. */
  readonly signal: AbortSignal;
  /** Resolves when the bytes have been sent, which waits for credit. No bytes: the end of stdin, or a sign of life. */
  write(stream: Piece["stream"], data: Uint8Array): Promise<void>;
  resize(columns: number, rows: number): void;
  /** Called with the newest size, also with one that came before. */
  onResize(handler: (columns: number, rows: number) => void): void;
  end(exitCode: number | null): void;
  fail(error: StreamError): void;
}

export class Channel implements Stream {
  readonly incoming: AsyncIterable<Piece>;
  readonly started: Promise<void>;
  readonly ended: Promise<number | null>;
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<number | null>();
  readonly #inbox: Inbox;
  #credit = INITIAL_CREDIT_BYTES;
  #wakeWriter: () => void = () => {};
  #turn: Promise<void> = Promise.resolve();
  #over: { readonly error: StreamError | null } | null = null;
  #size: readonly [number, number] | null = null;
  #onResize: ((columns: number, rows: number) => void) | null = null;

  constructor(
    readonly role: "deck" | "sailor",
    readonly send: (kind: StreamFrameKind, payload: Uint8Array) => void,
    readonly forget: () => void,
  ) {
    this.signal = this.#abort.signal;
    this.started = this.#started.promise;
    this.ended = this.#ended.promise;
    // Whoever only reads looks at neither.
    this.started.catch(() => {});
    this.ended.catch(() => {});
    this.#inbox = new Inbox((bytes) => {
      if (!this.#over) this.send("credit", encodeJson({ bytes }));
    });
    this.incoming = this.#inbox.read();
  }

  /** Takes a frame of the other end; throws when that broke the protocol. */
  take(kind: StreamFrameKind, payload: Uint8Array): void {
    switch (kind) {
      case "stdout":
      case "stderr":
        if (this.role !== "deck") break;
        this.#started.resolve();
        return this.#inbox.push(kind, payload);
      case "stdin":
        if (this.role !== "sailor") break;
        if (payload.length === 0) return this.#inbox.end(null);
        return this.#inbox.push(kind, payload);
      case "resize": {
        if (this.role !== "sailor") break;
        const { columns, rows } = streamResize.parse(decodeJson(payload));
        this.#size = [columns, rows];
        return this.#onResize?.(columns, rows);
      }
      case "credit":
        this.#credit += streamCredit.parse(decodeJson(payload)).bytes;
        if (this.#credit > CREDIT_BYTES_MAX) throw new Error("more credit than bytes were sent");
        return this.#wakeWriter();
      case "end":
        return this.over(null, streamEnd.parse(decodeJson(payload)).exitCode);
      case "error": {
        const { code, message } = streamError.parse(decodeJson(payload));
        return this.over(new StreamError(code, message));
      }
      case "bind":
      case "open":
        break;
      default:
        kind satisfies never;
    }
    throw new Error(`${kind} is not for a ${this.role}`);
  }

  /** What lies here can still be read; everything else of this stream is settled. */
  over(error: StreamError | null, exitCode: number | null = null): void {
    if (this.#over) return;
    this.#over = { error };
    this.forget();
    if (error) {
      this.#started.reject(error);
      this.#ended.reject(error);
    } else {
      this.#started.resolve();
      this.#ended.resolve(exitCode);
    }
    this.#inbox.end(error);
    this.#abort.abort();
    this.#wakeWriter();
  }

  write(stream: Piece["stream"], data: Uint8Array): Promise<void> {
    const written = this.#turn.then(() => this.#write(stream, data));
    this.#turn = written.catch(() => {}); // Told to whoever wrote.
    return written;
  }

  resize(columns: number, rows: number): void {
    if (!this.#over) this.send("resize", encodeJson({ columns, rows }));
  }

  onResize(handler: (columns: number, rows: number) => void): void {
    this.#onResize = handler;
    if (this.#size) handler(...this.#size);
  }

  end(exitCode: number | null): void {
    if (!this.#over) this.send("end", encodeJson({ exitCode }));
    this.over(null, exitCode);
    this.#inbox.discard();
  }

  fail(error: StreamError): void {
    if (!this.#over) {
      // A sailor's own link knows no `away`: who would read it?
      const code = error.code === "notFound" ? "notFound" : "failed";
      this.send("error", encodeJson({ code, message: error.message.slice(0, MESSAGE_CHARS_MAX) }));
    }
    this.over(error);
    this.#inbox.discard();
  }

  async #write(stream: Piece["stream"], data: Uint8Array): Promise<void> {
    if (data.length === 0) {
      if (!this.#over) this.send(stream, NOTHING);
      return;
    }
    for (let from = 0; from < data.length;) {
      while (this.#credit <= 0 && !this.#over) await new Promise<void>((wake) => this.#wakeWriter = wake);
      if (this.#over) throw this.#over.error ?? new StreamError("failed", "the stream is over");
      const size = Math.min(this.#credit, data.length - from, DATA_BYTES_MAX);
      this.#credit -= size;
      this.send(stream, data.subarray(from, from + size));
      from += size;
    }
  }
}

export const encodeJson = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
/** Throws SyntaxError. */
export const decodeJson = (payload: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(payload));
