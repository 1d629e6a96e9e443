/**
 * Bytes of one stream that have come and are not read yet.
 *
 * 1. At most INITIAL_CREDIT_BYTES lie here, whatever the other end does: bytes are copied into one ring, and their
 *    boundaries cost one number each, so that a flood of tiny frames takes no more room than large ones.
 * 2. Credit is granted as the reader takes bytes, in steps, so that small pieces do not each cost a frame.
 * 3. Who sends more than was granted broke the protocol: `push` throws.
 */
import { INITIAL_CREDIT_BYTES } from "../messages/stream.ts";

const KINDS = ["stdout", "stderr", "stdin"] as const;
const FIRST_RING_BYTES = 4 * 1024;
const GRANT_STEP_BYTES = INITIAL_CREDIT_BYTES / 4;
const PIECE_BYTES_MAX = 64 * 1024;
/** Runs that were read are cut off the list in blocks. */
const READ_RUNS_MAX = 1024;

export interface Piece {
  readonly stream: (typeof KINDS)[number];
  readonly data: Uint8Array;
}

export class Inbox {
  #ring = new Uint8Array(0);
  #start = 0;
  #length = 0;
  /** Neighbouring bytes of one kind: `bytes * KINDS.length + index of the kind`. */
  #runs: number[] = [];
  #firstRun = 0;
  /** What the other end may still send. */
  #allowance = INITIAL_CREDIT_BYTES;
  #taken = 0;
  #end: { readonly error: Error | null } | null = null;
  #discards = false;
  #wake: (() => void) | null = null;

  constructor(readonly grant: (bytes: number) => void) {}

  /** Throws when the bytes are more than were granted, or come after the end. */
  push(stream: Piece["stream"], data: Uint8Array): void {
    if (data.length > this.#allowance) throw new Error("more bytes than were granted");
    this.#allowance -= data.length;
    if (this.#discards) return this.#take(data.length);
    if (this.#end) throw new Error(`${stream} after its end`);
    if (data.length === 0) return;
    this.#append(data);
    const kind = KINDS.indexOf(stream);
    const last = this.#runs.length - 1;
    if (last >= this.#firstRun && this.#runs[last] % KINDS.length === kind) {
      this.#runs[last] += data.length * KINDS.length;
    } else {
      this.#runs.push(data.length * KINDS.length + kind);
    }
    this.#wakeReader();
  }

  /** What lies here can still be read; then the reader ends, or meets `error`. */
  end(error: Error | null): void {
    this.#end ??= { error };
    this.#wakeReader();
  }

  /** Nobody reads any more: what lies here and what comes is dropped, and its credit given back. */
  discard(): void {
    if (this.#discards) return;
    this.#discards = true;
    const bytes = this.#length;
    this.#ring = new Uint8Array(0);
    this.#runs = [];
    this.#length = this.#start = this.#firstRun = 0;
    this.#take(bytes);
    this.#wakeReader();
  }

  /** For one reader. Leaving early discards the rest; the stream itself goes on. */
  async *read(): AsyncGenerator<Piece, void, undefined> {
    try {
      while (true) {
        if (this.#length > 0) {
          const piece = this.#shift();
          this.#take(piece.data.length);
          yield piece;
        } else if (this.#discards) {
          return;
        } else if (this.#end) {
          if (this.#end.error) throw this.#end.error;
          return;
        } else {
          await new Promise<void>((wake) => this.#wake = wake);
        }
      }
    } finally {
      this.discard();
    }
  }

  #shift(): Piece {
    const run = this.#runs[this.#firstRun];
    const kind = run % KINDS.length;
    const runBytes = (run - kind) / KINDS.length;
    const bytes = Math.min(runBytes, PIECE_BYTES_MAX, this.#ring.length - this.#start);
    const data = this.#ring.slice(this.#start, this.#start + bytes);
    this.#start = (this.#start + bytes) % this.#ring.length;
    this.#length -= bytes;
    if (bytes < runBytes) this.#runs[this.#firstRun] = run - bytes * KINDS.length;
    else this.#firstRun++;
    if (this.#firstRun === this.#runs.length || this.#firstRun > READ_RUNS_MAX) {
      this.#runs.splice(0, this.#firstRun);
      this.#firstRun = 0;
    }
    return { stream: KINDS[kind], data };
  }

  #append(data: Uint8Array): void {
    const needed = this.#length + data.length;
    if (needed > this.#ring.length) this.#grow(needed);
    const at = (this.#start + this.#length) % this.#ring.length;
    const untilWrap = Math.min(data.length, this.#ring.length - at);
    this.#ring.set(data.subarray(0, untilWrap), at);
    this.#ring.set(data.subarray(untilWrap), 0);
    this.#length = needed;
  }

  #grow(needed: number): void {
    let size = Math.max(this.#ring.length, FIRST_RING_BYTES);
    while (size < needed) size *= 2;
    const ring = new Uint8Array(size);
    const untilWrap = Math.min(this.#length, this.#ring.length - this.#start);
    ring.set(this.#ring.subarray(this.#start, this.#start + untilWrap));
    ring.set(this.#ring.subarray(0, this.#length - untilWrap), untilWrap);
    this.#ring = ring;
    this.#start = 0;
  }

  #take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < GRANT_STEP_BYTES) return;
    const granted = this.#taken;
    this.#taken = 0;
    this.#allowance += granted;
    this.grant(granted);
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
