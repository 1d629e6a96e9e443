/**
 * Following a run to its end: as a picture on a terminal, as lines elsewhere; and what ctrl-C means meanwhile.
 *
 * On a terminal ctrl-C asks: c cancels the run, d (or ctrl-C again) leaves it to the deck, any other key goes on. Where
 * nobody can be asked, SIGINT and SIGTERM cancel the run and its end is waited for, as a foreground command's user expects;
 * a second one leaves it to the deck. A lost terminal or a killed command changes nothing: the deck runs the workflow.
 */
import type { Deck } from "../../client/client.ts";
import { isFinalRun } from "../../client/watch_run.ts";
import type { RunView } from "../../messages/run_api.ts";
import { type Context, nextCommand, printJsonLine } from "../context.ts";
import type { DeckOption, JsonOption } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import type { Io } from "../io.ts";
import { clean, paint } from "../render.ts";
import { clockTime, span } from "../times.ts";
import { createLastLines } from "./last_lines.ts";
import { createLiveTree } from "./live_tree.ts";
import { changesOf, changeText } from "./run_changes.ts";
import { cut, renderRows } from "./run_lines.ts";
import { rowGroups } from "./run_rows.ts";
import { exitCodeOf, failureReport, summaryText } from "./run_summary.ts";

export interface FollowOptions extends DeckOption, JsonOption {
  /** Milliseconds after which it is left to the deck; null: never. */
  readonly timeoutMs: number | null;
}

const TICK_MS = 1_000;
/** A deck that is being upgraded, or moved by a restore, comes back within this. */
const PATIENCE_MS = 10 * 60_000;

/** Returns the exit code. */
export async function followRun(context: Context, deck: Deck, run: RunView, options: FollowOptions): Promise<number> {
  const { io } = context;
  const view = io.outIsTerminal && !options.json ? createPicture(io, deck, run) : createLines(io, run, options);
  const ending = new AbortController();
  const interrupts = createInterrupts(io, {
    cancel: () => cancel(io, deck, run.id),
    detach: () => ending.abort(DETACHED),
    show: view.say,
  });
  const timer = options.timeoutMs === null ? undefined : setTimeout(() => ending.abort(TIMED_OUT), options.timeoutMs);
  let latest = run;
  try {
    const watch = deck.watchRun(run.id, {
      signal: ending.signal,
      patienceMs: PATIENCE_MS,
      onAway: () => view.away(true),
    });
    for await (latest of watch) {
      view.away(false);
      view.show(latest);
    }
  } finally {
    clearTimeout(timer);
    view.close();
    interrupts.close();
  }
  if (!isFinalRun(latest.state)) return leave(io, latest, options, ending.signal.reason);
  await report(io, deck, latest, options);
  const code = exitCodeOf(latest);
  // A read of standard input that waits would keep the process from ending.
  if (interrupts.isReading()) io.exit(code);
  return code;
}

const DETACHED = "detached";
const TIMED_OUT = "timedOut";
const INTERRUPTED = 130;

function leave(io: Io, run: RunView, options: FollowOptions, reason: unknown): number {
  const next = nextCommand(`workflow status ${clean(run.id)}`, options);
  if (reason === TIMED_OUT) {
    throw new CommandFailure(`run ${run.id} has not ended within ${span(options.timeoutMs ?? 0)}; it goes on`, [next]);
  }
  (options.json ? io.err : io.out)(`${clean(run.id)} goes on   ${next}\n`);
  return INTERRUPTED;
}

/** How it ended, and what failed. */
async function report(io: Io, deck: Deck, run: RunView, options: FollowOptions): Promise<void> {
  if (options.json) return printJsonLine(io, run);
  const summary = summaryText(io, run);
  io.out(`${summary}          ${nextCommand(`workflow status ${clean(run.id)}`, options)}\n`);
  if (run.state === "succeeded") return;
  if (run.why !== null) io.out(`why    ${clean(run.why)}\n`);
  io.out(await failureReport(io, deck, run, nextCommand(`workflow logs ${clean(run.id)}`, options)));
  if (run.state === "failed" || run.state === "timedOut") {
    io.out(`next   ${nextCommand(`workflow resume ${clean(run.id)}`, options)}\n`);
  }
}

async function cancel(io: Io, deck: Deck, id: string): Promise<void> {
  try {
    await deck.cancelRun(id);
  } catch (error) {
    io.err(`error: cannot cancel ${clean(id)}: ${(error as Error).message}\n`);
  }
}

interface View {
  show(run: RunView): void;
  /** Something for the person, until the next thing; empty takes it away. */
  say(text: string): void;
  away(isAway: boolean): void;
  close(): void;
}

function createPicture(io: Io, deck: Deck, first: RunView): View {
  let run = first;
  let said = "";
  let isAway = false;
  const tree = createLiveTree(io, () => pictureOf(io, run, lastLines.of, footer()));
  const lastLines = createLastLines(deck, () => tree.update());
  const tick = setInterval(() => tree.update(), TICK_MS);
  const footer = () => {
    if (said !== "") return said;
    return isAway ? paint(io, "yellow", "the deck does not answer; trying again") : null;
  };
  io.out(`run ${paint(io, "bold", clean(run.id))}  (ctrl-c asks whether to cancel or detach)\n`);
  return {
    show(seen) {
      run = seen;
      if (isFinalRun(run.state)) lastLines.close();
      else lastLines.follow(run);
      tree.update();
    },
    say(text) {
      said = text;
      tree.update();
    },
    away(now) {
      if (isAway === now) return;
      isAway = now;
      tree.update();
    },
    close() {
      clearInterval(tick);
      lastLines.close();
      said = "";
      tree.finish();
    },
  };
}

/** Lines that are neither steps nor the line above the picture: the footer, and the one that the cursor is on. */
const OTHER_LINES = 3;

/** `footer` null: the run's state and counts. Exported for tests. */
export function pictureOf(
  io: Io,
  run: RunView,
  lastLine: (label: string) => string | undefined,
  footer: string | null,
): string[] {
  const { columns, rows } = io.size();
  const groups = rowGroups(run, io.nowMs(), lastLine);
  const lines = renderRows(io, groups, { columns, rowsMax: Math.max(1, rows - OTHER_LINES) });
  const approvals = Object.entries(run.steps).filter(([, step]) =>
    step.kind === "approval" && step.state === "waiting"
  );
  if (footer !== null) return [...lines, footer];
  if (approvals.length > 0) {
    return [...lines, cut(`ormen workflow approve ${clean(run.id)} ${clean(approvals[0][0])}`, columns)];
  }
  if (isFinalRun(run.state)) return lines;
  return [...lines, `${summaryText(io, run)}${run.why === null ? "" : `   ${clean(run.why)}`}`];
}

const NAME_WIDTH = 20;
const NAME_WIDTH_MAX = 48;

/** One line a change; with --json one object. */
function createLines(io: Io, first: RunView, options: FollowOptions): View {
  let seen: RunView | null = null;
  let wasAway = false;
  let width = NAME_WIDTH;
  if (!options.json) io.out(`run ${clean(first.id)}  (ctrl-c cancels it)\n`);
  const time = () => clockTime(new Date(io.nowMs()).toISOString(), io.nowMs());
  return {
    show(run) {
      const changes = changesOf(seen, run);
      width = Math.min(NAME_WIDTH_MAX, Math.max(width, ...changes.map(({ name }) => name.length)));
      for (const change of changes) {
        if (options.json) printJsonLine(io, change);
        else {
          const text = changeText(change, io.nowMs());
          if (!text) continue;
          const { word, colour, rest } = text;
          const line = `${time()}  ${change.name.padEnd(width)}  ${paint(io, colour, word.padEnd(9))}  ${rest}`;
          io.out(`${line.trimEnd()}\n`);
          if (change.state === "waiting" && run.steps[change.step]?.kind === "approval") {
            io.out(`          ${nextCommand(`workflow approve ${clean(run.id)} ${clean(change.step)}`, options)}\n`);
          }
        }
      }
      seen = run;
    },
    say: (text) => text === "" || io.err(`${text}\n`),
    away(isAway) {
      if (isAway && !wasAway) io.err("the deck does not answer; trying again\n");
      wasAway = isAway;
    },
    close() {},
  };
}

interface Interrupts {
  /** Whether a key is being waited for. */
  isReading(): boolean;
  close(): void;
}

const QUESTION = "cancel the run or detach from it?  c cancels, d leaves it to the deck, any other key goes on ";

function createInterrupts(
  io: Io,
  on: { readonly cancel: () => Promise<void>; readonly detach: () => void; readonly show: (text: string) => void },
): Interrupts {
  const asks = io.inIsTerminal && io.outIsTerminal;
  let asking = false;
  let cancelled = false;

  async function ask(): Promise<void> {
    asking = true;
    on.show(QUESTION);
    io.setRaw(true);
    let key: string;
    try {
      key = await readKey(io);
    } finally {
      io.setRaw(false);
      asking = false;
    }
    on.show("");
    if (key === "c" || key === "C") await cancelOnce();
    else if (key === "d" || key === "D" || key === CTRL_C || key === "") on.detach();
  }

  async function cancelOnce(): Promise<void> {
    cancelled = true;
    on.show("cancelling; ctrl-c again leaves it to the deck");
    await on.cancel();
  }

  const interrupted = () => {
    if (asking || cancelled) on.detach();
    else if (asks) ask();
    else cancelOnce();
  };
  const restore = [io.onSignal("SIGINT", interrupted)];
  if (!asks) restore.push(io.onSignal("SIGTERM", interrupted));
  return {
    isReading: () => asking,
    close() {
      for (const undo of restore) undo();
      if (asking) io.setRaw(false);
    },
  };
}

const CTRL_C = "\x03";

/** Empty: there is no more input. */
async function readKey(io: Io): Promise<string> {
  for await (const chunk of io.readChunks()) return new TextDecoder().decode(chunk)[0] ?? "";
  return "";
}
