/** `ormen workflow list`: the registered workflows, or runs of any. */
import type { Command } from "commander";
import type { WorkflowView } from "../../messages/run_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { clean, type Column, renderTable } from "../render.ts";
import { ago, clockTime } from "../times.ts";
import { runColour, runWord } from "./run_summary.ts";

export function addList(workflow: Command, context: Context): void {
  const command = workflow.command("list").alias("ls").description("list the workflows that are registered");
  withExample(withJson(withDeck(command)), "ormen workflow list");
  command.action(action(context, (options) => list(context, options)));
}

async function list(context: Context, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const workflows = await deckOf(context, options).workflows();
  if (options.json) return printJson(io, { workflows });
  const nowMs = io.nowMs();
  const columns: Column<WorkflowView>[] = [
    { head: "NAME", value: ({ name }) => name, min: 8 },
    { head: "VERSION", value: ({ version }) => String(version) },
    { head: "APPLIED", value: ({ appliedAt }) => ago(appliedAt, nowMs) },
    { head: "SCHEDULE", value: ({ schedule }) => schedule ? `${schedule.cron} ${schedule.timezone}` : "-", min: 10 },
    {
      head: "NEXT",
      value: ({ schedule, paused }) => paused ? "paused" : schedule?.nextAt ? clockTime(schedule.nextAt, nowMs) : "-",
      colour: ({ paused }) => paused ? "yellow" : null,
    },
    {
      head: "LAST RUN",
      value: ({ lastRun }) => lastRun ? runWord(lastRun.state) : "-",
      colour: ({ lastRun }) => lastRun ? runColour(lastRun.state) : null,
    },
    { head: "ID", value: ({ lastRun }) => clean(lastRun?.id ?? "-") },
  ];
  io.out(await renderTable(io, columns, workflows));
}
