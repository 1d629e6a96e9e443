/** `ormen service history`: revisions and rollouts that are kept. */
import type { Command } from "commander";
import type { RevisionView, RolloutView } from "../../messages/service_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { type Column, renderTable } from "../render.ts";
import { ago, span } from "../times.ts";
import { rolloutColour, rolloutText } from "./service_words.ts";

export function addHistory(service: Command, context: Context): void {
  const command = service.command("history").argument("<name>", "name of a service")
    .description("show its revisions and rollouts, newest first");
  withExample(withJson(withDeck(command)), "ormen service history web");
  command.action(action(context, (name, options) => history(context, name, options)));
}

async function history(context: Context, name: string, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const kept = await deckOf(context, options).services.history(name);
  if (options.json) return printJson(io, kept);
  const nowMs = io.nowMs();
  const revisions: Column<RevisionView>[] = [
    { head: "REVISION", value: ({ revision, current }) => `${revision}${current ? " *" : ""}` },
    { head: "IMAGE", value: ({ image }) => image === "" ? "-" : image, min: 10 },
    { head: "STABLE", value: ({ stable }) => stable ? "yes" : "no", colour: ({ stable }) => stable ? "green" : "grey" },
    { head: "HEALTHY", value: ({ healthy, running }) => running === 0 ? "-" : `${healthy}/${running}` },
    { head: "CREATED", value: ({ createdAt }) => ago(createdAt, nowMs) },
    { head: "CAUSE", value: ({ cause }) => cause },
  ];
  io.out(await renderTable(io, revisions, kept.revisions));
  io.out("\n");
  io.out(await renderTable(io, rolloutColumns(nowMs), kept.rollouts));
}

export function rolloutColumns(nowMs: number, withService = false): Column<RolloutView>[] {
  const service: Column<RolloutView> = { head: "SERVICE", value: (rollout) => rollout.service, min: 8 };
  return [
    ...withService ? [service] : [],
    { head: "ROLLOUT", value: ({ number }) => String(number) },
    { head: "CAUSE", value: ({ cause, reverts }) => reverts === null ? cause : `${cause} of ${reverts}` },
    { head: "REVISION", value: ({ from, to }) => from === null || from === to ? String(to) : `${from} -> ${to}` },
    { head: "STATE", value: ({ state }) => state, colour: ({ state }) => rolloutColour(state) },
    { head: "STARTED", value: ({ createdAt }) => ago(createdAt, nowMs) },
    {
      head: "TOOK",
      value: ({ createdAt, endedAt }) => span((endedAt === null ? nowMs : Date.parse(endedAt)) - Date.parse(createdAt)),
    },
    { head: "WHY", value: (rollout) => rolloutText(rollout), min: 12 },
  ];
}
