/**
 * All that a command touches of its process: streams, terminal, environment, signals, the clock. Passed in, so that
 * tests run commands without a process of their own.
 */

export interface Io {
  out(data: string | Uint8Array): void;
  err(data: string | Uint8Array): void;
  /** Whether standard output, and standard input, are a terminal. */
  readonly outIsTerminal: boolean;
  readonly inIsTerminal: boolean;
  /** Of the terminal; a usual one's when there is none. */
  size(): { readonly columns: number; readonly rows: number };
  env(name: string): string | undefined;
  /** All of standard input. */
  readText(): Promise<string>;
  /** Standard input as it comes. A read that waits keeps the process alive: see `exit`. */
  readChunks(): AsyncIterable<Uint8Array>;
  /** Keys reach the reader one by one and unechoed. */
  setRaw(on: boolean): void;
  /** Returns what undoes it. */
  onSignal(signal: Deno.Signal, handler: () => void): () => void;
  nowMs(): number;
  /** Ends the process at once; for what cannot be waited for. */
  exit(code: number): never;
}

/** The reader of our output has gone (`ormen logs web | head`): nothing more to do, and no error. */
export class OutputClosed extends Error {}

const USUAL = { columns: 80, rows: 24 };

export function systemIo(): Io {
  const encoder = new TextEncoder();
  const write = (to: { writeSync(data: Uint8Array): number }, data: string | Uint8Array) => {
    let rest = typeof data === "string" ? encoder.encode(data) : data;
    try {
      while (rest.length > 0) rest = rest.subarray(to.writeSync(rest));
    } catch (error) {
      throw error instanceof Deno.errors.BrokenPipe ? new OutputClosed() : error;
    }
  };
  return {
    out: (data) => write(Deno.stdout, data),
    err: (data) => write(Deno.stderr, data),
    outIsTerminal: Deno.stdout.isTerminal(),
    inIsTerminal: Deno.stdin.isTerminal(),
    size() {
      try {
        const { columns, rows } = Deno.consoleSize();
        // A terminal that was never told its size says 0.
        return { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
      } catch {
        return USUAL;
      }
    },
    env: (name) => Deno.env.get(name),
    readText: () => new Response(Deno.stdin.readable).text(),
    readChunks: () => chunksOf(Deno.stdin),
    setRaw: (on) => Deno.stdin.setRaw(on),
    onSignal(signal, handler) {
      Deno.addSignalListener(signal, handler);
      return () => Deno.removeSignalListener(signal, handler);
    },
    nowMs: () => Date.now(),
    exit: (code) => Deno.exit(code),
  };
}

async function* chunksOf(from: { read(into: Uint8Array): Promise<number | null> }): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(16_384);
  while (true) {
    const count = await from.read(buffer);
    if (count === null) return;
    yield buffer.slice(0, count);
  }
}
