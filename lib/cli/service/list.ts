/** `ormen service ls` */
import type { Command } from "commander";
import type { ServiceView } from "../../messages/service_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { type Column, renderTable } from "../render.ts";
import { ago } from "../times.ts";
import { replicasText, rolloutText, serviceColour } from "./service_words.ts";

export function addList(service: Command, context: Context): void {
  const command = service.command("ls").alias("list").description("list the services");
  withExample(withJson(withDeck(command)), "ormen service ls");
  command.action(action(context, (options) => list(context, options)));
}

async function list(context: Context, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const services = await deckOf(context, options).services.list();
  if (options.json) return printJson(io, { services });
  const nowMs = io.nowMs();
  const columns: Column<ServiceView>[] = [
    { head: "NAME", value: ({ name }) => name, min: 8 },
    { head: "MODE", value: ({ mode }) => mode },
    { head: "HEALTHY", value: replicasText },
    { head: "REVISION", value: ({ revision }) => String(revision) },
    { head: "IMAGE", value: ({ image }) => image === "" ? "-" : image, min: 10 },
    { head: "STATE", value: ({ state }) => state, colour: ({ state }) => serviceColour(state) },
    { head: "UPDATED", value: ({ updatedAt }) => ago(updatedAt, nowMs) },
    { head: "LAST ROLLOUT", value: ({ rollout }) => rollout ? rolloutText(rollout) : "-", min: 12 },
  ];
  io.out(await renderTable(io, columns, services));
}
