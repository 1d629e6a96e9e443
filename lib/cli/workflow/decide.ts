/** `ormen workflow approve` and `reject`: a person's answer to a step that waits for one. */
import type { Command } from "commander";
import { DeckError } from "../../client/errors.ts";
import type { RunView } from "../../messages/run_api.ts";
import { action, collect, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { nextCommand, withDeck, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";
import { explainGiven, pairsOf } from "./params_options.ts";
import { RUN_ARGUMENT, stepReference } from "./references.ts";
import { runWord } from "./run_summary.ts";

interface ApproveOptions extends DeckOption, JsonOption {
  readonly input?: readonly string[];
}

interface RejectOptions extends DeckOption, JsonOption {
  readonly reason?: string;
}

const STEP_ARGUMENT = "a step that waits for approval; NAME.2 is its third instance";

export function addApprove(workflow: Command, context: Context): void {
  const command = workflow.command("approve").argument("<run>", RUN_ARGUMENT).argument("<step>", STEP_ARGUMENT)
    .description("let a step pass that waits for approval");
  withDeck(command).option("-i, --input <key=value>", "an input that it asks for; may be repeated", collect);
  withExample(withJson(command), "ormen workflow approve deploy-7f3a approve -i ticket=OPS-12");
  command.action(action(context, (run, step, options) => approve(context, run, step, options)));
}

export function addReject(workflow: Command, context: Context): void {
  const command = workflow.command("reject").argument("<run>", RUN_ARGUMENT).argument("<step>", STEP_ARGUMENT)
    .description("fail a step that waits for approval");
  withDeck(command).option("--reason <text>", "why, for whoever looks at the run");
  withExample(withJson(command), "ormen workflow reject deploy-7f3a approve --reason 'tests were skipped'");
  command.action(action(context, (run, step, options) => reject(context, run, step, options)));
}

async function approve(context: Context, run: string, name: string, options: ApproveOptions): Promise<void> {
  const { step, instance } = stepReference(name);
  const inputs = pairsOf("--input", options.input ?? []);
  try {
    const after = await deckOf(context, options).approve(run, step, {
      ...(Object.keys(inputs).length > 0 ? { inputs } : {}),
      ...(instance === null ? {} : { instance }),
    });
    tell(context, after, `${name} approved`, options);
  } catch (error) {
    throw (error instanceof DeckError && explainGiven(error, "inputs", "-i")) || error;
  }
}

async function reject(context: Context, run: string, name: string, options: RejectOptions): Promise<void> {
  const { step, instance } = stepReference(name);
  const after = await deckOf(context, options).reject(run, step, {
    ...(options.reason === undefined ? {} : { reason: options.reason }),
    ...(instance === null ? {} : { instance }),
  });
  tell(context, after, `${name} rejected`, options);
}

function tell({ io }: Context, run: RunView, what: string, options: DeckOption & JsonOption): void {
  if (options.json) return printJson(io, run);
  io.out(`${clean(run.id)}  ${clean(what)}; the run is ${runWord(run.state)}\n`);
  io.out(`next   ${nextCommand(`workflow status ${clean(run.id)}`, options)}\n`);
}
