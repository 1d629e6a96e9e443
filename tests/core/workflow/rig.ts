/** Runs of workflows in a deck's world without a deck: one large node that does what the test says. */
import assert from "node:assert/strict";
import { State } from "../../../lib/core/state.ts";
import type { WorkflowDocument } from "../../../lib/core/documents/workflow.ts";
import type { Scalar } from "../../../lib/core/documents/workflow.ts";
import type { AttemptReport, StepResult } from "../../../lib/core/outgoing.ts";
import type { Draft } from "../../../lib/core/draft.ts";
import { outputsOf, outputsOfRun } from "../../../lib/core/workflow/outputs.ts";
import type { Plan } from "../../../lib/core/workflow/plan.ts";
import { resolveParams } from "../../../lib/core/workflow/params.ts";
import type { RunCause, RunRecord, StepRecord } from "../../../lib/core/workflow/records.ts";
import { RunIndex } from "../../../lib/core/workflow/run_index.ts";
import { reportOf, TestWorld } from "../support.ts";

export type Document = Record<string, unknown> & { readonly steps: Record<string, unknown> };

export interface TaskEnd {
  readonly exit?: number;
  /** When its container ran; undefined: nothing is told of it. */
  readonly startedMs?: number;
  readonly stdout?: string;
  readonly output?: string | null;
  readonly answer?: StepResult["answer"];
  readonly problem?: string | null;
  readonly truncated?: boolean;
}

export class WorkflowRig extends TestWorld {
  /** What tasks were put on record, in their order. */
  readonly begun: string[] = [];

  constructor(settings: ConstructorParameters<typeof TestWorld>[0] = {}) {
    super(settings);
    this.join();
  }

  join(nodeId = "n1"): void {
    this.hello(nodeId, {
      capacity: { cpuCores: 4_000, memoryBytes: 2 ** 50, diskBytes: 2 ** 50 },
      runtimes: ["docker", "process"],
      abilities: ["steps", "http", "secrets", "services"],
    });
  }

  define(document: Document, included: Record<string, unknown> = {}): string {
    const text = JSON.stringify({ workflow: { name: "w", ...document }, included });
    const hash = `h${[...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 2 ** 40, 7)}`;
    this.input({ kind: "putDefinition", hash, piece: 0, pieces: 1, text });
    return hash;
  }

  start(
    document: Document,
    more: {
      readonly id?: string;
      readonly params?: Record<string, Scalar>;
      readonly only?: string;
      readonly included?: Record<string, WorkflowDocument | Document>;
      readonly cause?: RunCause;
    } = {},
  ): Draft {
    const definition = this.define(document, more.included);
    const plan = this.state.definition(definition)!.plan(null)!;
    const params = resolveParams(plan.spec.params, more.params ?? {});
    assert.equal(params.kind, "params", JSON.stringify(params));
    return this.input({
      kind: "startRun",
      id: more.id ?? "r",
      definition,
      document: null,
      params: params.kind === "params" ? params.params : {},
      cause: more.cause ?? { kind: "manual" },
      only: more.only ?? null,
    });
  }

  run(id = "r"): RunRecord {
    return this.state.runs.get(id)!;
  }

  plan(id = "r"): Plan {
    return this.state.plan(this.run(id));
  }

  /** `step` is `build` or `test/1`. */
  step(step: string, run = "r"): StepRecord | undefined {
    return this.state.steps.get(`${run}/${step}`);
  }

  states(run = "r"): Record<string, string> {
    return Object.fromEntries(this.plan(run).steps.map(({ id }) => [id, this.step(id, run)?.state ?? "pending"]));
  }

  outputs(step: string, run = "r") {
    return { ...outputsOf(this.state, this.step(step, run)!) };
  }

  runOutputs(run = "r") {
    return { ...outputsOfRun(this.state, this.run(run)) };
  }

  /** Tasks of steps that have not ended. */
  tasks(): string[] {
    return [...this.state.sails.values()].filter(({ endedMs, stepId }) => endedMs === null && stepId !== undefined)
      .map(({ id }) => id);
  }

  taskSpec(id: string) {
    return this.state.specs.get(id)!.spec;
  }

  /** The task runs. */
  runs(id: string, observed: Partial<AttemptReport["observed"]> = {}): void {
    this.#report(id, { state: "running", observed });
  }

  ends(id: string, end: TaskEnd = {}): void {
    const { exit = 0, startedMs = null, stdout = "", output = null, answer = null, problem = null, truncated = false } =
      end;
    this.#report(id, {
      state: exit === 0 ? "completed" : "failed",
      cause: "exited",
      observed: { exitCode: exit, startedMs },
      result: { stdout, stderr: "", truncated, output, answer, problem },
    });
  }

  /** It was asked to stop, and has. */
  stops(id: string): void {
    assert.equal(this.state.sails.get(id)!.desired, "stop", `${id} was asked to stop`);
    this.#report(id, { state: "stopped", cause: "stopped" });
  }

  vanishes(id: string): void {
    this.#report(id, { state: "lost", cause: "vanished" });
  }

  #report(
    id: string,
    { result, state, ...more }:
      & Parameters<typeof reportOf>[2]
      & { readonly state: Parameters<typeof reportOf>[1]; readonly result?: StepResult },
  ): void {
    const sail = this.state.sails.get(id);
    assert.ok(sail?.currentAttemptId, `${id} has an attempt`);
    const report = { ...reportOf(sail.currentAttemptId, state, more), ...(result ? { result } : {}) };
    const { nodeId } = this.state.attempts.get(sail.currentAttemptId)!;
    this.input({ kind: "reports", sessionId: `s-${nodeId}`, nodeId, reports: [report], hello: null });
  }

  /** Time passes, alarms ring when they are due, the node lives. */
  wait(ms: number): void {
    const untilMs = this.wallMs + ms;
    while (this.wallMs < untilMs) {
      this.pass(Math.min(1_000, untilMs - this.wallMs), [...this.state.live.keys()]);
      for (const step of [...this.state.steps.values()]) {
        if (step.dueMs !== null && step.dueMs <= this.wallMs) this.input({ kind: "alarm", topic: `step/${step.id}` });
      }
    }
  }

  /** The deck ends and starts again with what the store has. */
  restart(): void {
    const records = [...this.state.snapshot()];
    const fresh = new State();
    for (const { kind, id, record } of records) {
      fresh.apply({ kind, id, value: record } as Parameters<State["apply"]>[0]);
    }
    Object.assign(this.world, { state: fresh });
    this.input({ kind: "start" });
    this.join();
  }

  /** The counts that were kept up are those that a look at all records gives. */
  checkIndexes(): void {
    for (const id of this.state.activeRuns) {
      const run = this.run(id);
      const records = [...this.state.stepsByRun.get(id) ?? []].map((each) => this.state.steps.get(each)!);
      const counted = new RunIndex(this.plan(id), records.filter(({ instance }) => instance === null));
      assert.deepEqual(this.state.runIndex(run), counted);
    }
  }
}

export const task = (more: Record<string, unknown> = {}) => ({ task: { image: "tool:1" }, ...more });
