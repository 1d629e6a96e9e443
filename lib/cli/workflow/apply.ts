/** `ormen workflow apply`: registers a workflow with the deck, or a new version of it. */
import type { Command } from "commander";
import { DeckError } from "../../client/errors.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";
import { clockTime } from "../times.ts";
import { explainSource } from "./start.ts";

export function addApply(workflow: Command, context: Context): void {
  const command = workflow.command("apply").argument("<file>", "a workflow in YAML or JSON; - is standard input")
    .description("register a workflow under its name; its schedule starts, earlier versions are kept");
  withExample(withJson(withDeck(command)), "ormen workflow apply nightly.yaml");
  command.action(action(context, (file, options) => apply(context, file, options)));
}

async function apply(context: Context, path: string, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const { readCheckedSource } = await import("./source_file.ts");
  const file = await readCheckedSource(path, () => io.readText());
  try {
    const applied = await deckOf(context, options).applyWorkflow(file.source);
    if (options.json) return printJson(io, applied);
    const { name, version, change, schedule } = applied;
    const words = {
      created: "registered, version 1",
      updated: `version ${version}`,
      unchanged: `version ${version}, unchanged`,
    };
    io.out(`${clean(name)}  ${words[change]}\n`);
    if (schedule) {
      const next = schedule.nextAt === null ? "paused" : `next run at ${clockTime(schedule.nextAt, io.nowMs())}`;
      io.out(`schedule  ${clean(schedule.cron)} ${clean(schedule.timezone)}   ${next}\n`);
    }
    io.out(`next   ${nextCommand(`workflow run ${clean(name)}`, options)}\n`);
  } catch (error) {
    if (!(error instanceof DeckError)) throw error;
    throw await explainSource(error, file, path) ?? error;
  }
}
