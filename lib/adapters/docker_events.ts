/** What happens on the Engine, without an end: connections break, the account goes on. */
import type Docker from "dockerode";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { RuntimeEvent } from "../contracts/runtime.ts";
import type { Deadlines } from "./docker_deadline.ts";
import { within } from "./docker_deadline.ts";
import { dialStream, lines } from "./docker_stream.ts";
import { runtimeError } from "./docker_translate.ts";

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;

export interface EventSource {
  readonly docker: Docker;
  readonly label: string;
  readonly clock: Clock;
  readonly deadlines: Pick<Deadlines, "pingEveryMs" | "pingMs">;
}

/** After a gap what the Engine still remembers is told once more; `back` comes before it, upon which all is looked at. */
export async function* containerEvents(
  { docker, label, clock, deadlines }: EventSource,
  signal: AbortSignal,
): AsyncIterable<RuntimeEvent> {
  const filters = JSON.stringify({ type: ["container"], label: [label] });
  let flowing = false;
  let failures = 0;
  let last = 0n;
  while (!signal.aborted) {
    let reason = "the event stream ended";
    try {
      const query: Record<string, string> = last === 0n ? { filters } : { filters, since: secondsText(last) };
      const stream = await within(
        clock,
        deadlines.pingMs,
        (late) => dialStream(docker, "/events", query, AbortSignal.any([signal, late])),
      );
      const abort = () => stream.destroy();
      signal.addEventListener("abort", abort);
      const forget = whenSilent({ docker, clock, deadlines }, (error) => stream.destroy(error));
      try {
        if (signal.aborted) return;
        failures = 0;
        flowing = true;
        yield { kind: "back" };
        for await (const line of lines(stream as AsyncIterable<Uint8Array>)) {
          const { event, atNs } = eventOf(line);
          // Times are not quite in order, so what `since` repeats cannot be told from what comes late: it is told again.
          if (atNs > last) last = atNs;
          if (event) yield event;
        }
      } finally {
        forget();
        signal.removeEventListener("abort", abort);
        stream.destroy();
      }
    } catch (error) {
      reason = runtimeError(error, "other").message;
    }
    if (signal.aborted) return;
    // Before the first `back` there was nothing to lose.
    if (flowing) yield { kind: "lost", reason };
    flowing = false;
    await pause(clock, Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures++), signal);
  }
}

/** An Engine that hangs keeps the stream open, and no event is the usual thing: so it is asked again and again. */
function whenSilent(
  { docker, clock, deadlines }: Omit<EventSource, "label">,
  silent: (error: Error) => void,
): () => void {
  // The package's types lack the options that its code takes.
  const ping = docker.ping.bind(docker) as unknown as (options: { abortSignal: AbortSignal }) => Promise<unknown>;
  let over = false;
  let cancel = clock.after(deadlines.pingEveryMs, ask);
  async function ask(): Promise<void> {
    try {
      await within(clock, deadlines.pingMs, (abortSignal) => ping({ abortSignal }));
      if (!over) cancel = clock.after(deadlines.pingEveryMs, ask);
    } catch (error) {
      if (!over) silent(error as Error);
    }
  }
  return () => {
    over = true;
    cancel();
  };
}

const WHAT: Readonly<Record<string, "started" | "died" | "oom" | "removed">> = {
  start: "started",
  die: "died",
  oom: "oom",
  destroy: "removed",
};

/** One line of the Engine's stream; no event when a command in a container began or ended, which is none of its own life. */
export function eventOf(line: string): { readonly event: RuntimeEvent | undefined; readonly atNs: bigint } {
  const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { Attributes: { name: string } } };
  // Read from the text: the number has more digits than a double keeps.
  const atNs = BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? 0);
  if (Action.startsWith("exec_")) return { event: undefined, atNs };
  return { event: { kind: "container", name: Actor.Attributes.name, what: WHAT[Action] ?? "other" }, atNs };
}

function secondsText(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, "0")}`;
}
