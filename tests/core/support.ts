/** A small deck's world without a deck: records in memory, inputs decided one after the other. */
import type { AttemptState, Observation } from "../../lib/core/attempt.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import { createMemory, decide } from "../../lib/core/decide.ts";
import type { World } from "../../lib/core/decide.ts";
import type { Draft } from "../../lib/core/draft.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import type { TaskDocument, TaskSpec } from "../../lib/core/documents/task.ts";
import type { Input, Settings } from "../../lib/core/input.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import type { AttemptCause, AttemptReport, Hello } from "../../lib/core/outgoing.ts";
import { State } from "../../lib/core/state.ts";

export const MIB = 2 ** 20;

export const SETTINGS: Settings = {
  clusterId: "cluster-1",
  term: 1,
  version: "test",
  scheduler: "spread",
  heartbeatMs: 2_000,
  nodeTimeoutMs: 10_000,
  keepEndedMs: 72 * 3600e3,
  keepEndedMax: 20_000,
  keepEventsMax: 100_000,
};

export function spec(document: Partial<TaskDocument> = {}): TaskSpec {
  return taskDocument.parse({ name: "web", image: "web:1", ...document });
}

export class TestWorld {
  readonly world: World;
  readonly drafts: Draft[] = [];
  wallMs = 1_700_000_000_000;
  monoMs = 1_000;

  constructor(settings: Partial<Settings> = {}) {
    this.world = { state: new State(), settings: { ...SETTINGS, ...settings }, memory: createMemory() };
  }

  get state(): State {
    return this.world.state;
  }

  /** Decides an input and what follows from it; answers the first draft. */
  input(input: Input): Draft {
    const queue = [input];
    let first: Draft | undefined;
    while (queue.length > 0) {
      const draft = decide(this.world, queue.shift()!, { wallMs: this.wallMs, monoMs: this.monoMs, chance: 0.5 });
      this.drafts.push(draft);
      first ??= draft;
      queue.unshift(...draft.follow);
    }
    return first!;
  }

  submit(id: string, document: Partial<TaskDocument> = {}): Draft {
    return this.input({
      kind: "submit",
      sailId: id,
      spec: spec({ name: id, ...document }),
      original: null,
      originalEventId: null,
    });
  }

  hello(nodeId: string, hello: Partial<Hello> = {}, sessionId = `s-${nodeId}`): Draft {
    return this.input({
      kind: "hello",
      sessionId,
      staticAddress: null,
      remoteIp: "127.0.0.1",
      hello: {
        kind: "hello",
        protocol: 1,
        version: "test",
        nodeId,
        name: nodeId,
        instance: `i-${nodeId}`,
        clusterId: null,
        highestTerm: 0,
        address: null,
        engineId: `e-${nodeId}`,
        runtimes: ["docker"],
        capacity: { cpuCores: 4, memoryBytes: 1024 * MIB, diskBytes: 100 * 2 ** 30 },
        labels: {},
        attempts: [],
        local: NO_LOCAL_USE,
        stats: null,
        ...hello,
      },
    });
  }

  report(
    nodeId: string,
    attemptId: string,
    state: Exclude<AttemptState, "assigned" | "unknown">,
    more: { cause?: AttemptCause; observed?: Partial<Observation> } = {},
  ): Draft {
    const reports = [reportOf(attemptId, state, more)];
    return this.input({ kind: "reports", sessionId: `s-${nodeId}`, nodeId, reports, hello: null });
  }

  /** Lets time pass in ticks, with a sign of life from these nodes at each. */
  pass(ms: number, alive: readonly string[] = []): void {
    for (let left = ms; left > 0; left -= 1_000) {
      this.wallMs += 1_000;
      this.monoMs += 1_000;
      for (const id of alive) {
        this.state.live.set(id, { ...this.state.live.get(id)!, heardMonoMs: this.monoMs });
      }
      this.input({ kind: "tick" });
    }
  }

  sail(id: string) {
    return this.state.sails.get(id)!;
  }

  attempt(id: string) {
    return this.state.attempts.get(id)!;
  }
}

export function reportOf(
  attemptId: string,
  state: Exclude<AttemptState, "assigned" | "unknown">,
  more: { cause?: AttemptCause; observed?: Partial<Observation> } = {},
): AttemptReport {
  const dash = attemptId.lastIndexOf("-");
  return {
    attemptId,
    sailId: attemptId.slice(0, dash),
    number: Number(attemptId.slice(dash + 1)),
    revision: 1,
    state,
    cause: more.cause ?? null,
    observed: { ...NOTHING_OBSERVED, ...more.observed },
  };
}
