/** `ormen service addresses`: where a service answers now. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";

export function addAddresses(service: Command, context: Context): void {
  const command = service.command("addresses").argument("<name>", "name of a service")
    .description("print where its healthy replicas answer, one host:port a line");
  withExample(withJson(withDeck(command)), "ormen service addresses web");
  command.action(action(context, (name, options) => addresses(context, name, options)));
}

async function addresses(context: Context, name: string, options: DeckOption & JsonOption): Promise<void> {
  const list = await deckOf(context, options).services.addresses(name);
  if (options.json) return printJson(context.io, list);
  for (const { address } of list.addresses) context.io.out(`${clean(address)}\n`);
}
