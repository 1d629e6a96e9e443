/** `ormen workflow run`: starts a workflow from a file or by its name, and follows it to its end. */
import type { Command } from "commander";
import type { Deck } from "../../client/client.ts";
import { DeckError } from "../../client/errors.ts";
import { isFileName } from "../../core/workflow/source.ts";
import type { RunRequest, RunView } from "../../messages/run_api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { durationOf } from "../options.ts";
import { clean } from "../render.ts";
import { explainGiven, paramsOf, type ParamsOptions, withParams } from "./params_options.ts";
import { unknownStep } from "./references.ts";
import type { CheckedSourceFile, SourceFile } from "./source_file.ts";

interface StartOptions extends DeckOption, JsonOption, ParamsOptions {
  readonly dryRun?: boolean;
  readonly detach?: boolean;
  readonly only?: string;
  readonly timeout?: string;
}

export function addStart(workflow: Command, context: Context): void {
  const command = workflow.command("run")
    .argument("<file|name>", "a workflow's file, or the name of a registered one; - is standard input")
    .description("run a workflow and follow it to its end");
  withParams(withDeck(command))
    .option("--dry-run", "show what would run, and send nothing")
    .option("-d, --detach", "return once it has started")
    .option("--only <step>", "run this step alone, whatever it needs")
    .option("--timeout <duration>", "stop following after this time; the run goes on (default: never)");
  withExample(
    withJson(command),
    "ormen workflow run deploy.yaml -p version=v42",
    "ormen workflow run nightly --detach",
    "ormen workflow run deploy.yaml --dry-run -p version=v42",
  );
  command.addHelpText(
    "after",
    "\nOn a terminal ctrl-C asks whether to cancel the run or detach from it. Elsewhere SIGINT and SIGTERM cancel it." +
      "\nExit codes: 0 succeeded (also with warnings), 1 failed or timed out, 2 wrong usage, 130 cancelled or detached.",
  );
  command.action(action(context, (target, options) => start(context, target, options)));
}

async function start(context: Context, target: string, options: StartOptions): Promise<number | void> {
  const timeoutMs = options.timeout === undefined ? null : durationOf("--timeout", options.timeout, 1);
  const params = await paramsOf(context, options);
  const deck = deckOf(context, options);
  const file = isFile(target) ? await readFile(context, target) : null;
  const { only } = options;
  if (file && only !== undefined && !file.spec.steps.some(({ id }) => id === only)) {
    throw await unknownStep(`workflow ${file.spec.name}`, only, file.spec.steps.map(({ id }) => id));
  }
  if (options.dryRun) {
    const { dryRun } = await import("./dry_run.ts");
    const source = file?.source ?? await deck.workflowSource(target);
    return await dryRun(context, source, { params, only: only ?? null, json: options.json === true });
  }
  const request: RunRequest = {
    ...(file ? file.source : { workflow: target }),
    ...(Object.keys(params).length > 0 ? { params } : {}),
    ...(only === undefined ? {} : { only }),
  };
  const run = await submit(deck, request, file, target);
  if (options.detach) return started(context, run, options);
  const { followRun } = await import("./follow_run.ts");
  return await followRun(context, deck, run, { ...options, timeoutMs });
}

/** `deploy` is a name unless there is such a file here; `deploy.yaml` and `./deploy` never are. */
export function isFile(target: string): boolean {
  if (target === "-" || isFileName(target)) return true;
  try {
    return Deno.statSync(target).isFile;
  } catch {
    return false;
  }
}

async function readFile({ io }: Context, target: string): Promise<CheckedSourceFile> {
  const { readCheckedSource } = await import("./source_file.ts");
  return await readCheckedSource(target, () => io.readText());
}

async function submit(deck: Deck, request: RunRequest, file: SourceFile | null, name: string): Promise<RunView> {
  const idempotencyKey = crypto.randomUUID();
  for (let tries = 1;; tries++) {
    try {
      return await deck.startRun(request, { idempotencyKey });
    } catch (error) {
      if (!(error instanceof DeckError)) throw error;
      // It may have arrived: under its key it starts no second run.
      if (BROKE_OFF.has(error.code) && tries < TRIES_MAX) continue;
      throw explainGiven(error, "params", "-p") ?? (file && await explainSource(error, file, name)) ?? error;
    }
  }
}

const BROKE_OFF: ReadonlySet<string> = new Set(["interrupted", "timedOut"]);
const TRIES_MAX = 3;

/** What the deck did not like of a file that was found right here: its version judges by other rules. */
export async function explainSource(error: DeckError, file: SourceFile, name: string): Promise<CommandFailure | null> {
  const errors = error.problem?.errors ?? [];
  if (error.status !== 422 || errors.length === 0) return null;
  const { refusalOf } = await import("./source_file.ts");
  return refusalOf(
    name,
    errors.map(({ pointer, detail }) => {
      const path = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
      const included = path[0] === "included" ? path[1] ?? null : null;
      return file.place({
        included,
        path: path.slice(included === null ? 1 : 2),
        offset: null,
        rule: "refused",
        detail,
      });
    }),
  );
}

/** Of commands that start a run and do not follow it. */
export function started({ io }: Context, run: RunView, options: DeckOption & JsonOption): void {
  if (options.json) return printJson(io, run);
  io.out(`${clean(run.id)}  ${run.state}${run.why === null ? "" : `: ${clean(run.why)}`}\n`);
  io.out(`next   ${nextCommand(`workflow status ${clean(run.id)}`, options)}\n`);
}
