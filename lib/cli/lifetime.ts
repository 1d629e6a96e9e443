/** The life of a long-running command: started, announced, ended by a signal or by itself. */
import { type Context, printJsonLine } from "./context.ts";
import { CommandFailure } from "./failure.ts";
import type { Io } from "./io.ts";
import type { Running } from "./options.ts";

export interface Part {
  /** `deck` */
  readonly name: string;
  /** `127.0.0.1:5555`, as asked for. */
  readonly address: string;
  readonly start: () => Promise<Running>;
}

/**
 * Starts the parts in order and stops them in reverse. Resolves to the exit code: 0 after SIGINT or SIGTERM, and when a
 * part ends by itself without an error. A second signal ends the process with 1 at once.
 */
export async function runUntilSignal(context: Context, parts: readonly Part[], json: boolean): Promise<number> {
  const { io } = context;
  const running: Running[] = [];
  const signal = listenForSignals(io);
  try {
    for (const part of parts) {
      const started = await part.start().catch((error) => {
        throw portTaken(error, part);
      });
      running.push(started);
      announce(io, part.name, started, json);
      if (signal.seen()) break;
    }
    await Promise.race([signal.first, ...running.map((part) => part.finished)]);
    return 0;
  } finally {
    for (const part of running.toReversed()) await part.stop();
    signal.restore();
  }
}

function announce(io: Io, name: string, { url, about }: Running, json: boolean): void {
  // Standard output belongs to programs, which wait for this line.
  if (json) printJsonLine(io, { name, url });
  else io.err(`${name} listens on ${url}${about ? ` (${about})` : ""}\n`);
}

function listenForSignals(io: Io): { first: Promise<void>; seen: () => boolean; restore: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = false;
  const onSignal = () => {
    if (seen) io.exit(1);
    seen = true;
    resolve();
  };
  const undo = (["SIGINT", "SIGTERM"] as const).map((name) => io.onSignal(name, onSignal));
  return { first: promise, seen: () => seen, restore: () => undo.forEach((restore) => restore()) };
}

function portTaken(error: unknown, { name, address }: Part): unknown {
  if (!(error instanceof Deno.errors.AddrInUse)) return error;
  return new CommandFailure(`the ${name} cannot listen on ${address}: the port is in use`, [
    "choose another with -p, or see who has it:  ss -ltnp",
  ]);
}
