/** `ormen workflow cancel`, `rerun` and `resume`: what people ask of a run as a whole. */
import type { Command } from "commander";
import { DeckError } from "../../client/errors.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";
import { explainGiven, paramsOf, type ParamsOptions, withParams } from "./params_options.ts";
import { RUN_ARGUMENT } from "./references.ts";
import { runWord } from "./run_summary.ts";
import { started } from "./start.ts";

interface FollowFlags extends DeckOption, JsonOption {
  readonly detach?: boolean;
}

interface CancelOptions extends DeckOption, JsonOption {
  readonly now?: boolean;
}

interface ResumeOptions extends FollowFlags, ParamsOptions {
  readonly from?: string;
}

export function addCancel(workflow: Command, context: Context): void {
  const command = workflow.command("cancel").argument("<run>", RUN_ARGUMENT)
    .description("end a run: what runs is stopped, its `finally` steps are run")
    .option("--now", "end its `finally` steps too, or leave them out");
  withExample(withJson(withDeck(command)), "ormen workflow cancel deploy-7f3a");
  command.action(action(context, (run, options) => cancel(context, run, options)));
}

export function addRerun(workflow: Command, context: Context): void {
  const command = workflow.command("rerun").argument("<run>", RUN_ARGUMENT)
    .description("run the same document with the same parameters again, from its beginning");
  withFollow(withDeck(command));
  withExample(withJson(command), "ormen workflow rerun deploy-7f3a");
  command.action(action(context, (run, options) => rerun(context, run, options)));
}

export function addResume(workflow: Command, context: Context): void {
  const command = workflow.command("resume").argument("<run>", RUN_ARGUMENT)
    .description("run again what did not succeed, as a new run that keeps what did");
  withFollow(withParams(withDeck(command)))
    .option("--from <step>", "run this step and all that follow it again too");
  withExample(withJson(command), "ormen workflow resume deploy-7f3a", "ormen workflow resume deploy --from test");
  command.action(action(context, (run, options) => resume(context, run, options)));
}

function withFollow(command: Command): Command {
  return command.option("-d, --detach", "return once it has started");
}

async function cancel(context: Context, reference: string, options: CancelOptions): Promise<void> {
  const run = await deckOf(context, options).cancelRun(reference, options.now ? { now: true } : {});
  if (options.json) return printJson(context.io, run);
  const word = run.finishedAt === null ? "cancelling" : runWord(run.state);
  context.io.out(`${clean(run.id)}  ${word}\n`);
  if (run.finishedAt === null) {
    context.io.out(`next   ${nextCommand(`workflow status ${clean(run.id)}`, options)}\n`);
  }
}

async function rerun(context: Context, reference: string, options: FollowFlags): Promise<number | void> {
  const deck = deckOf(context, options);
  const run = await deck.rerun(reference);
  if (options.detach) return started(context, run, options);
  const { followRun } = await import("./follow_run.ts");
  return await followRun(context, deck, run, { ...options, timeoutMs: null });
}

async function resume(context: Context, reference: string, options: ResumeOptions): Promise<number | void> {
  const { io } = context;
  const deck = deckOf(context, options);
  const { from } = options;
  const params = await paramsOf(context, options);
  try {
    const run = await deck.resumeRun(reference, { ...(from === undefined ? {} : { from }), params });
    if (!options.json) {
      io.out(`kept   ${run.kept.length === 0 ? "nothing" : clean(run.kept.join(", "))}\n`);
      io.out(`again  ${clean(run.again.join(", "))}\n`);
    }
    if (options.detach) return started(context, run, options);
    const { followRun } = await import("./follow_run.ts");
    return await followRun(context, deck, run, { ...options, timeoutMs: null });
  } catch (error) {
    throw (error instanceof DeckError && explainGiven(error, "params", "-p")) || error;
  }
}
