/** The deck's own figures in Prometheus' text format. Owns counting; what is counted is told by the loop and the state. */
import { SAIL_STATES } from "../core/sail.ts";
import type { State } from "../core/state.ts";

const LATENCY_BOUNDS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
const SIZE_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

export class Histogram {
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(readonly name: string, readonly help: string, readonly bounds: readonly number[]) {
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count++;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at]++;
  }

  expose(): string {
    let below = 0;
    const buckets = this.bounds.map((bound, i) => {
      below += this.#counts[i];
      return `${this.name}_bucket{le="${bound}"} ${below}`;
    });
    return [
      `# HELP ${this.name} ${this.help}`,
      `# TYPE ${this.name} histogram`,
      ...buckets,
      `${this.name}_bucket{le="+Inf"} ${this.#count}`,
      `${this.name}_sum ${this.#sum}`,
      `${this.name}_count ${this.#count}`,
    ].join("\n");
  }
}

export interface DeckFigures {
  readonly placement: Histogram;
  readonly commit: Histogram;
  readonly batch: Histogram;
  expose(): string;
}

export function createFigures(committed: State, depth: () => number, storeProblem: () => string | null): DeckFigures {
  const placement = new Histogram(
    "ormen_placement_seconds",
    "From a task's acceptance to its placement.",
    LATENCY_BOUNDS_S,
  );
  const commit = new Histogram("ormen_commit_seconds", "One commit of the store.", LATENCY_BOUNDS_S);
  const batch = new Histogram("ormen_commit_batch_size", "Decisions in one commit.", SIZE_BOUNDS);
  const gauge = (name: string, help: string, rows: readonly (readonly [string, number])[]) =>
    [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...rows.map(([labels, value]) => `${name}${labels} ${value}`)]
      .join("\n");
  return {
    placement,
    commit,
    batch,
    expose() {
      const nodes = { ready: 0, disconnected: 0, down: 0 };
      for (const mast of committed.masts.values()) {
        nodes[mast.status === "down" ? "down" : committed.live.get(mast.id)?.sessionId ? "ready" : "disconnected"]++;
      }
      return [
        gauge(
          "ormen_tasks",
          "Tasks by state.",
          SAIL_STATES.map((s) => [`{state="${s}"}`, committed.countByState.get(s) ?? 0]),
        ),
        gauge("ormen_nodes", "Nodes by status.", Object.entries(nodes).map(([s, n]) => [`{status="${s}"}`, n])),
        gauge("ormen_queue_depth", "Inputs waiting for the loop.", [["", depth()]]),
        gauge("ormen_store_writable", "1 while the store takes writes.", [["", storeProblem() === null ? 1 : 0]]),
        placement.expose(),
        commit.expose(),
        batch.expose(),
      ].join("\n") + "\n";
    },
  };
}
