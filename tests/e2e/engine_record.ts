/**
 * What an Engine's own account says of the containers of one fleet, taken down from the first moment: that no two of one
 * task ever ran at the same time is seen from all that happened, not from the end.
 */
import type { Readable } from "node:stream";
import type { Engine } from "../fixtures/engine.ts";

export interface RecordedEvent {
  readonly action: string;
  readonly container: string;
  readonly task: string;
  readonly attempt: string;
  readonly node: string;
  readonly atNs: bigint;
}

export class EngineRecord implements AsyncDisposable {
  readonly events: RecordedEvent[] = [];
  /** Why the account has a gap; a test that relies on it fails then. */
  broken: string | null = null;
  #over = false;
  readonly #reading: Promise<void>;

  private constructor(readonly stream: Readable) {
    this.#reading = this.#read();
  }

  static async start({ docker }: Engine): Promise<EngineRecord> {
    const event = ["create", "start", "die", "destroy"];
    const filters = JSON.stringify({ type: ["container"], event, label: ["ormen.task"] });
    return new EngineRecord(await docker.getEvents({ filters }) as unknown as Readable);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let held = "";
    try {
      for await (const chunk of this.stream as AsyncIterable<Uint8Array>) {
        held += decoder.decode(chunk, { stream: true });
        const lines = held.split("\n");
        held = lines.pop()!;
        for (const line of lines) if (line.trim() !== "") this.events.push(eventOf(line));
      }
      if (!this.#over) this.broken = "the event stream ended";
    } catch (error) {
      if (!this.#over) this.broken = String(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    this.stream.destroy();
    await this.#reading;
  }
}

function eventOf(line: string): RecordedEvent {
  const { Action, Actor } = JSON.parse(line) as {
    Action: string;
    Actor: { ID: string; Attributes: Record<string, string> };
  };
  return {
    action: Action,
    container: Actor.ID,
    task: Actor.Attributes["ormen.task"],
    attempt: Actor.Attributes["ormen.attempt"],
    node: Actor.Attributes["ormen.node"],
    atNs: BigInt(/"timeNano":(\d+)/.exec(line)![1]),
  };
}

/** A sentence for each moment at which a second container of a task began to run while another did. */
export function overlaps(events: readonly RecordedEvent[]): string[] {
  const running = new Map<string, Set<string>>();
  const found: string[] = [];
  for (const { action, task, container, attempt, atNs } of inOrder(events)) {
    const ofTask = running.get(task) ?? new Set<string>();
    running.set(task, ofTask);
    if (action === "start") {
      ofTask.add(container);
      if (ofTask.size > 1) found.push(`${attempt} began at ${atNs} while ${[...ofTask].join(" and ")} ran`);
    } else if (action === "die" || action === "destroy") ofTask.delete(container);
  }
  return found;
}

/** Attempts of which the Engine made more than one container. */
export function madeTwice(events: readonly RecordedEvent[]): string[] {
  const made = events.filter((event) => event.action === "create").map((event) => event.attempt);
  return made.filter((attempt, i) => made.indexOf(attempt) !== i);
}

/** The Engine tells a little out of order what happened at nearly the same time. */
function inOrder(events: readonly RecordedEvent[]): RecordedEvent[] {
  return events.toSorted((a, b) => a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0);
}
