/** `ormen rollout`: what rolls, and what people ask of it. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { CommandFailure, wrongUsage } from "../failure.ts";
import { clean, paint, renderTable } from "../render.ts";
import { ago } from "../times.ts";
import { rolloutColumns } from "../service/history.ts";
import { rolloutColour, rolloutText } from "../service/service_words.ts";

interface StatusOptions extends DeckOption, JsonOption {
  readonly watch?: boolean;
}

const VERBS = {
  pause: "let a rollout stand as it is; its deadlines stand still, too",
  resume: "go on with one that is paused, or try one that failed again",
  promote: "let canaries, or the green side, take over",
  abort: "end a rollout; it goes back to the last stable revision unless autoRevert is off",
} as const;

export function addRollout(program: Command, context: Context): void {
  const rollout = program.command("rollout").description("rollouts of services: look at them, promote, pause, abort");
  withExample(withJson(rollout), "ormen rollout ls", "ormen rollout status web --watch");
  rollout.action(action(context, () => {
    throw wrongUsage("rollout needs a verb", "list them with  ormen rollout ls", "see  ormen rollout --help");
  }));
  const list = rollout.command("ls").alias("list").argument("[name]", "name of a service; its rollouts that are kept")
    .description("list the newest rollout of each service");
  withExample(withJson(withDeck(list)), "ormen rollout ls");
  list.action(action(context, (name, options) => listRollouts(context, name, options)));
  const status = rollout.command("status").argument("<name>", "name of a service")
    .description("show its newest rollout; the exit code is 1 when it failed")
    .option("-w, --watch", "show it live until it has ended");
  withExample(withJson(withDeck(status)), "ormen rollout status web --watch");
  status.action(action(context, (name, options) => showRollout(context, name, options)));
  for (const verb of ["pause", "resume", "promote", "abort"] as const) addVerb(rollout, context, verb);
}

function addVerb(rollout: Command, context: Context, verb: keyof typeof VERBS): void {
  const command = rollout.command(verb).argument("<name>", "name of a service").description(VERBS[verb]);
  withExample(withJson(withDeck(command)), `ormen rollout ${verb} web`);
  command.action(action(context, async (name: string, options: DeckOption & JsonOption) => {
    const { io } = context;
    const view = await deckOf(context, options).services.steer(name, verb);
    if (options.json) return printJson(io, view);
    io.out(`${clean(name)}  rollout ${view.number} to revision ${view.to}   ${rolloutText(view)}\n`);
    io.out(`next   ${nextCommand(`rollout status ${clean(name)} --watch`, options)}\n`);
  }));
}

async function listRollouts(
  context: Context,
  name: string | undefined,
  options: DeckOption & JsonOption,
): Promise<void> {
  const { io } = context;
  const rollouts = await deckOf(context, options).services.rollouts(name);
  if (options.json) return printJson(io, { rollouts });
  io.out(await renderTable(io, rolloutColumns(io.nowMs(), true), rollouts));
}

async function showRollout(context: Context, name: string, options: StatusOptions): Promise<number> {
  const { io } = context;
  const deck = deckOf(context, options);
  const service = await deck.services.get(name);
  const { rollout } = service;
  if (!rollout) throw new CommandFailure(`service ${name} has had no rollout yet`);
  if (options.watch) {
    const { followRollout } = await import("../service/follow_rollout.ts");
    return await followRollout(context, deck, service, rollout.number, options);
  }
  if (options.json) printJson(io, rollout);
  else {
    const from = rollout.from === null || rollout.from === rollout.to ? "" : `${rollout.from} -> `;
    io.out(`${paint(io, "bold", clean(rollout.id))}   ${rollout.cause} ${from}${rollout.to}   ${rollout.strategy}\n`);
    io.out(`state     ${paint(io, rolloutColour(rollout.state), rolloutText(rollout))}\n`);
    io.out(`replaced  ${rollout.updated} of ${rollout.desired}\n`);
    io.out(`started   ${ago(rollout.createdAt, io.nowMs())}\n`);
    if (rollout.deadlineAt !== null) io.out(`deadline  ${clean(rollout.deadlineAt)}\n`);
    if (rollout.failedTask !== null) {
      io.out(`more      ${nextCommand(`status ${clean(rollout.failedTask)}`, options)}\n`);
    }
  }
  return rollout.state === "failed" || rollout.state === "aborted" ? 1 : 0;
}
