/** `ormen logs`: what a task printed, each stream to its own. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJsonLine } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";
import { sinceTime } from "./times.ts";

interface LogsOptions extends DeckOption, JsonOption {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

export function addLogs(program: Command, context: Context): void {
  const command = program.command("logs").argument("<id>", "id, beginning of an id, or name of a task")
    .description("show a task's output, also after it has ended");
  withDeck(command)
    .option("-f, --follow", "go on until the task ends")
    .option("--tail <lines>", "only so many of the last lines")
    .option("--since <time>", "only what is newer than 10m, or than an RFC 3339 time")
    .option("--timestamps", "begin each line with its time");
  withExample(withJson(command), "ormen logs -f bb1d59ef", "ormen logs --tail 100 --since 10m web");
  command.action(action(context, (id, options) => logs(context, id, options)));
}

async function logs(context: Context, id: string, options: LogsOptions): Promise<void> {
  const { io } = context;
  if (options.tail !== undefined && !/^(\d{1,9}|all)$/.test(options.tail)) {
    throw wrongUsage(`--tail needs a number of lines, not "${options.tail}"`);
  }
  const pieces = deckOf(context, options).logs(id, {
    follow: options.follow,
    tail: options.tail === undefined || options.tail === "all" ? null : Number(options.tail),
    since: options.since === undefined ? null : sinceTime(options.since, io.nowMs()),
    timestamps: options.timestamps,
  });
  for await (const piece of pieces) {
    if (options.json) printJsonLine(io, piece);
    else if (piece.stream === "stdout") io.out(piece.text);
    else io.err(piece.text);
  }
}
