/** `ormen mast`: the nodes, and taking one out of service. */
import type { Command } from "commander";
import type { Deck } from "../client/client.ts";
import type { NodeView } from "../messages/api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "./context.ts";
import { printJsonLine, withDeck, withExample, withJson } from "./context.ts";
import { clean, type Colour, type Column, renderTable } from "./render.ts";
import { clockTime, humanDuration, within } from "./times.ts";
import { clearScreen, looks, redraw, REDRAW_EVERY_MS } from "./watch.ts";

interface MastOptions extends DeckOption, JsonOption {
  readonly wide?: boolean;
  readonly watch?: boolean;
}

export function addMast(program: Command, context: Context): void {
  // Options after a subcommand's name are the subcommand's, so `mast drain -m ...` reads its own -m.
  const mast = program.command("mast").description("list nodes; drain, resume or remove one");
  withDeck(mast)
    .option("--wide", "also STATUS, CPU, LABELS and VERSION")
    .option("--watch", "keep it up to date; piped: print a line for each change");
  withExample(withJson(mast), "ormen mast --wide", "ormen mast drain host-a");
  mast.action(action(context, (options) => list(context, options)));
  addVerb(mast, context, "drain", "give a node no new tasks and move away those it has");
  addVerb(mast, context, "resume", "let a drained node take tasks again");
  addVerb(mast, context, "rm", "forget a node that is down or drained");
}

type Verb = "drain" | "resume" | "rm";

function addVerb(mast: Command, context: Context, verb: Verb, description: string): void {
  const command = mast.command(verb).argument("<node>", "name or id of a node").description(description);
  withExample(withJson(withDeck(command)), `ormen mast ${verb} localhost:5556`);
  command.action(action(context, (node, options) => change(context, verb, node, options)));
}

async function list(context: Context, options: MastOptions): Promise<void> {
  const deck = deckOf(context, options);
  if (options.watch) return await watch(context, deck, options);
  const nodes = await all(deck);
  if (options.json) return printJson(context.io, { nodes });
  context.io.out(await renderNodes(context, nodes, options));
}

async function all(deck: Deck): Promise<NodeView[]> {
  const nodes: NodeView[] = [];
  for await (const node of deck.nodes()) nodes.push(node);
  return nodes;
}

/** MEMORY and DISK are what the machine has, as in the original, but in true MiB and GiB. */
function renderNodes(context: Context, nodes: readonly NodeView[], options: MastOptions): Promise<string> {
  const nowMs = context.io.nowMs();
  const columns: Column<NodeView>[] = [
    { head: "NAME", value: (node) => node.name, min: 12 },
    { head: "MEMORY (MiB)", value: (node) => String(Math.floor(node.memory.total / 2 ** 20)) },
    { head: "DISK (GiB)", value: (node) => String(Math.floor(node.disk.total / 2 ** 30)) },
    { head: "ROLE", value: () => "worker" },
    { head: "TASKS", value: (node) => String(node.tasks + node.localTasks) },
  ];
  if (options.wide) columns.push(...WIDE);
  else if (nodes.some((node) => statusOf(node) !== "ready")) {
    columns.push({ head: "", value: (node) => noteOf(node, nowMs), colour: colourOf, min: 12 });
  }
  return renderTable(context.io, columns, nodes);
}

const WIDE: readonly Column<NodeView>[] = [
  { head: "STATUS", value: statusOf, colour: colourOf },
  { head: "CPU", value: (node) => `${trim(node.cpu.reserved)}/${trim(node.cpu.total)}` },
  {
    head: "LABELS",
    value: (node) => Object.entries(node.labels).map(([k, v]) => `${k}=${v}`).join(",") || "-",
    min: 8,
  },
  { head: "VERSION", value: (node) => node.version || "-" },
];

function statusOf(node: NodeView): string {
  const parts: string[] = [node.status];
  if (node.eligibility !== "eligible") parts.push(node.eligibility);
  // Of a node that is not heard of, nothing newer is known.
  const away = node.status === "ready" ? node.runtimesAway ?? [] : [];
  if (away.length > 0) parts.push(`${away.join(" and ")} does not answer`);
  return parts.join(", ");
}

function noteOf(node: NodeView, nowMs: number): string {
  if (statusOf(node) === "ready") return "";
  if (node.status === "ready") return `<- ${statusOf(node)}`;
  return `<- ${statusOf(node)} for ${within(humanDuration(Math.max(0, nowMs - Date.parse(node.statusSince))))}`;
}

function colourOf(node: NodeView): Colour {
  if (node.status === "down") return "red";
  return statusOf(node) === "ready" ? "green" : "yellow";
}

function trim(cores: number): string {
  return String(Math.round(cores * 100) / 100);
}

async function change(context: Context, verb: Verb, reference: string, options: MastOptions): Promise<void> {
  const { io } = context;
  const deck = deckOf(context, options);
  if (verb === "rm") {
    await deck.removeNode(reference);
    if (options.json) return printJson(io, { node: reference, removed: true });
    return io.out(`${clean(reference)}  removed\n`);
  }
  const node = await (verb === "drain" ? deck.drain(reference) : deck.resume(reference));
  if (options.json) return printJson(io, node);
  const name = clean(node.name);
  if (verb === "resume") return io.out(`${name}  takes tasks again\n`);
  const { tasks } = node;
  const moving = tasks === 0 ? "no tasks to move" : tasks === 1 ? "1 task moves away" : `${tasks} tasks move away`;
  io.out(`${name}  ${node.eligibility}   ${moving}\n`);
  io.out(`next   ${nextCommand("mast --watch", options)}   ${nextCommand(`mast resume ${name}`, options)}\n`);
}

async function watch(context: Context, deck: Deck, options: MastOptions): Promise<void> {
  const { io } = context;
  const onScreen = io.outIsTerminal && !options.json;
  const shown = new Map<string, string>();
  if (onScreen) clearScreen(io);
  for await (const _ of looks(deck, onScreen ? REDRAW_EVERY_MS : null)) {
    const nodes = await all(deck);
    if (onScreen) {
      redraw(io, await renderNodes(context, nodes, options));
      continue;
    }
    for (const node of nodes) {
      const line = `${statusOf(node)}  ${node.tasks + node.localTasks} tasks`;
      if (shown.get(node.id) === line) continue;
      shown.set(node.id, line);
      if (options.json) printJsonLine(io, node);
      else io.out(`${clockTime(new Date(io.nowMs()).toISOString(), io.nowMs())}  ${clean(node.name)}  ${line}\n`);
    }
  }
}
