/** `ormen workflow status`: one run with all of its steps. */
import type { Command } from "commander";
import type { RunView } from "../../messages/run_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import type { Io } from "../io.ts";
import { clean, paint } from "../render.ts";
import { ago } from "../times.ts";
import { RUN_ARGUMENT } from "./references.ts";
import { renderRows } from "./run_lines.ts";
import { rowGroups } from "./run_rows.ts";
import { failureReport, summaryText } from "./run_summary.ts";

export function addRunStatus(workflow: Command, context: Context): void {
  const command = workflow.command("status").argument("<run>", RUN_ARGUMENT).description("show a run and its steps");
  withExample(withJson(withDeck(command)), "ormen workflow status deploy-7f3a", "ormen workflow status deploy --json");
  command.action(action(context, (run, options) => status(context, run, options)));
}

async function status(context: Context, reference: string, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const deck = deckOf(context, options);
  const run = await deck.run(reference);
  if (options.json) return printJson(io, run);
  for (const line of statusLines(io, run)) io.out(`${line}\n`);
  io.out(await failureReport(io, deck, run, nextCommand(`workflow logs ${clean(run.id)}`, options)));
  for (const next of nextSteps(run)) io.out(`next   ${nextCommand(next, options)}\n`);
}

/** Exported for tests. */
export function statusLines(io: Io, run: RunView): string[] {
  const cause = run.cause === "manual" ? "" : `   ${clean(run.cause)}`;
  const about: string[] = [
    `${paint(io, "bold", clean(run.id))}   ${summaryText(io, run)}`,
    `created  ${ago(run.createdAt, io.nowMs())}${cause}`,
  ];
  const params = Object.entries(run.params).filter(([, value]) => value !== null);
  if (params.length > 0) about.push(`params   ${params.map(([name, value]) => clean(`${name}=${value}`)).join("  ")}`);
  if (run.why !== null) about.push(`why      ${clean(run.why)}`);
  const columns = io.outIsTerminal ? io.size().columns : null;
  const rows = renderRows(io, rowGroups(run, io.nowMs(), () => undefined), { columns, rowsMax: null });
  const outputs = Object.entries(run.outputs).map(([name, value]) =>
    `output   ${clean(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`
  );
  return [...about, ...rows, ...outputs];
}

/** What a person may want to do about it. */
export function nextSteps(run: RunView): string[] {
  const id = clean(run.id);
  const waiting = Object.entries(run.steps).find(([, step]) => step.kind === "approval" && step.state === "waiting");
  if (waiting) return [`workflow approve ${id} ${clean(waiting[0])}`, `workflow reject ${id} ${clean(waiting[0])}`];
  switch (run.state) {
    case "succeeded":
    case "warning":
      return [];
    case "failed":
    case "timedOut":
    case "cancelled":
      return [`workflow resume ${id}`];
    case "queued":
    case "running":
    case "waiting":
    case "finalizing":
      return [`workflow logs -f ${id}`];
    default:
      return run.state satisfies never;
  }
}
