/** `ormen status`: the tasks as the original lists them, or one task in full (status_detail.ts). */
import type { Command } from "commander";
import type { Deck } from "../client/client.ts";
import type { TaskView } from "../messages/api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson, printJsonLine } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { clean, type Column, portTexts, renderTable, shortId, shortIds, stateColour, stateText } from "./render.ts";
import { showTask, watchTask } from "./status_detail.ts";
import { isFinal } from "./task_facts.ts";
import { ago, clockTime } from "./times.ts";
import { clearScreen, looks, redraw, REDRAW_EVERY_MS } from "./watch.ts";

export interface StatusOptions extends DeckOption, JsonOption {
  readonly all?: boolean;
  readonly wide?: boolean;
  readonly watch?: boolean;
}

const RECENT_MS = 3600_000;

export function addStatus(program: Command, context: Context): void {
  const command = program.command("status").argument("[id]", "id, beginning of an id, or name of a task")
    .description("list tasks, or show one: spec, attempts, events, and why it waits");
  withDeck(command)
    .option("--all", "also tasks that ended more than an hour ago")
    .option("--wide", "also NODE, HEALTH, PORTS and RESTARTS")
    .option("--watch", "keep it up to date; piped: print a line for each change");
  withExample(withJson(command), "ormen status", "ormen status --all --wide", "ormen status 9e20b7d1");
  command.action(action(context, (id, options) => status(context, id, options)));
}

async function status(context: Context, id: string | undefined, options: StatusOptions): Promise<void> {
  const deck = deckOf(context, options);
  if (id !== undefined) {
    return options.watch ? await watchTask(context, deck, id, options) : await showTask(context, deck, id, options);
  }
  if (options.watch) return await watchTasks(context, deck, options);
  const tasks = await listed(context, deck, options);
  if (options.json) return printJson(context.io, { tasks });
  context.io.out(await renderTasks(context, tasks, options));
}

/** Live ones and those that ended within the hour, unless all are asked for. */
async function listed(context: Context, deck: Deck, options: StatusOptions): Promise<TaskView[]> {
  const nowMs = context.io.nowMs();
  const tasks: TaskView[] = [];
  for await (const task of deck.tasks()) {
    const recent = task.endedAt === null || nowMs - Date.parse(task.endedAt) < RECENT_MS;
    if (options.all || recent) tasks.push(task);
  }
  return tasks;
}

function renderTasks(context: Context, tasks: readonly TaskView[], options: StatusOptions): Promise<string> {
  const nowMs = context.io.nowMs();
  const idOf = shortIds(tasks.map((task) => task.id));
  const columns: Column<TaskView>[] = [
    { head: "ID", value: (task) => idOf(task.id), min: 8 },
    { head: "NAME", value: (task) => task.name, min: 12 },
    { head: "CREATED", value: (task) => ago(task.createdAt, nowMs) },
    { head: "STATE", value: stateText, colour: stateColour },
    { head: "CONTAINERNAME", value: (task) => task.attempt?.containerName ?? "-", min: 14 },
    { head: "IMAGE", value: (task) => task.image || "-", min: 12 },
  ];
  if (options.wide) columns.push(...WIDE);
  // Only where something waits is there something to explain.
  if (tasks.some((task) => noteOf(task, idOf) !== "")) {
    columns.push({ head: "", value: (task) => noteOf(task, idOf), colour: () => "grey", min: 20 });
  }
  return renderTable(context.io, columns, tasks);
}

const WIDE: readonly Column<TaskView>[] = [
  { head: "NODE", value: (task) => task.attempt?.node ?? "-", min: 8 },
  { head: "HEALTH", value: (task) => task.attempt?.health ?? "-" },
  { head: "PORTS", value: portsOf, min: 12 },
  { head: "RESTARTS", value: (task) => String((task.attempt?.restarts ?? 0) + (task.attempt?.healthRestarts ?? 0)) },
];

/** What has ended answers on no port. */
function portsOf(task: TaskView): string {
  return isFinal(task.state) ? "-" : portTexts(task.attempt).join(", ") || "-";
}

function noteOf(task: TaskView, idOf: (id: string) => string): string {
  if (task.state !== "pending" || task.why === null) return "";
  return `<- ${clean(task.why)} (ormen status ${idOf(task.id)})`;
}

async function watchTasks(context: Context, deck: Deck, options: StatusOptions): Promise<void> {
  const { io } = context;
  const onScreen = io.outIsTerminal && !options.json;
  const shown = new Map<string, string>();
  if (onScreen) clearScreen(io);
  for await (const _ of looks(deck, onScreen ? REDRAW_EVERY_MS : null)) {
    const tasks = await listed(context, deck, options);
    if (onScreen) {
      redraw(io, await renderTasks(context, tasks, options));
      continue;
    }
    for (const task of tasks) {
      const line = stateText(task) + (task.state === "pending" && task.why ? `  ${clean(task.why)}` : "");
      if (shown.get(task.id) === line) continue;
      // What had ended before we looked first is no change.
      const old = shown.size === 0 && isFinal(task.state) && !options.all;
      shown.set(task.id, line);
      if (old) continue;
      if (options.json) printJsonLine(io, task);
      else {io.out(
          `${clockTime(new Date(io.nowMs()).toISOString(), io.nowMs())}  ${shortId(task.id)}  ${task.name}  ${line}\n`,
        );}
    }
  }
}
