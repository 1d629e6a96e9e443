/** `ormen stop`: asks for one or more tasks to end. */
import type { Command } from "commander";
import type { Deck } from "../client/client.ts";
import type { TaskView } from "../messages/api.ts";
import { parseDuration } from "../core/documents/units.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { describeFailure, failureOf, wrongUsage } from "./failure.ts";
import { snapshots } from "./follow.ts";
import { clean, shortId, stateText } from "./render.ts";
import { isFinal } from "./task_facts.ts";

interface StopOptions extends DeckOption, JsonOption {
  readonly grace?: string;
  readonly wait?: boolean;
}

/** Tasks stopped at the same time. */
const WIDTH = 16;

export function addStop(program: Command, context: Context): void {
  const command = program.command("stop").argument("<id...>", "ids, beginnings of ids, or names of tasks")
    .description("stop tasks");
  withDeck(command)
    .option("--grace <duration>", "time from the stop signal to the kill (default: the task's own, else 10s)")
    .option("--wait", "return when they have ended");
  withExample(withJson(command), "ormen stop bb1d59ef", "ormen stop --grace 30s web worker");
  command.action(action(context, (ids, options) => stop(context, ids, options)));
}

type Result = { readonly reference: string; readonly task: TaskView | null; readonly error: unknown };

async function stop(context: Context, ids: readonly string[], options: StopOptions): Promise<number> {
  if (options.grace !== undefined && parseDuration(options.grace) === undefined) {
    throw wrongUsage(`--grace is no duration: "${options.grace}"`, "write it with a unit, such as 10s");
  }
  const { io } = context;
  const deck = deckOf(context, options);
  const references = [...new Set(ids)];
  const results: Result[] = [];
  for (let start = 0; start < references.length; start += WIDTH) {
    const group = references.slice(start, start + WIDTH).map((reference) => stopOne(deck, reference, options));
    for (const result of await Promise.all(group)) {
      results.push(result);
      if (options.json) continue;
      if (result.task) io.out(`${clean(result.task.name)} (${shortId(result.task.id)})  ${wordOf(result.task)}\n`);
      else io.err(describeFailure(failureOf(result.error, "stop")));
    }
  }
  if (options.json) {
    printJson(io, {
      tasks: results.map(({ reference, task, error }) => ({
        reference,
        id: task?.id ?? null,
        name: task?.name ?? null,
        state: task?.state ?? null,
        error: error ? failureOf(error, "stop").message : null,
      })),
    });
  }
  return results.some((result) => result.error !== null) ? 1 : 0;
}

/** Never throws: one task that cannot be stopped keeps no other from being stopped. */
async function stopOne(deck: Deck, reference: string, options: StopOptions): Promise<Result> {
  try {
    let task: TaskView = await deck.task(reference);
    if (!isFinal(task.state)) {
      task = await deck.stop(task.id, { grace: options.grace });
      if (options.wait) { for await (task of snapshots(deck, task.id)); }
    }
    return { reference, task, error: null };
  } catch (error) {
    return { reference, task: null, error };
  }
}

function wordOf(task: TaskView): string {
  return isFinal(task.state) ? stateText(task).toLowerCase() : "stopping";
}
