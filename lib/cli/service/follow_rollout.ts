/**
 * Following a service until what was asked of it has come about: as a picture on a terminal, as lines elsewhere. A rollout
 * that fails is followed back to where it went. Ctrl-C leaves it to the deck.
 */
import type { Deck } from "../../client/client.ts";
import { watchState } from "../../client/watch_state.ts";
import type { RolloutView, ServiceDetailView } from "../../messages/service_api.ts";
import { type Context, nextCommand, printJsonLine } from "../context.ts";
import type { DeckOption, JsonOption } from "../context.ts";
import type { Io } from "../io.ts";
import { clean, paint } from "../render.ts";
import { span } from "../times.ts";
import { lastLinesOf } from "../workflow/run_summary.ts";
import { createLiveTree } from "../workflow/live_tree.ts";
import { nextSteps, rolloutColour, rolloutText, slotLines } from "./service_words.ts";

/** Replicas become ready without an event now and then: one that is looked at again is never missed for longer. */
const LOOK_EVERY_MS = 2_000;
const TICK_MS = 1_000;
/** A deck that is being upgraded, or moved by a restore, comes back within this. */
const PATIENCE_MS = 10 * 60_000;
const INTERRUPTED = 130;

/** `rollout`: the one that was asked for; null: replicas are to become healthy, and nothing rolls. */
interface Seen {
  readonly service: ServiceDetailView;
  readonly rollout: RolloutView | null;
  /** What takes it back, once it has failed. */
  readonly revert: RolloutView | null;
}

/** Returns the exit code: 0 once all is healthy, 1 when it failed, 130 when it was left to the deck. */
export async function followRollout(
  context: Context,
  deck: Deck,
  first: ServiceDetailView,
  number: number | null,
  options: DeckOption & JsonOption,
): Promise<number> {
  const { io } = context;
  const leaving = new AbortController();
  const restore = ["SIGINT", "SIGTERM"].map((signal) => io.onSignal(signal as "SIGINT", () => leaving.abort()));
  const view = options.json ? createJson(io) : io.outIsTerminal ? createPicture(io) : createLines(io, options);
  let seen = await completed(deck, first, number);
  try {
    const watch = watchState(deck, seen, {
      look: async () => await completed(deck, await deck.services.get(first.name), number),
      isOver,
      concerns: ({ service }) => service === first.name,
      atLeastEveryMs: LOOK_EVERY_MS,
    }, { signal: leaving.signal, patienceMs: PATIENCE_MS, onAway: () => view.away() });
    for await (seen of watch) view.show(seen);
  } finally {
    view.close();
    for (const undo of restore) undo();
  }
  if (!isOver(seen)) {
    const next = nextCommand(`rollout status ${clean(first.name)} --watch`, options);
    (options.json ? io.err : io.out)(`${clean(first.name)} goes on   ${next}\n`);
    return INTERRUPTED;
  }
  if (!options.json) await report(io, deck, seen, options);
  return exitCodeOf(seen);
}

async function completed(deck: Deck, service: ServiceDetailView, number: number | null): Promise<Seen> {
  if (number === null) return { service, rollout: null, revert: null };
  const rollout = service.rollout?.number === number
    ? service.rollout
    : await deck.services.rollout(service.name, number);
  if (rollout.revertedBy === null) return { service, rollout, revert: null };
  const revert = service.rollout?.number === rollout.revertedBy
    ? service.rollout
    : await deck.services.rollout(service.name, rollout.revertedBy);
  return { service, rollout, revert };
}

function isOver({ service, rollout, revert }: Seen): boolean {
  if (!rollout) return service.state === "healthy" || service.state === "paused" || service.state === "removing";
  return rollout.endedAt !== null && (revert === null || revert.endedAt !== null);
}

/** Exported for tests. */
export function exitCodeOf({ service, rollout }: Seen): number {
  if (rollout) return rollout.state === "succeeded" ? 0 : 1;
  return service.state === "healthy" ? 0 : 1;
}

interface View {
  show(seen: Seen): void;
  away(): void;
  close(): void;
}

function createJson(io: Io): View {
  let told = "";
  return {
    show(seen) {
      const text = JSON.stringify(seen);
      if (text !== told) printJsonLine(io, seen);
      told = text;
    },
    away() {},
    close() {},
  };
}

/** A line for each slot that changes, and for each stage. */
function createLines(io: Io, options: DeckOption): View {
  const told = new Map<string, string>();
  const say = (key: string, text: string, line: string) => {
    if (told.get(key) === text) return;
    told.set(key, text);
    io.out(`${line}\n`);
  };
  let isAway = false;
  return {
    show(seen) {
      isAway = false;
      for (const { slot, text } of slotLines(seen.service, io.nowMs())) {
        // How long it takes changes all the time; what it is at does not.
        const key = text.replace(/after [\d.]+ \w+( \d+ \w+)?/, "");
        say(`slot ${slot}`, key, `  slot ${slot}  ${text}`);
      }
      const { rollout, revert } = seen;
      if (rollout?.state === "waiting") {
        say(
          "waits",
          rollout.id,
          `  waits to be promoted   ${nextCommand(`rollout promote ${rollout.service}`, options)}`,
        );
      }
      if (revert) say("revert", revert.id, `reverting to revision ${revert.to} (stable) ...`);
    },
    away() {
      if (!isAway) io.err("the deck does not answer; trying again\n");
      isAway = true;
    },
    close() {},
  };
}

function createPicture(io: Io): View {
  let seen: Seen | undefined;
  let isAway = false;
  const tree = createLiveTree(io, () => {
    if (!seen) return [];
    const width = io.size().columns;
    const cut = (text: string) => text.length > width - 1 ? `${text.slice(0, Math.max(0, width - 2))}…` : text;
    const current = seen.revert ?? seen.rollout;
    const lines = slotLines(seen.service, io.nowMs()).map(({ slot, text, colour }) =>
      paint(io, colour, cut(`  slot ${slot}  ${text}`))
    );
    const room = Math.max(1, io.size().rows - 3);
    const shown = lines.length <= room
      ? lines
      : [...lines.slice(0, room - 1), `  ... and ${lines.length - room + 1} more`];
    return [
      ...current
        ? [cut(`rollout ${current.number} (${current.cause} to revision ${current.to})   ${rolloutText(current)}`)]
        : [],
      ...shown,
      ...isAway ? [paint(io, "yellow", "the deck does not answer; trying again")] : [],
    ];
  });
  const tick = setInterval(() => tree.update(), TICK_MS);
  return {
    show(now) {
      seen = now;
      isAway = false;
      tree.update();
    },
    away() {
      isAway = true;
      tree.update();
    },
    close() {
      clearInterval(tick);
      tree.finish();
    },
  };
}

/** How it ended; of a failure which replica, what its check said last, and the end of its output. */
async function report(io: Io, deck: Deck, { service, rollout, revert }: Seen, options: DeckOption): Promise<void> {
  const name = clean(service.name);
  const { healthy, desired } = service.replicas;
  const count = `${healthy} of ${desired} healthy`;
  if (!rollout) {
    if (service.state !== "healthy") io.out(`${paint(io, "red", service.state)}: ${clean(service.why ?? count)}\n`);
    else io.out(`${paint(io, "green", "healthy")}   ${count}\n`);
  } else {
    const tookMs = Date.parse(rollout.endedAt!) - Date.parse(rollout.createdAt);
    const how = rollout.state === "succeeded" ? `succeeded in ${span(tookMs)}   ${count}` : rolloutText(rollout);
    io.out(`${paint(io, rolloutColour(rollout.state), how)}\n`);
    if (rollout.failedTask !== null) io.out(await failureReport(deck, rollout.failedTask, options));
    if (revert) {
      const done = revert.state === "succeeded" ? `done, ${count}` : rolloutText(revert);
      io.out(`reverted to revision ${revert.to} (stable): ${done}\n`);
    } else if (rollout.state === "failed" || rollout.state === "aborted") {
      io.out(`kept as it is: ${clean(service.why ?? "nothing follows")}\n`);
    }
  }
  const steps = rollout && rollout.state !== "succeeded"
    ? [...nextSteps(service), `service history ${name}`]
    : nextSteps(service);
  for (const next of steps) io.out(`next   ${nextCommand(next, options)}\n`);
}

async function failureReport(deck: Deck, taskId: string, options: DeckOption): Promise<string> {
  const task = await deck.task(taskId);
  const health = task.history.map(({ healthOutput }) => healthOutput).filter((output) => output !== null).at(-1);
  let text = health === undefined ? "" : `  last check   ${clean(health)}\n`;
  const attempt = task.history.at(-1);
  if (attempt && attempt.startedAt !== null) {
    text += "  last output\n";
    for (const line of await lastLinesOf(deck, taskId, attempt.number)) text += `  | ${line}\n`;
  }
  return `${text}  more   ${nextCommand(`logs ${clean(taskId)}`, options)}\n`;
}
