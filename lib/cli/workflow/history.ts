/** `ormen workflow history`: a workflow's versions and runs; without a name the newest runs of all. */
import type { Command } from "commander";
import type { Deck } from "../../client/client.ts";
import { DeckError } from "../../client/errors.ts";
import type { RunSummary, WorkflowDetailView } from "../../messages/run_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { countOf } from "../options.ts";
import { type Column, renderTable } from "../render.ts";
import { ago, span } from "../times.ts";
import { runColour, runWord } from "./run_summary.ts";

interface HistoryOptions extends DeckOption, JsonOption {
  readonly limit: string;
}

export function addHistory(workflow: Command, context: Context): void {
  const command = workflow.command("history").argument("[name]", "name of a workflow, registered or not")
    .description("show versions and runs of a workflow, newest first; without a name the runs of all");
  withDeck(command).option("-n, --limit <count>", "runs to show", "20");
  withExample(withJson(command), "ormen workflow history deploy", "ormen workflow history -n 100");
  command.action(action(context, (name, options) => history(context, name, options)));
}

async function history(context: Context, name: string | undefined, options: HistoryOptions): Promise<void> {
  const { io } = context;
  const limit = countOf("--limit", options.limit);
  const deck = deckOf(context, options);
  const runs = await newestRuns(deck, name, limit);
  const workflow = name === undefined ? null : await registered(deck, name, runs.length > 0);
  if (options.json) return printJson(io, { ...(workflow ? { versions: workflow.versions } : {}), runs });
  const nowMs = io.nowMs();
  if (workflow) {
    io.out(
      await renderTable(io, [
        { head: "VERSION", value: (each) => String(each.version) },
        { head: "APPLIED", value: (each) => ago(each.appliedAt, nowMs) },
        { head: "HASH", value: (each) => each.hash.slice(0, 12) },
      ], workflow.versions),
    );
    io.out("\n");
  }
  const columns: Column<RunSummary>[] = [
    { head: "RUN", value: (run) => run.id },
    ...(name === undefined ? [{ head: "WORKFLOW", value: (run: RunSummary) => run.workflow, min: 8 }] : []),
    { head: "STATE", value: (run) => runWord(run.state), colour: (run) => runColour(run.state) },
    { head: "CREATED", value: (run) => ago(run.createdAt, nowMs) },
    { head: "TOOK", value: (run) => tookText(run, nowMs) },
    { head: "CAUSE", value: (run) => run.cause, min: 8 },
    { head: "WHY", value: (run) => run.why ?? "", min: 10 },
  ];
  io.out(await renderTable(io, columns, runs));
}

async function newestRuns(deck: Deck, workflow: string | undefined, limit: number): Promise<RunSummary[]> {
  const runs: RunSummary[] = [];
  if (limit === 0) return runs;
  for await (const run of deck.runs({ workflow })) {
    runs.push(run);
    if (runs.length === limit) break;
  }
  return runs;
}

/** Null: it ran from a file and is not registered. */
async function registered(deck: Deck, name: string, hasRuns: boolean): Promise<WorkflowDetailView | null> {
  try {
    return await deck.workflow(name);
  } catch (error) {
    if (error instanceof DeckError && error.status === 404 && hasRuns) return null;
    throw error;
  }
}

function tookText({ startedAt, finishedAt }: RunSummary, nowMs: number): string {
  if (startedAt === null) return "-";
  return span((finishedAt === null ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt));
}
