/**
 * Lines of several tasks' output as one sequence in the order of their times. A task's output is opened when the sequence
 * has come to the task's beginning, so that only those are open at once whose times overlap.
 */
import type { Deck } from "../../client/client.ts";
import type { LogChunkLine } from "../../messages/api.ts";

export interface StepLog {
  readonly label: string;
  readonly taskId: string;
  readonly startedMs: number;
}

export interface LogLine {
  readonly step: string;
  readonly stream: LogChunkLine["stream"];
  /** As the Engine has it; null: its runtime keeps none. */
  readonly time: string | null;
  readonly text: string;
}

/** `logs` in the order of their beginnings. `problem`: the output of one cannot be had, or breaks off. */
export async function* mergeLines(
  deck: Deck,
  logs: readonly StepLog[],
  problem: (log: StepLog, error: unknown) => void,
): AsyncGenerator<LogLine> {
  const waiting = [...logs];
  const open: Head[] = [];
  const openNext = async () => {
    const log = waiting.shift()!;
    const head = await advance({ log, lines: linesOf(deck, log, problem), line: null, timeMs: log.startedMs });
    if (head) open.push(head);
  };
  while (waiting.length > 0 || open.length > 0) {
    const first = open.reduce<Head | null>((a, b) => a === null || b.timeMs < a.timeMs ? b : a, null);
    if (first === null || (waiting.length > 0 && waiting[0].startedMs <= first.timeMs)) {
      await openNext();
      continue;
    }
    yield first.line!;
    // In its place: among equal times the one that was opened first goes on.
    const next = await advance(first);
    open.splice(open.indexOf(first), 1, ...(next ? [next] : []));
  }
}

interface Head {
  readonly log: StepLog;
  readonly lines: AsyncGenerator<LogLine>;
  readonly line: LogLine | null;
  /** Of the line; one without a time stands with the one before it. */
  readonly timeMs: number;
}

/** The same with its next line; undefined: there is none. */
async function advance(head: Head): Promise<Head | undefined> {
  const next = await head.lines.next();
  if (next.done) return undefined;
  const timeMs = next.value.time === null ? head.timeMs : Date.parse(next.value.time);
  return { ...head, line: next.value, timeMs };
}

async function* linesOf(
  deck: Deck,
  log: StepLog,
  problem: (log: StepLog, error: unknown) => void,
): AsyncGenerator<LogLine> {
  try {
    // A host process keeps no times, and may print what looks like some.
    const isTimed = (await deck.task(log.taskId)).spec.runtime !== "process";
    const pieces = deck.logs(log.taskId, { timestamps: isTimed });
    for await (const line of splitLines(pieces, log.label)) yield isTimed ? withTime(line) : line;
  } catch (error) {
    problem(log, error);
  }
}

function withTime(line: LogLine): LogLine {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) /.exec(line.text);
  return match ? { ...line, time: match[1], text: line.text.slice(match[0].length) } : line;
}

/** Whole lines, without their ends; one that never ended comes last. */
export async function* splitLines(pieces: AsyncIterable<LogChunkLine>, step: string): AsyncGenerator<LogLine> {
  const rest = { stdout: "", stderr: "" };
  for await (const { stream, text } of pieces) {
    const lines = (rest[stream] + text).split("\n");
    rest[stream] = lines.pop()!;
    for (const line of lines) yield { step, stream, time: null, text: line.replace(/\r$/, "") };
  }
  for (const stream of ["stdout", "stderr"] as const) {
    if (rest[stream] !== "") yield { step, stream, time: null, text: rest[stream] };
  }
}
