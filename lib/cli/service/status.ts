/** `ormen service status`: one service with its replicas, and what became of its last rollout. */
import type { Command } from "commander";
import type { ReplicaView, ServiceDetailView } from "../../messages/service_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import type { Io } from "../io.ts";
import { clean, type Column, paint, renderTable } from "../render.ts";
import { ago } from "../times.ts";
import { nextSteps, replicaColour, replicasText, rolloutColour, rolloutText, serviceColour } from "./service_words.ts";

interface StatusOptions extends DeckOption, JsonOption {
  readonly watch?: boolean;
}

export function addStatus(service: Command, context: Context): void {
  const command = service.command("status").argument("<name>", "name of a service")
    .description("show a service, its replicas and its last rollout")
    .option("-w, --watch", "show it live until its rollout has ended; the exit code tells how");
  withExample(withJson(withDeck(command)), "ormen service status web");
  command.action(action(context, (name, options) => status(context, name, options)));
}

async function status(context: Context, name: string, options: StatusOptions): Promise<number | void> {
  const { io } = context;
  const deck = deckOf(context, options);
  const service = await deck.services.get(name);
  if (options.watch) {
    const { followRollout } = await import("./follow_rollout.ts");
    return await followRollout(context, deck, service, service.rollout?.number ?? null, options);
  }
  if (options.json) return printJson(io, service);
  for (const line of aboutLines(io, service)) io.out(`${line}\n`);
  io.out(await replicaTable(io, service));
  for (const next of nextSteps(service)) io.out(`next   ${nextCommand(next, options)}\n`);
}

/** Exported for tests. */
export function aboutLines(io: Io, service: ServiceDetailView): string[] {
  const { rollout, revisions } = service;
  const stable = (is: boolean) => is ? ", stable" : "";
  return [
    `${paint(io, "bold", clean(service.name))}   ${paint(io, serviceColour(service.state), service.state)}   ` +
    `${replicasText(service)} healthy   ${service.mode}`,
    ...service.why === null ? [] : [`why       ${clean(service.why)}`],
    ...revisions.map((each) =>
      `revision  ${each.revision}${each.current ? " (current" : " (old"}${stable(each.stable)})   ` +
      `${each.running} running, ${each.healthy} healthy   ${clean(each.image)}`
    ),
    ...rollout === null ? [] : [
      `rollout   ${rollout.number} (${rollout.cause}${
        rollout.from === null || rollout.from === rollout.to ? "" : ` ${rollout.from} -> ${rollout.to}`
      }, ${rollout.strategy})   ` +
      `${paint(io, rolloutColour(rollout.state), rolloutText(rollout))}   ` +
      ago(rollout.endedAt ?? rollout.createdAt, io.nowMs()),
    ],
    ...service.notes.map((note) => `note      ${clean(note)}`),
  ];
}

function replicaTable(io: Io, service: ServiceDetailView): Promise<string> {
  const nowMs = io.nowMs();
  const columns: Column<ReplicaView>[] = [
    { head: "SLOT", value: ({ slot }) => String(slot) },
    { head: "REPLICA", value: ({ name }) => name },
    { head: "STATE", value: ({ state }) => state, colour: ({ state }) => replicaColour(state) },
    { head: "NODE", value: ({ node }) => node ?? "-", min: 8 },
    { head: "ADDRESS", value: ({ address }) => address ?? "-", min: 10 },
    { head: "CREATED", value: ({ createdAt }) => ago(createdAt, nowMs) },
    { head: "RESTARTS", value: ({ restarts }) => String(restarts) },
    { head: "WHY", value: ({ state, why }) => state === "healthy" ? "" : why ?? "", min: 8 },
  ];
  return renderTable(io, columns, service.slots);
}
