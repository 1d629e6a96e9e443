/**
 * Before a run starts its first step: the records of steps that it does not run. With `only` all others are skipped; a
 * resumed run takes over what succeeded in the run before. Carried on in pieces; doing it twice changes nothing.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import type { State } from "../state.ts";
import { pendingStep, putRun } from "./changes.ts";
import { outputsBytes, outputsOf, putOutputs } from "./outputs.ts";
import type { Plan } from "./plan.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import { isRunFinal, stepRecordId } from "./records.ts";

const RECORDS_PER_PIECE = 100;
const OUTPUT_BYTES_PER_PIECE = 200_000;

export function decidePrepareRun(world: World, draft: Draft, input: Extract<Input, { kind: "prepareRun" }>): void {
  const { state } = world;
  let run = state.runs.get(input.runId);
  if (!run?.preparing || isRunFinal(run.state)) return;
  const plan = state.plan(run);
  const keeping = run.cause.kind === "resume" ? keptSteps(state, run.cause.runId, plan, run.cause.from) : null;
  const steps = plan.phases.steps;
  let bytes = 0;
  let at = input.from;
  for (; at < steps.length && draft.changes.length < RECORDS_PER_PIECE && bytes < OUTPUT_BYTES_PER_PIECE; at++) {
    const { id } = steps[at];
    if (state.steps.has(stepRecordId(run.id, id))) continue;
    if (run.only !== null && run.only !== id) skip(draft, run, id);
    else if (keeping?.has(id)) bytes += keep(state, draft, run, state.steps.get(stepRecordId(keepingFrom(run), id))!);
    run = state.runs.get(run.id)!;
  }
  if (bytes > 0) putRun(draft, run, { outputsBytes: run.outputsBytes + bytes });
  if (at < steps.length) draft.follow.push({ ...input, from: at });
  else {
    putRun(draft, state.runs.get(run.id)!, { preparing: false });
    draft.follow.push({ kind: "advance", runId: run.id, steps: null });
  }
}

function keepingFrom(run: RunRecord): string {
  return (run.cause as Extract<RunRecord["cause"], { kind: "resume" }>).runId;
}

/**
 * Steps of a run that succeeded or may fail, but for those that come after one that did not; with `from` that step and
 * all that follow it run again too.
 */
export function keptSteps(state: State, runId: string, plan: Plan, from: string | null): ReadonlySet<string> {
  const kept = new Set<string>();
  const again = new Set<string>(from === null ? [] : [from]);
  for (const { id, needs } of inOrder(plan)) {
    const record = state.steps.get(stepRecordId(runId, id));
    const follows = again.has(id) || needs.some(({ step }) => again.has(step));
    if (!follows && record?.conclusion === "succeeded") kept.add(id);
    // A skipped one is judged anew, which is no reason to run those again that came after it.
    else if (follows || record?.state !== "skipped") again.add(id);
  }
  return kept;
}

/** A step stands after all that it needs, whatever the document's order. */
function inOrder(plan: Plan): Plan["steps"] {
  const done = new Set<string>();
  const ordered: Plan["steps"][number][] = [];
  const waiting = new Map(
    plan.phases.steps.map((step) => [step.id, new Set(step.needs.map((need) => need.step)).size]),
  );
  const ready = plan.phases.steps.filter(({ id }) => waiting.get(id) === 0);
  for (let at = 0; at < ready.length; at++) {
    const step = ready[at];
    if (done.has(step.id)) continue;
    done.add(step.id);
    ordered.push(step);
    for (const { step: id } of step.dependents) {
      const left = waiting.get(id)! - 1;
      waiting.set(id, left);
      if (left === 0) ready.push(plan.byId.get(id)!);
    }
  }
  return ordered;
}

function skip(draft: Draft, run: RunRecord, id: string): void {
  const { wallMs } = draft.context;
  const step: StepRecord = {
    ...pendingStep(run, id, wallMs),
    state: "skipped",
    outcome: "skipped",
    conclusion: "skipped",
    endedMs: wallMs,
  };
  draft.put("step", step.id, step);
}

/** Answers the bytes of its outputs. A step that was fanned out is kept with all of its instances. */
function keep(state: State, draft: Draft, run: RunRecord, old: StepRecord): number {
  const copy = (from: StepRecord): number => {
    const id = stepRecordId(run.id, from.step, from.instance);
    const outputs = from.fan ? {} : outputsOf(state, from);
    const step: StepRecord = {
      ...from,
      id,
      runId: run.id,
      createdMs: draft.context.wallMs,
      outputPieces: putOutputs(draft, id, run.id, outputs),
      keptFrom: from.keptFrom ?? from.runId,
    };
    draft.put("step", id, step);
    return outputsBytes(outputs);
  };
  let bytes = 0;
  for (let instance = 0; instance < (old.fan?.total ?? 0); instance++) {
    const record = state.steps.get(stepRecordId(old.runId, old.step, instance));
    if (record) bytes += copy(record);
  }
  return bytes + copy(old);
}
