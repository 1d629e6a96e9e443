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
  readonly run?: string;
}

export function addEvents(program: Command, context: Context): void {
  const command = program.command("events").description("show what happened, newest last");
  withDeck(command)
    .option("-f, --follow", "go on with what happens")
    .option("--since <time>", "only what is newer than 10m, or than an RFC 3339 time")
    .option("--run <run>", "only of this run of a workflow, and its steps");
  withExample(withJson(command), "ormen events --since 1h", "ormen events -f --json", "ormen events --run deploy-7f3a");
  command.action(action(context, (options) => events(context, options)));
}

async function events(context: Context, options: EventsOptions): Promise<void> {
  const { io } = context;
  const deck = deckOf(context, options);
  const since = options.since === undefined ? undefined : sinceTime(options.since, io.nowMs());
  // The deck compares whole ids; people give the beginning of one, or a workflow's name.
  const run = options.run === undefined ? undefined : (await deck.run(options.run)).id;
  const print = (event: EventView) => {
    if (options.json) printJsonLine(io, event);
    else io.out(`${describe(context, event)}\n`);
  };
  // Null: there is nothing to come after, so the stream begins with what happens next.
  let last: number | null = null;
  for await (const event of deck.pastEvents({ since, run })) {
    last = event.id;
    print(event);
  }
  if (!options.follow) return;
  for await (const event of deck.events({ after: last, run })) print(event);
}

function describe(context: Context, event: EventView): string {
  const { io } = context;
  const subject = subjectOf(event);
  const kind = paint(io, colourOf(event.kind), event.kind.padEnd(14));
  return `${clockTime(event.at, io.nowMs())}  ${kind}  ${clean(subject).padEnd(24)}  ${clean(event.message)}`;
}

/** A step's event bears its run; so does that of a task which is an attempt of it, and is named after it. */
function subjectOf(event: EventView): string {
  if (event.runId) return event.step ? `${event.runId}/${event.step}` : event.taskId ?? event.runId;
  return event.taskId === null ? event.node ?? "-" : `${event.task ?? "-"} (${shortId(event.taskId)})`;
}

function colourOf(kind: string): Colour {
  if (/UpstreamFailed/.test(kind)) return "grey";
  if (/Failed|TimedOut|Down$/.test(kind)) return "red";
  if (/Running|Healthy|Completed|Ready|Joined|Succeeded|Approved/.test(kind)) return "green";
  return /NotPlaced|Unhealthy|Unknown|Retrying|Restarted|Replaced|Draining|Waiting|Rejected|Warning|Cancelling/.test(
      kind,
    )
    ? "yellow"
    : null;
}
