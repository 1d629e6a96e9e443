/** The beginning of a step whose needs are decided, and of each attempt at it. */
import { acceptTask } from "../changes.ts";
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import { byteLength } from "../documents/task.ts";
import type { Scalar, StepAction } from "../documents/workflow.ts";
import { INSTANCES_MAX } from "../documents/workflow.ts";
import { parseDuration } from "../documents/units.ts";
import { missingSecret } from "../secret.ts";
import { pendingStep, putStep } from "./changes.ts";
import type { Value } from "./expression.ts";
import { textOf } from "./expression.ts";
import { childRunId, makeRun } from "./make_run.ts";
import { expandMatrix } from "./matrix.ts";
import { judge, needStatus } from "./needs.ts";
import { resolveParams } from "./params.ts";
import type { PlannedStep } from "./plan.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import {
  DEPTH_MAX,
  isPhaseEnding,
  isStepFinal,
  RECORD_PART_BYTES_MAX,
  stepLabel,
  stepRecordId,
  stepTaskId,
} from "./records.ts";
import { startRolloutOf } from "./rollout_step.ts";
import { tellStarted } from "./started.ts";
import { endStep } from "./step_end.ts";
import { taskOfStep } from "./step_task.ts";
import type { Scene } from "./values.ts";
import { evaluateCondition, FillError, fillText } from "./values.ts";

/** Does nothing to a step that has begun already, or whose needs are not all decided. */
export function startStep(world: World, draft: Draft, run: RunRecord, planned: PlannedStep): void {
  const { state } = world;
  if (state.steps.has(stepRecordId(run.id, planned.id)) || state.runIndex(run).openNeeds.get(planned.id) !== 0) return;
  const step = pendingStep(run, planned.id, draft.context.wallMs);
  if (isPhaseEnding(run)) {
    return void endStep(world, draft, step, { outcome: "cancelled" });
  }
  const scene = sceneOf(world, run, step);
  attemptTo(world, draft, step, () => {
    const verdict = planned.phase === "steps" ? judgeStep(scene, planned) : judgeClosing(scene, planned);
    if (verdict === "skip") return void endStep(world, draft, step, { outcome: "skipped" });
    if (verdict === "upstreamFailed") return void endStep(world, draft, step, { outcome: "upstreamFailed" });
    if (planned.spec.matrix || planned.spec.forEach !== null) return fanOut(world, draft, step, scene, planned);
    startAttempt(world, draft, step);
  });
}

export function sceneOf({ state }: World, run: RunRecord, step: StepRecord | null, extra: Scene["extra"] = {}): Scene {
  return { state, run, plan: state.plan(run), step, extra };
}

/** What a step's author got wrong ends the step; nothing else is taken for it. */
function attemptTo(world: World, draft: Draft, step: StepRecord, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof FillError)) throw error;
    const kept = world.state.steps.get(step.id);
    const subject = kept && kept.attempts >= step.attempts ? kept : step;
    endStep(world, draft, subject, { outcome: "failed", error: error.message });
  }
}

function judgeStep(scene: Scene, planned: PlannedStep) {
  const { state, run } = scene;
  const success = planned.needs.every(({ step, condition }) =>
    needStatus(condition, state.steps.get(stepRecordId(run.id, step))) === "satisfied"
  );
  const { when } = planned.spec;
  // Its own needs stand in the way: what it would ask is of no interest, and might not be there to be asked.
  if (when === null || (!success && !planned.ownCondition)) {
    return judge({ success, when: null, ownCondition: false });
  }
  const status = { success, failure: !success, always: true };
  const holds = evaluateCondition({ ...scene, extra: { ...scene.extra, status } }, when, "when");
  return judge({ success, when: holds, ownCondition: planned.ownCondition });
}

/** After the steps the functions tell of the run, and what stands there without a condition runs. */
function judgeClosing(scene: Scene, { spec: { when } }: PlannedStep) {
  if (when === null) return "run";
  const { state, run } = scene;
  const success = run.ending === null && state.runIndex(run).bad.steps === 0;
  const status = { success, failure: !success, always: true };
  return evaluateCondition({ ...scene, extra: { ...scene.extra, status } }, when, "when") ? "run" : "skip";
}

function fanOut(world: World, draft: Draft, step: StepRecord, scene: Scene, planned: PlannedStep): void {
  const total = itemsOf(scene, planned).length;
  if (total === 0) return void endStep(world, draft, step, { outcome: "succeeded" });
  putStep(draft, step, {
    state: "running",
    startedMs: draft.context.wallMs,
    fan: { total, made: 0, next: 0, active: 0, succeeded: 0, ended: 0, worst: null },
  });
  draft.follow.push({ kind: "fanOut", stepId: step.id, cancelFrom: null });
}

/** The combinations of its matrix, or the items of its list: the same whenever they are asked for. Throws FillError. */
export function itemsOf(scene: Scene, { spec }: PlannedStep): readonly Value[] {
  if (spec.matrix) return expandMatrix(spec.matrix);
  const items = fillText(scene, spec.forEach!, "forEach");
  if (!Array.isArray(items)) throw new FillError(`forEach: gives ${typeof items}; it must give a list`);
  if (items.length > INSTANCES_MAX) {
    throw new FillError(`forEach: gives ${items.length} items; at most ${INSTANCES_MAX}`);
  }
  const large = items.findIndex((item) => byteLength(JSON.stringify(item)) > RECORD_PART_BYTES_MAX);
  if (large >= 0) throw new FillError(`forEach: item ${large} takes more than ${RECORD_PART_BYTES_MAX / 1024} KiB`);
  return items as readonly Value[];
}

/** The first attempt of a step or instance, or the next one. */
export function startAttempt(world: World, draft: Draft, before: StepRecord): void {
  const run = world.state.runs.get(before.runId)!;
  const { action } = world.state.plan(run).byId.get(before.step)!.spec;
  const { wallMs } = draft.context;
  const step: StepRecord = {
    ...before,
    attempts: before.attempts + 1,
    startedMs: before.startedMs ?? (action.kind === "task" || action.kind === "http" ? null : wallMs),
    dueMs: null,
    deadlineMs: null,
    ending: null,
    error: null,
  };
  attemptTo(world, draft, step, () => begin(world, draft, run, step, action));
  const begun = world.state.steps.get(before.id)!;
  if (begun.started && !before.started && !isStepFinal(begun.state)) tellStarted(world, draft, begun);
}

function begin(world: World, draft: Draft, run: RunRecord, step: StepRecord, action: StepAction): void {
  const scene = sceneOf(world, run, step);
  switch (action.kind) {
    case "task":
    case "http":
      return startTask(world, draft, scene, step);
    case "approval":
      return askForApproval(draft, scene, step, action.prompt);
    case "sleep":
      return sleep(draft, scene, step, action.duration);
    case "workflow":
      return startChild(world, draft, scene, step, action);
    case "rollout":
      return startRolloutOf(world, draft, scene, step, action.rollout);
    default:
      action satisfies never;
  }
}

function startTask(world: World, draft: Draft, scene: Scene, step: StepRecord): void {
  const spec = taskOfStep(scene, scene.plan.byId.get(step.step)!);
  const missing = missingSecret(scene.state, spec);
  if (missing !== undefined) throw new FillError(missing);
  const id = stepTaskId(step.runId, step.step, step.instance, step.attempts);
  putStep(draft, step, { state: "queued", taskId: id, started: step.started, healthy: false });
  acceptTask(world, draft, { id, spec, stepId: step.id });
}

function askForApproval(draft: Draft, scene: Scene, step: StepRecord, text: string): void {
  const { timeoutMs } = scene.plan.byId.get(step.step)!.spec;
  const prompt = textOf(fillText(scene, text, "approval.prompt"));
  putStep(draft, step, {
    state: "waiting",
    started: true,
    approval: { prompt, approved: null, inputs: {}, reason: null },
    deadlineMs: timeoutMs === null ? null : draft.context.wallMs + timeoutMs,
  });
  const label = stepLabel(step);
  draft.event("stepWaiting", `${label} waits for approval: ${prompt}`, { runId: step.runId, step: label });
}

function sleep(draft: Draft, scene: Scene, step: StepRecord, text: string): void {
  const delayMs = sleepMs(scene, text);
  putStep(draft, step, { state: "waiting", started: true, dueMs: draft.context.wallMs + delayMs });
  draft.alarms.push({ topic: `step/${step.id}`, delayMs });
}

/** The same whenever it is asked for. Throws FillError. */
export function sleepMs(scene: Scene, text: string): number {
  const written = textOf(fillText(scene, text, "sleep"));
  const delayMs = parseDuration(written);
  if (delayMs === undefined) {
    throw new FillError(`sleep: not a duration: ${JSON.stringify(written)}; write it with a unit, such as 5s or 1m30s`);
  }
  return delayMs;
}

function startChild(
  world: World,
  draft: Draft,
  scene: Scene,
  step: StepRecord,
  action: Extract<StepAction, { kind: "workflow" }>,
): void {
  const { state } = world;
  const { run } = scene;
  const depth = run.cause.kind === "step" ? run.cause.depth + 1 : 1;
  if (depth > DEPTH_MAX) throw new FillError(`workflow: workflows are nested more than ${DEPTH_MAX} deep`);
  const definition = definitionNamed(world, run, action.workflow);
  const plan = state.definition(definition.hash)?.plan(definition.document);
  if (!plan) throw new FillError(`workflow: there is no workflow ${JSON.stringify(action.workflow)}`);
  const given = Object.entries(action.with).map(([name, value]): [string, Value] => [
    name,
    typeof value === "string" ? fillText(scene, value, `with.${name}`) : value,
  ]);
  const unfit = given.find(([, value]) => typeof value === "object");
  if (unfit) throw new FillError(`with.${unfit[0]}: must be a text, number or boolean; toJSON makes a text of it`);
  const params = resolveParams(plan.spec.params, Object.fromEntries(given) as Record<string, Scalar>);
  if (params.kind === "problems") {
    throw new FillError(params.problems.map(({ name, detail }) => `with.${name}: ${detail}`).join("; "));
  }
  const id = childRunId(plan.spec.name, step);
  const { timeoutMs } = scene.plan.byId.get(step.step)!.spec;
  putStep(draft, step, {
    state: "running",
    started: true,
    childRunId: id,
    deadlineMs: timeoutMs === null ? null : draft.context.wallMs + timeoutMs,
  });
  makeRun(world, draft, {
    ...{ id, definition: definition.hash, document: definition.document, params: params.params },
    cause: { kind: "step", runId: run.id, stepId: step.id, depth },
    only: null,
  });
}

/** One that is included in the run's definition, else the newest version of a registered one. */
function definitionNamed({ state }: World, run: RunRecord, name: string): { hash: string; document: string | null } {
  if (state.definition(run.definition)!.plan(name)) return { hash: run.definition, document: name };
  const registered = state.workflows.get(name)?.versions.at(-1);
  if (!registered) throw new FillError(`workflow: there is no workflow ${JSON.stringify(name)}; ormen workflow list`);
  return { hash: registered.hash, document: null };
}
