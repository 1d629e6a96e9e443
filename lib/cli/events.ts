/** `ormen events`: what happened, newest last. */
import type { Command } from "commander";
import type { EventView } from "../messages/api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJsonLine } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { clean, type Colour, paint, shortId } from "./render.ts";
import { clockTime, sinceTime } from "./times.ts";

interface EventsOptions extends DeckOption, JsonOption {
  readonly follow?: boolean;
  readonly since?: string;
}

export function addEvents(program: Command, context: Context): void {
  const command = program.command("events").description("show what happened, newest last");
  withDeck(command)
    .option("-f, --follow", "go on with what happens")
    .option("--since <time>", "only what is newer than 10m, or than an RFC 3339 time");
  withExample(withJson(command), "ormen events --since 1h", "ormen events -f --json");
  command.action(action(context, (options) => events(context, options)));
}

async function events(context: Context, options: EventsOptions): Promise<void> {
  const { io } = context;
  const deck = deckOf(context, options);
  const since = options.since === undefined ? undefined : sinceTime(options.since, io.nowMs());
  const print = (event: EventView) => {
    if (options.json) printJsonLine(io, event);
    else io.out(`${describe(context, event)}\n`);
  };
  // Null: there is nothing to come after, so the stream begins with what happens next.
  let last: number | null = null;
  for await (const event of deck.pastEvents({ since })) {
    last = event.id;
    print(event);
  }
  if (!options.follow) return;
  for await (const event of deck.events({ after: last })) print(event);
}

function describe(context: Context, event: EventView): string {
  const { io } = context;
  const subject = event.taskId === null ? event.node ?? "-" : `${event.task ?? "-"} (${shortId(event.taskId)})`;
  const kind = paint(io, colourOf(event.kind), event.kind.padEnd(14));
  return `${clockTime(event.at, io.nowMs())}  ${kind}  ${clean(subject).padEnd(24)}  ${clean(event.message)}`;
}

function colourOf(kind: string): Colour {
  if (/Failed|Down$/.test(kind)) return "red";
  if (/Running|Healthy|Completed|Ready|Joined/.test(kind)) return "green";
  return /NotPlaced|Unhealthy|Unknown|Retrying|Restarted|Replaced|Draining/.test(kind) ? "yellow" : null;
}
