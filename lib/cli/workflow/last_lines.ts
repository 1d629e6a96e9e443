/**
 * The last line that each running step printed. Follows the logs of a few steps at once; they are decoration, so a stream
 * that cannot be had, or breaks, shows nothing and fails nothing.
 */
import type { Deck } from "../../client/client.ts";
import type { RunView } from "../../messages/run_api.ts";
import { clean } from "../render.ts";
import { leavesOf } from "./run_rows.ts";

const STREAMS_MAX = 8;
/** Of one step's output; a deck that restarts breaks them all. */
const TRIES_MAX = 10;
const LINE_CHARS_MAX = 1_000;

export interface LastLines {
  /** Follows what runs now, and nothing else any more. */
  follow(run: RunView): void;
  /** Of the step or instance with a label. */
  of(label: string): string | undefined;
  close(): void;
}

export function createLastLines(deck: Deck, onLine: () => void): LastLines {
  const open = new Map<string, { readonly taskId: string; readonly abort: AbortController }>();
  const lines = new Map<string, string>();
  const tries = new Map<string, number>();

  function end(label: string): void {
    open.get(label)?.abort.abort();
    open.delete(label);
    lines.delete(label);
  }

  async function read(label: string, taskId: string, signal: AbortSignal): Promise<void> {
    let rest = "";
    try {
      for await (const { text } of deck.logs(taskId, { follow: true, tail: 1, signal })) {
        const all = (rest + text).split("\n");
        rest = all[all.length - 1].slice(-LINE_CHARS_MAX);
        const line = all.map((each) => clean(each).trim()).filter((each) => each !== "").at(-1);
        if (line === undefined || signal.aborted) continue;
        lines.set(label, line.slice(0, LINE_CHARS_MAX).toWellFormed());
        onLine();
      }
    } catch { /* The step goes on without its last line. */ }
    // Opened again with the next view of the run, if the step still runs then.
    if (!signal.aborted) open.delete(label);
  }

  return {
    follow(run) {
      const wanted = new Map<string, string>();
      for (const { label, fields } of leavesOf(run)) {
        if (fields.state !== "running" || fields.taskId === null) continue;
        if (wanted.size < STREAMS_MAX || open.get(label)?.taskId === fields.taskId) wanted.set(label, fields.taskId);
      }
      for (const [label, { taskId }] of [...open]) if (wanted.get(label) !== taskId) end(label);
      for (const [label, taskId] of wanted) {
        const tried = tries.get(taskId) ?? 0;
        if (open.has(label) || open.size >= STREAMS_MAX || tried >= TRIES_MAX) continue;
        tries.set(taskId, tried + 1);
        const abort = new AbortController();
        open.set(label, { taskId, abort });
        read(label, taskId, abort.signal);
      }
    },
    of: (label) => lines.get(label),
    close() {
      for (const label of [...open.keys()]) end(label);
    },
  };
}
