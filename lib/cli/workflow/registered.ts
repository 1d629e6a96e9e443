/** `ormen workflow pause`, `unpause` and `rm`: what is done with a registered workflow. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";
import { clockTime } from "../times.ts";

type Options = DeckOption & JsonOption;

const NAME_ARGUMENT = "name of a registered workflow";

export function addPause(workflow: Command, context: Context): void {
  const command = workflow.command("pause").argument("<name>", NAME_ARGUMENT)
    .description("let its schedule start no runs until it is unpaused; `run` still does");
  withExample(withJson(withDeck(command)), "ormen workflow pause nightly");
  command.action(action(context, (name, options) => pause(context, name, options)));
}

export function addUnpause(workflow: Command, context: Context): void {
  const command = workflow.command("unpause").argument("<name>", NAME_ARGUMENT)
    .description("let its schedule start runs again");
  withExample(withJson(withDeck(command)), "ormen workflow unpause nightly");
  command.action(action(context, (name, options) => unpause(context, name, options)));
}

export function addRemove(workflow: Command, context: Context): void {
  const command = workflow.command("rm").argument("<name>", NAME_ARGUMENT)
    .description("forget a workflow, its versions and its schedule; its runs go on and are kept");
  withExample(withJson(withDeck(command)), "ormen workflow rm nightly");
  command.action(action(context, (name, options) => remove(context, name, options)));
}

async function pause(context: Context, name: string, options: Options): Promise<void> {
  const workflow = await deckOf(context, options).pauseWorkflow(name);
  if (options.json) return printJson(context.io, workflow);
  context.io.out(`${clean(name)}  paused${workflow.schedule ? "" : "; it has no schedule"}\n`);
}

async function unpause(context: Context, name: string, options: Options): Promise<void> {
  const { io } = context;
  const workflow = await deckOf(context, options).unpauseWorkflow(name);
  if (options.json) return printJson(io, workflow);
  const nextAt = workflow.schedule?.nextAt ?? null;
  io.out(`${clean(name)}  unpaused${nextAt === null ? "" : `   next run at ${clockTime(nextAt, io.nowMs())}`}\n`);
}

async function remove(context: Context, name: string, options: Options): Promise<void> {
  await deckOf(context, options).removeWorkflow(name);
  if (options.json) return printJson(context.io, { workflow: name, removed: true });
  context.io.out(`${clean(name)}  removed\n`);
}
