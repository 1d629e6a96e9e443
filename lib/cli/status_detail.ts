/** One task in full: what happened, to what, why, and what to do next. */
import type { Deck } from "../client/client.ts";
import type { AttemptView, EventView, TaskDetailView } from "../messages/api.ts";
import { type Context, type DeckOption, type JsonOption, nextCommand, printJson, printJsonLine } from "./context.ts";
import { snapshots } from "./follow.ts";
import { clean, cleanLines, exitText, paint, portTexts, renderTable, shortId, stateColour } from "./render.ts";
import { stateText } from "./render.ts";
import { isFinal, last } from "./task_facts.ts";
import { ago, clockTime, humanDuration, span, within } from "./times.ts";
import { clearScreen, redraw } from "./watch.ts";

interface DetailOptions extends DeckOption, JsonOption {}

export async function showTask(context: Context, deck: Deck, id: string, options: DetailOptions): Promise<void> {
  const task = await deck.task(id);
  if (options.json) return printJson(context.io, task);
  context.io.out(await renderTask(context, deck, task, options));
}

/** Until it has ended. On a terminal it redraws; piped, it prints the task's events. */
export async function watchTask(context: Context, deck: Deck, id: string, options: DetailOptions): Promise<void> {
  const { io } = context;
  const onScreen = io.outIsTerminal && !options.json;
  let shown = 0;
  if (onScreen) clearScreen(io);
  for await (const task of snapshots(deck, id)) {
    if (options.json) printJsonLine(io, task);
    else if (onScreen) redraw(io, await renderTask(context, deck, task, options));
    else {
      for (const event of task.events) {
        if (event.id > shown) io.out(`${eventLine(event, io.nowMs())}\n`);
      }
      shown = last(task.events)?.id ?? shown;
    }
  }
}

async function renderTask(context: Context, deck: Deck, task: TaskDetailView, options: DetailOptions): Promise<string> {
  const { io } = context;
  const nowMs = io.nowMs();
  const state = paint(io, stateColour(task), stateText(task));
  const lines = [`${paint(io, "bold", clean(task.name))} (${clean(task.id)})   ${state} ${sinceWhen(task, nowMs)}`];
  const put = (label: string, text: string) => lines.push(`${label.padEnd(7)}${clean(text)}`);
  if (task.why) put("why", task.why);
  if (task.retryAt !== null && Date.parse(task.retryAt) > nowMs) {
    put("retry", `in ${span(Date.parse(task.retryAt) - nowMs)}`);
  }
  put("spec", describeSpec(task));
  const labels = Object.entries(task.labels).map(([key, value]) => `${key}=${value}`);
  if (labels.length > 0) put("labels", labels.join("  "));
  // What has ended answers on no port.
  for (const port of isFinal(task.state) ? [] : portTexts(task.attempt)) put("ports", port);
  if (task.attempt?.health === "unhealthy" && task.attempt.healthOutput) put("health", task.attempt.healthOutput);
  const parts = [lines.join("\n") + "\n"];
  if (task.history.length > 0) parts.push("attempts\n", indent(await renderAttempts(context, task.history)));
  const output = isFinal(task.state) ? cleanLines(task.attempt?.outputTail ?? "").trimEnd() : "";
  if (output !== "") parts.push("last output\n", indent(output.split("\n").slice(-10).join("\n") + "\n"));
  if (task.events.length > 0) {
    parts.push("events\n", indent(task.events.map((event) => `${eventLine(event, nowMs)}\n`).join("")));
  }
  parts.push(`next   ${await nextStep(deck, task, options)}\n`);
  return parts.join("");
}

function renderAttempts(context: Context, attempts: readonly AttemptView[]): Promise<string> {
  const nowMs = context.io.nowMs();
  const ran = (attempt: AttemptView) => {
    if (attempt.startedAt === null) return "never started";
    if (attempt.finishedAt === null) return `started ${within(ago(attempt.startedAt, nowMs))}`;
    const ms = Date.parse(attempt.finishedAt) - Date.parse(attempt.startedAt);
    return `ran ${span(ms)}, ended ${within(ago(attempt.finishedAt, nowMs))}`;
  };
  const state = (attempt: AttemptView) => {
    const exit = exitText(attempt);
    const detail = attempt.state === "running" && attempt.health !== "none" ? attempt.health : exit;
    return detail === null || attempt.state === "assigned" ? attempt.state : `${attempt.state} (${detail})`;
  };
  const restarts = (attempt: AttemptView) => attempt.restarts + attempt.healthRestarts;
  return renderTable(context.io, [
    { head: "#", value: (attempt) => String(attempt.number) },
    { head: "STATE", value: state },
    { head: "NODE", value: (attempt) => attempt.node ?? "-", min: 8 },
    { head: "CONTAINERNAME", value: (attempt) => attempt.containerName ?? "-", min: 14 },
    { head: "RESTARTS", value: (attempt) => String(restarts(attempt)) },
    { head: "RAN", value: ran },
    { head: "", value: (attempt) => attempt.reason ?? attempt.message ?? "", min: 20 },
  ], attempts);
}

/** The document's own words, most telling first. */
function describeSpec(task: TaskDetailView): string {
  const { name: _name, image, labels: _labels, ...rest } = task.spec;
  const values = Object.entries(rest).map(([key, value]) => `${key} ${spell(value)}`);
  return [String(image ?? ""), ...values].filter((text) => text !== "").join("  ");
}

/** Lists as words, mappings as key=value; what is nested deeper (files and their content) by its keys. */
function spell(value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => String(each)).join(" ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, each]) => isShort(each) ? `${key}=${Array.isArray(each) ? each.join(" ") : each}` : key).join(",");
}

function isShort(value: unknown): boolean {
  return (typeof value !== "object" || Array.isArray(value)) && String(value).length <= 60;
}

function sinceWhen(task: TaskDetailView, nowMs: number): string {
  if (task.endedAt !== null) return within(ago(task.endedAt, nowMs));
  const since = task.state === "running" ? task.attempt?.startedAt ?? task.createdAt : task.createdAt;
  return `for ${within(humanDuration(Math.max(0, nowMs - Date.parse(since))))}`;
}

function eventLine(event: EventView, nowMs: number): string {
  return `${clockTime(event.at, nowMs)}  ${clean(event.message)}`;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}

async function nextStep(deck: Deck, task: TaskDetailView, options: DetailOptions): Promise<string> {
  const id = shortId(task.id);
  switch (task.state) {
    case "pending":
      return await whatHelps(deck, task, options);
    case "scheduled":
      return nextCommand(`status ${id} --watch`, options);
    case "running":
      return `${nextCommand(`logs -f ${id}`, options)}   ${nextCommand(`stop ${id}`, options)}`;
    case "unknown":
    case "stopping":
      return nextCommand("mast --wide", options);
    case "completed":
    case "failed":
    case "stopped":
      return task.attempt?.startedAt ? nextCommand(`logs ${id}`, options) : nextCommand("run", options);
    default:
      return task.state satisfies never;
  }
}

/** What a person can do about a task that waits. */
async function whatHelps(deck: Deck, task: TaskDetailView, options: DetailOptions): Promise<string> {
  const why = task.why ?? "";
  const steps = ["memory", "cpu", "disk"].filter((key) => why.includes(key)).map((key) => `lower \`${key}\``);
  if (/port/.test(why)) steps.push("choose another host port");
  if (/constraint|label/.test(why)) steps.push("change `constraints`");
  const bind = /not allow the bind ([^ ,]+)/.exec(why);
  if (bind) steps.push(`start a sailor there with --allow-binds ${clean(bind[1])}`);
  if (/host's network/.test(why)) steps.push("start a sailor with --allow-host-network");
  if (/drain/.test(why)) {
    for await (const node of deck.nodes()) {
      if (node.eligibility === "eligible") continue;
      const command = nextCommand(`mast resume ${clean(node.name)}`, options);
      steps.push(steps.length === 0 ? command : `\`${command}\``);
      break;
    }
  }
  return steps.length > 0 ? steps.join(", or ") : nextCommand("mast --wide", options);
}
