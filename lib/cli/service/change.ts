/** `ormen service scale`, `rollback`, `restart` and `rm`: what people ask of a service that is there. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { wrongUsage } from "../failure.ts";
import { clean } from "../render.ts";
import { afterChange } from "./apply.ts";

interface ChangeOptions extends DeckOption, JsonOption {
  readonly detach?: boolean;
}

interface RollbackOptions extends ChangeOptions {
  readonly to?: string;
}

const NAME = "name of a service";

function changing(service: Command, verb: string, description: string): Command {
  return service.command(verb).argument("<name>", NAME).description(description);
}

function waiting(command: Command): Command {
  return withDeck(command).option("-d, --detach", "return once the deck has it");
}

export function addScale(service: Command, context: Context): void {
  const command = changing(service, "scale", "change how many replicas there are")
    .argument("<replicas>", "how many there should be");
  withExample(withJson(waiting(command)), "ormen service scale web 5");
  command.action(action(context, (name, replicas, options) => scale(context, name, replicas, options)));
}

export function addRollback(service: Command, context: Context): void {
  const command = changing(service, "rollback", "go back to an earlier revision")
    .option("--to <revision>", "which one (default: the newest stable one before the current)");
  withExample(withJson(waiting(command)), "ormen service rollback web", "ormen service rollback web --to 3");
  command.action(action(context, (name, options) => rollback(context, name, options)));
}

export function addRestart(service: Command, context: Context): void {
  const command = changing(service, "restart", "replace every replica, as an update would");
  withExample(withJson(waiting(command)), "ormen service restart web");
  command.action(action(context, async (name: string, options: ChangeOptions) => {
    return await afterChange(context, await deckOf(context, options).services.restart(name), options);
  }));
}

export function addRemove(service: Command, context: Context): void {
  const command = changing(service, "rm", "stop all replicas, then forget the service");
  withExample(withJson(withDeck(command)), "ormen service rm web");
  command.action(action(context, (name, options) => remove(context, name, options)));
}

async function scale(
  context: Context,
  name: string,
  replicas: string,
  options: ChangeOptions,
): Promise<number | void> {
  if (!/^\d{1,6}$/.test(replicas)) throw wrongUsage(`not a number of replicas: "${replicas}"`);
  const applied = await deckOf(context, options).services.scale(name, Number(replicas));
  return await afterChange(context, applied, options);
}

async function rollback(context: Context, name: string, options: RollbackOptions): Promise<number | void> {
  const { to } = options;
  if (to !== undefined && !/^[1-9]\d{0,8}$/.test(to)) throw wrongUsage(`not a revision: "${to}"`);
  const applied = await deckOf(context, options).services.rollback(name, to === undefined ? {} : { to: Number(to) });
  return await afterChange(context, applied, options);
}

async function remove(context: Context, name: string, options: DeckOption & JsonOption): Promise<void> {
  await deckOf(context, options).services.remove(name);
  if (options.json) return printJson(context.io, { name, state: "removing" });
  context.io.out(`${clean(name)}  removing\n`);
  context.io.out(`next   ${nextCommand("service ls", options)}\n`);
}
