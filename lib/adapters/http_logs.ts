/**
 * Output of requests, which is kept in memory. A body comes in pieces and not in lines: `timestamps` is not heeded, and
 * `sinceMs` leaves out pieces that came before it.
 */
import type { LogOptions, OutputChunk } from "../contracts/runtime.ts";

export interface Printed {
  readonly atMs: number;
  readonly chunk: OutputChunk;
}

export interface PrintingRequest {
  readonly status: string;
  /** Only ever longer, or begun anew. */
  readonly output: readonly Printed[];
  /** Called whenever one of these has changed. */
  readonly changed: Set<() => void>;
}

const NEWLINE = 10;

export async function* requestLogs(
  request: PrintingRequest,
  { follow, tail, sinceMs }: LogOptions,
  signal: AbortSignal,
): AsyncIterable<OutputChunk> {
  let wake = () => {};
  const changed = () => wake();
  request.changed.add(changed);
  signal.addEventListener("abort", changed);
  try {
    let at = request.output.length;
    const before = request.output.filter(({ atMs }) => sinceMs === null || atMs >= sinceMs).map(({ chunk }) => chunk);
    yield* tail === null ? before : lastLines(before, tail);
    while (!signal.aborted) {
      if (at > request.output.length) at = 0;
      const next = request.output[at];
      if (next) {
        at++;
        yield next.chunk;
      } else if (!follow || request.status !== "running") return;
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    request.changed.delete(changed);
    signal.removeEventListener("abort", changed);
  }
}

/** Counted over both streams, as they came. */
function lastLines(chunks: readonly OutputChunk[], wanted: number): OutputChunk[] {
  if (wanted === 0) return [];
  const kept: OutputChunk[] = [];
  let lines = 0;
  for (const [index, { stream, data }] of [...chunks.entries()].reverse()) {
    for (let i = data.length - 1; i >= 0; i--) {
      // The newline that ends all of it ends its last line.
      const isLast = index === chunks.length - 1 && i === data.length - 1;
      if (data[i] !== NEWLINE || isLast || ++lines < wanted) continue;
      return [{ stream, data: data.slice(i + 1) }, ...kept];
    }
    kept.unshift({ stream, data });
  }
  return kept;
}
