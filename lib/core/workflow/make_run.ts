/** The beginning of a run: its record, its turn in its concurrency group, and its first look at its steps. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Scalar } from "../documents/workflow.ts";
import type { State } from "../state.ts";
import { putRun } from "./changes.ts";
import { textOf } from "./expression.ts";
import type { Plan } from "./plan.ts";
import type { RunCause, RunRecord, StepRecord } from "./records.ts";
import { stepTaskId } from "./records.ts";
import { fillText } from "./values.ts";

export interface NewRun {
  readonly id: string;
  readonly definition: string;
  readonly document: string | null;
  readonly params: Readonly<Record<string, Scalar | null>>;
  readonly cause: RunCause;
  readonly only: string | null;
  /** Used where the workflow names no group of its own. */
  readonly group?: string;
}

/** Puts it on record, and starts it unless its group is full. The definition must be there. */
export function makeRun(world: World, draft: Draft, given: NewRun): RunRecord {
  const { state } = world;
  const plan = state.definition(given.definition)!.plan(given.document)!;
  const { group: usualGroup, ...rest } = given;
  const unplaced: RunRecord = {
    ...rest,
    workflow: plan.spec.name,
    state: "queued",
    phase: "steps",
    ending: null,
    preparing: given.only !== null || given.cause.kind === "resume",
    group: null,
    createdMs: draft.context.wallMs,
    startedMs: null,
    endedMs: null,
    deadlineMs: null,
    outputsBytes: 0,
    outputPieces: 0,
    failedStep: null,
    why: null,
    revision: 1,
  };
  // A sub-workflow runs in its parent's turn: waiting for a group that the parent holds would be for ever.
  const group = given.cause.kind === "step" ? null : groupOf(state, plan, unplaced) ?? usualGroup ?? null;
  const run: RunRecord = { ...unplaced, group };
  draft.put("run", run.id, run);
  draft.event("runAccepted", `run ${run.id} accepted`, { runId: run.id });
  if (group === null || isItsTurn(state, group, run, plan)) return startRun(world, draft, run);
  return putRun(draft, run, { why: `waits for its turn in ${group}` });
}

export function startRun(world: World, draft: Draft, run: RunRecord): RunRecord {
  const { timeoutMs } = world.state.plan(run).spec;
  const { wallMs } = draft.context;
  const started = putRun(draft, run, {
    state: "running",
    startedMs: wallMs,
    deadlineMs: timeoutMs === null ? null : wallMs + timeoutMs,
    why: null,
  });
  draft.event("runStarted", `run ${run.id} started`, { runId: run.id });
  draft.follow.push(
    run.preparing ? { kind: "prepareRun", runId: run.id, from: 0 } : { kind: "advance", runId: run.id, steps: null },
  );
  return started;
}

/** Throws FillError. Null: the workflow names none. */
export function groupOf(state: State, plan: Plan, run: RunRecord): string | null {
  const { concurrency } = plan.spec;
  if (!concurrency) return null;
  return textOf(fillText({ state, run, plan, step: null, extra: {} }, concurrency.group, "concurrency.group", "run"));
}

export function limitOf(plan: Plan): number {
  return plan.spec.concurrency?.limit ?? 1;
}

/** There is room, and nobody has waited for longer: another limit may have kept it from beginning. */
function isItsTurn(state: State, group: string, run: RunRecord, plan: Plan): boolean {
  const others = [...state.groups.get(group) ?? []].filter((id) => id !== run.id).map((id) => state.runs.get(id)!);
  return others.length < limitOf(plan) && others.every((other) => other.state !== "queued");
}

/** Runs of a group that have begun. */
export function activeIn(state: State, group: string): RunRecord[] {
  return [...state.groups.get(group) ?? []].map((id) => state.runs.get(id)!).filter((run) => run.state !== "queued");
}

/** When one of the group has ended: the next in line. */
export function startNext(world: World, draft: Draft, group: string): void {
  const { state } = world;
  for (const id of [...state.groups.get(group) ?? []]) {
    const run = state.runs.get(id)!;
    if (run.state !== "queued") continue;
    if (activeIn(state, group).length >= limitOf(state.plan(run))) return;
    startRun(world, draft, run);
  }
}

/** The same for the same attempt, so that it is made once whatever crashes: FNV-1a over the attempt's id, 64 bits. */
export function childRunId(workflow: string, step: StepRecord): string {
  const text = stepTaskId(step.runId, step.step, step.instance, step.attempts);
  let hash = 0xcbf29ce484222325n;
  for (const char of text) hash = BigInt.asUintN(64, (hash ^ BigInt(char.codePointAt(0)!)) * 0x100000001b3n);
  return `${workflow}-${hash.toString(36).padStart(13, "0")}`;
}
