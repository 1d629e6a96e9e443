/**
 * `ormen workflow logs`: what the steps of a run printed, each stream to its own. Of several steps each line begins with
 * the step's name, and lines stand in the order of their times; those of host processes bear none and stand together.
 */
import type { Command } from "commander";
import type { Deck } from "../../client/client.ts";
import { DeckError } from "../../client/errors.ts";
import type { RunView } from "../../messages/run_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJsonLine } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { wrongUsage } from "../failure.ts";
import type { Io } from "../io.ts";
import { countOf } from "../options.ts";
import { clean, paint } from "../render.ts";
import { type LogLine, mergeLines, splitLines, type StepLog } from "./merge_logs.ts";
import { requireStep, RUN_ARGUMENT, type StepReference, stepReference } from "./references.ts";
import { labelOf, leavesOf } from "./run_rows.ts";

interface LogsOptions extends DeckOption, JsonOption {
  readonly follow?: boolean;
  readonly attempt?: string;
  readonly timestamps?: boolean;
}

export function addRunLogs(workflow: Command, context: Context): void {
  const command = workflow.command("logs").argument("<run>", RUN_ARGUMENT)
    .argument("[step]", "a step of it; NAME.2 is its third instance; all unless said")
    .description("show what the steps of a run printed");
  withDeck(command)
    .option("-f, --follow", "go on until the run ends")
    .option("--attempt <number>", "of this attempt (default: the last)")
    .option("--timestamps", "begin each line with its time");
  withExample(withJson(command), "ormen workflow logs -f deploy-7f3a", "ormen workflow logs deploy test --attempt 1");
  command.action(action(context, (run, step, options) => logs(context, run, step, options)));
}

async function logs(
  context: Context,
  reference: string,
  stepText: string | undefined,
  options: LogsOptions,
): Promise<void> {
  const { io } = context;
  const attempt = options.attempt === undefined ? null : countOf("--attempt", options.attempt);
  if (attempt === 0) throw wrongUsage("--attempt counts from 1");
  const wanted = stepText === undefined ? null : stepReference(stepText);
  const deck = deckOf(context, options);
  const run = await deck.run(reference);
  if (wanted) await requireStep(run, wanted.step);
  const isAlone = wanted !== null && (wanted.instance !== null || !run.steps[wanted.step].instances);
  const width = Math.max(0, ...[...leavesOf(run)].map(({ label }) => label.length));
  const print = (line: LogLine) => printLine(io, line, isAlone ? null : width, options);
  const problem = (log: StepLog, error: unknown) => {
    if (!(error instanceof DeckError)) throw error;
    // One step alone that has none is an error; among others it is told beside them.
    if (isAlone) throw error;
    io.err(`${log.label}: no output: ${clean(error.message)}\n`);
  };
  if (options.follow) return await follow(deck, run.id, wanted, print, problem);
  for await (const line of mergeLines(deck, logsOf(run, wanted, attempt), problem)) print(line);
}

/** Of the last attempts, or of one by its number, in the order in which they began. */
function logsOf(run: RunView, wanted: StepReference | null, attempt: number | null): StepLog[] {
  const logs: StepLog[] = [];
  for (const [step, view] of Object.entries(run.steps)) {
    if (wanted && wanted.step !== step) continue;
    for (const [index, fields] of (view.instances ?? [view]).entries()) {
      const instance = view.instances ? index : null;
      if (wanted && wanted.instance !== null && wanted.instance !== instance) continue;
      if (fields.taskId === null || (attempt !== null && attempt > fields.attempts)) continue;
      logs.push({
        label: labelOf(step, instance),
        // The id of an attempt ends in its number.
        taskId: attempt === null ? fields.taskId : fields.taskId.replace(/\.\d+$/, `.${attempt}`),
        startedMs: fields.startedAt === null ? 0 : Date.parse(fields.startedAt),
      });
    }
  }
  return logs.sort((a, b) => a.startedMs - b.startedMs);
}

/**
 * All attempts from now to the run's end, lines as they come. Output that breaks off, as when the deck restarts, is opened
 * again with the next view of the run, without the lines that were shown.
 */
async function follow(
  deck: Deck,
  runId: string,
  wanted: StepReference | null,
  print: (line: LogLine) => void,
  problem: (log: StepLog, error: unknown) => void,
): Promise<void> {
  const shown = new Map<string, { stdout: number; stderr: number }>();
  const reading = new Map<string, Promise<void>>();
  const broken = new Map<string, { readonly log: StepLog; readonly error: unknown }>();
  const read = async (log: StepLog) => {
    const known = shown.get(log.taskId) ?? { stdout: 0, stderr: 0 };
    const counts = { stdout: 0, stderr: 0 };
    shown.set(log.taskId, known);
    try {
      for await (const line of splitLines(deck.logs(log.taskId, { follow: true }), log.label)) {
        if (++counts[line.stream] <= known[line.stream]) continue;
        known[line.stream] = counts[line.stream];
        print(line);
      }
    } catch (error) {
      broken.set(log.taskId, { log, error });
    }
  };
  for await (const run of deck.watchRun(runId)) {
    const begun = begunIn(run);
    for (const log of logsOf(run, wanted, null)) {
      const again = broken.get(log.taskId);
      if (again && !isPassing(again.error)) continue;
      if ((reading.has(log.taskId) && !again) || !begun.has(log.label)) continue;
      broken.delete(log.taskId);
      reading.set(log.taskId, read(log));
    }
  }
  await Promise.all(reading.values());
  // What broke off behind the last view has no other one to wait for.
  const late = [...broken.values()].filter(({ error }) => isPassing(error));
  for (const { log } of late) broken.delete(log.taskId);
  await Promise.all(late.map(({ log }) => read(log)));
  for (const { log, error } of broken.values()) problem(log, error);
}

/** The deck, or the node, may be there again in a moment. */
function isPassing(error: unknown): boolean {
  return error instanceof DeckError && (error.status === 0 || error.status >= 500);
}

/** Labels of those that have a container, or had one: before that there is nothing to follow. */
function begunIn(run: RunView): ReadonlySet<string> {
  const labels = new Set<string>();
  for (const { label, fields } of leavesOf(run)) {
    if (fields.state !== "queued" && fields.state !== "pending") labels.add(label);
  }
  return labels;
}

function printLine(io: Io, line: LogLine, width: number | null, options: LogsOptions): void {
  if (options.json) return printJsonLine(io, line);
  const time = options.timestamps && line.time !== null ? `${line.time} ` : "";
  const head = width === null ? "" : `${paint(io, "grey", `${line.step.padEnd(width)} |`)} `;
  const write = line.stream === "stdout" ? io.out : io.err;
  write(`${head}${time}${line.text}\n`);
}
