/** `ormen service apply` and `plan`: a document, what it would change, and the wait for what it did. */
import type { Command } from "commander";
import { DeckError } from "../../client/errors.ts";
import type { ServiceDocument } from "../../core/documents/service.ts";
import type { ServiceApplied, ServicePlan } from "../../messages/service_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { explainRefusal, parseMapping } from "../document_file.ts";
import { wrongUsage } from "../failure.ts";
import { clean } from "../render.ts";
import { readTextFile } from "../text_file.ts";

interface FileOption {
  readonly filename?: string;
}

interface ApplyOptions extends DeckOption, JsonOption, FileOption {
  readonly detach?: boolean;
}

const NOTHING_TO_DO = 0;
const SOMETHING_TO_DO = 3;

export function addApply(service: Command, context: Context): void {
  const command = service.command("apply").argument("[file]", "the same as --filename")
    .description("make a service, or roll out what is new in its document")
    .option("-f, --filename <file>", "service document, YAML or JSON; - is standard input")
    .option("-d, --detach", "return once the deck has it");
  withExample(withJson(withDeck(command)), "ormen service apply -f web.yaml");
  command.action(action(context, (file, options) => apply(context, withFile(options, file))));
}

export function addPlan(service: Command, context: Context): void {
  const command = service.command("plan").argument("[file]", "the same as --filename")
    .description("show what apply would change: exit 0 for nothing, 3 for something")
    .option("-f, --filename <file>", "service document, YAML or JSON; - is standard input");
  withExample(withJson(withDeck(command)), "ormen service plan -f web.yaml");
  command.action(action(context, (file, options) => plan(context, withFile(options, file))));
}

function withFile<T extends FileOption>(options: T, file: string | undefined): T {
  if (file === undefined) return options;
  if (options.filename !== undefined) throw wrongUsage("a file is given twice", "name it once: FILE, or -f FILE");
  return { ...options, filename: file };
}

async function apply(context: Context, options: ApplyOptions): Promise<number | void> {
  const deck = deckOf(context, options);
  const applied = await sending(context, options, (document) => deck.services.apply(document));
  return await afterChange(context, applied, options);
}

/** Says what was changed, and waits for what follows unless told not to. */
export async function afterChange(
  context: Context,
  applied: ServiceApplied,
  options: ApplyOptions,
): Promise<number | void> {
  const { io } = context;
  const { service, rollout } = applied;
  if (options.json && options.detach) return printJson(io, applied);
  if (!options.json) {
    io.out(`${clean(service.name)}  ${whatChanged(applied)}\n`);
    for (const note of service.notes) io.out(`note   ${clean(note)}\n`);
  }
  if (options.detach) {
    io.out(`next   ${nextCommand(`service status ${clean(service.name)}`, options)}\n`);
    return;
  }
  const { followRollout } = await import("./follow_rollout.ts");
  return await followRollout(context, deckOf(context, options), service, rollout, options);
}

/** `revision 3 -> 4   rolling, 1 at a time, start-first`. Exported for tests. */
export function whatChanged({ change, service }: ServiceApplied): string {
  const { rollout, revision, replicas } = service;
  const from = rollout && rollout.from !== null && rollout.from !== rollout.to ? `${rollout.from} -> ` : "";
  switch (change) {
    case "created":
      return `created, revision ${revision}   ${replicas.desired} ${replicas.desired === 1 ? "replica" : "replicas"}`;
    case "updated":
      return `revision ${from}${revision}   ${howItRolls(service.document, rollout?.strategy ?? "rolling")}`;
    case "scaled":
      return `scaled to ${replicas.desired}`;
    case "settings":
      return "new settings for its next rollout; nothing is replaced";
    case "unchanged":
      return `unchanged, revision ${revision}`;
    default:
      return change satisfies never;
  }
}

function howItRolls(document: Readonly<Record<string, unknown>>, strategy: string): string {
  const update = document.update as { maxParallel?: number | string; order?: string } | undefined;
  if (strategy === "recreate") return "recreate: all old ones stop before the new ones start";
  if (strategy === "blueGreen") return "blueGreen: the new side beside the old one, then the switch";
  return `${strategy}, ${update?.maxParallel ?? 1} at a time, ${update?.order ?? "start-first"}`;
}

async function plan(context: Context, options: DeckOption & JsonOption & FileOption): Promise<number> {
  const { io } = context;
  const deck = deckOf(context, options);
  const made = await sending(context, options, (document) => deck.services.plan(document));
  if (options.json) printJson(io, made);
  else for (const line of planLines(made)) io.out(`${line}\n`);
  return made.change === "unchanged" ? NOTHING_TO_DO : SOMETHING_TO_DO;
}

/** Exported for tests. */
export function planLines({ service, change, from, to, replicas, differences, notes }: ServicePlan): string[] {
  const what = {
    created: `would be created with ${replicas.to} ${replicas.to === 1 ? "replica" : "replicas"}`,
    updated: `would roll from revision ${from} to ${to}`,
    scaled: `would be scaled from ${replicas.from} to ${replicas.to}; no replica is replaced`,
    settings: "would take new settings for its next rollout; no replica is replaced",
    unchanged: "is as the document says",
  }[change];
  return [
    `${clean(service)}  ${what}`,
    ...differences.map(({ key, from: was, to: is }) => `  ${clean(key)}  ${textOf(was)} -> ${textOf(is)}`),
    ...notes.map((note) => `note   ${clean(note)}`),
  ];
}

function textOf(value: unknown): string {
  if (value === undefined) return "(none)";
  return clean(typeof value === "string" ? value : JSON.stringify(value));
}

/** With the document of the file; what the deck does not like of it is told with its place. */
async function sending<T>(
  context: Context,
  { filename }: FileOption,
  send: (document: ServiceDocument) => Promise<T>,
): Promise<T> {
  if (filename === undefined) {
    throw wrongUsage("no document is given", "name it with  -f FILE, or  -f -  for standard input");
  }
  const name = filename === "-" ? "stdin" : filename;
  const text = filename === "-" ? await context.io.readText() : readTextFile(filename, "the service document");
  const document = await parseMapping(text, name, "service", "begin with  name:  and  task:");
  try {
    return await send(document as ServiceDocument);
  } catch (error) {
    const isRefused = error instanceof DeckError && (error.status === 400 || error.status === 422);
    if (!isRefused || !error.problem?.errors?.length) throw error;
    throw await explainRefusal(text, name, error.problem);
  }
}
