/** Registered workflows: applying, removing, pausing, and the slots of their schedules. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { isRunFinal, VERSIONS_KEPT } from "./records.ts";
import type { RunRecord, WorkflowRecord } from "./records.ts";
import type { RunDecision } from "./decide_run.ts";
import { makeRoom } from "./decide_run.ts";
import { makeRun } from "./make_run.ts";
import { resolveParams } from "./params.ts";
import { FillError } from "./values.ts";

export const WORKFLOWS_MAX = 10_000;
/** Half of what an unused one is kept for. */
const YOUNG_MS = 1_800_000;
/** Of one schedule with `overlap: queue`; what comes beyond is passed over. */
const QUEUED_SLOTS_MAX = 100;

export type ApplyDecision =
  | {
    readonly kind: "applied";
    readonly workflow: WorkflowRecord;
    readonly change: "created" | "updated" | "unchanged";
  }
  | { readonly kind: "conflict"; readonly message: string };

/** Pieces of one definition come one after the other; the same again changes nothing. */
export function decidePutDefinition(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "putDefinition" }>,
): void {
  const { hash, piece, pieces, text } = input;
  const id = piece === 0 ? hash : `${hash}#${piece}`;
  const { wallMs } = draft.context;
  const known = world.state.definitions.get(id);
  // Made young again, so that it is not swept before its run is there.
  if (known && wallMs - known.createdMs < YOUNG_MS) return;
  draft.put("definition", id, { id, hash, piece, pieces, text, createdMs: wallMs });
}

export function decideApplyWorkflow(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "applyWorkflow" }>,
): void {
  draft.reply = apply(world, draft, input);
}

function apply(world: World, draft: Draft, input: Extract<Input, { kind: "applyWorkflow" }>): ApplyDecision {
  const { state } = world;
  const { name, hash } = input;
  const { wallMs } = draft.context;
  if (!state.definition(hash)) {
    return { kind: "conflict", message: "the workflow's definition is not there any more; send it again" };
  }
  const existing = state.workflows.get(name);
  const newest = existing?.versions.at(-1);
  if (existing && newest!.hash === hash) return { kind: "applied", workflow: existing, change: "unchanged" };
  if (!existing && state.workflows.size >= WORKFLOWS_MAX) {
    return { kind: "conflict", message: `there are ${WORKFLOWS_MAX} workflows already; remove some` };
  }
  const version = { version: (newest?.version ?? 0) + 1, hash, appliedMs: wallMs };
  const workflow: WorkflowRecord = {
    name,
    versions: [...existing?.versions ?? [], version].slice(-VERSIONS_KEPT),
    paused: existing?.paused ?? false,
    createdMs: existing?.createdMs ?? wallMs,
    // A new schedule begins now: slots before it was known are nobody's.
    slotMs: existing ? Math.max(existing.slotMs, wallMs) : wallMs,
  };
  draft.put("workflow", name, workflow);
  draft.event("workflowApplied", `workflow ${name} has a version ${version.version}`);
  return { kind: "applied", workflow, change: existing ? "updated" : "created" };
}

/** Its runs go on and stay on record. */
export function decideRemoveWorkflow(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "removeWorkflow" }>,
): void {
  const workflow = world.state.workflows.get(input.name);
  if (!workflow) {
    draft.reply = { kind: "notFound", message: `no workflow ${input.name}` } satisfies RunDecision;
    return;
  }
  draft.delete("workflow", input.name);
  draft.event("workflowRemoved", `workflow ${input.name} was removed`);
  draft.reply = { kind: "done", message: `workflow ${input.name} was removed` } satisfies RunDecision;
}

export function decidePauseWorkflow(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "pauseWorkflow" }>,
): void {
  const workflow = world.state.workflows.get(input.name);
  const words = input.paused ? "paused" : "unpaused";
  if (!workflow) {
    draft.reply = { kind: "notFound", message: `no workflow ${input.name}` } satisfies RunDecision;
    return;
  }
  if (workflow.paused !== input.paused) {
    // What fell due while it was paused stays passed over.
    const slotMs = Math.max(workflow.slotMs, draft.context.wallMs);
    draft.put("workflow", workflow.name, { ...workflow, paused: input.paused, slotMs });
    draft.event(input.paused ? "workflowPaused" : "workflowUnpaused", `workflow ${workflow.name} was ${words}`);
  }
  draft.reply = { kind: "done", message: `workflow ${workflow.name} is ${words}` } satisfies RunDecision;
}

/**
 * A slot of a schedule has come. Its run's id is made from workflow and slot, so that it fires once, whatever crashes:
 * the run and the slot's number are one write.
 */
export function decideSlot(world: World, draft: Draft, input: Extract<Input, { kind: "slot" }>): void {
  const { state } = world;
  const workflow = state.workflows.get(input.workflow);
  const newest = workflow?.versions.at(-1);
  if (!workflow || workflow.paused || input.slotMs <= workflow.slotMs) return;
  draft.put("workflow", workflow.name, { ...workflow, slotMs: input.slotMs });
  const pass = (why: string) => {
    draft.event(
      "slotPassed",
      `${workflow.name}: its slot ${new Date(input.slotMs).toISOString()} was passed over: ${why}`,
    );
  };
  const plan = state.definition(newest!.hash)!.plan(null)!;
  const { schedule } = plan.spec;
  if (!schedule) return;
  if (!input.fire) {
    const until = new Date(input.slotMs).toISOString();
    return draft.event("slotPassed", `${workflow.name}: slots up to ${until} were missed and are not made up for`);
  }
  const id = slotRunId(workflow.name, input.slotMs);
  if (state.runs.has(id)) return;
  const params = resolveParams(plan.spec.params, schedule.params);
  if (params.kind === "problems") {
    return pass(params.problems.map(({ name, detail }) => `${name} ${detail}`).join("; "));
  }
  const open = [...state.runsByWorkflow.get(workflow.name) ?? []].map((runId) => state.runs.get(runId)!)
    .filter((run) => !isRunFinal(run.state) && run.cause.kind === "schedule");
  if (schedule.overlap === "skip" && open.length > 0) return pass(`run ${open[0].id} has not ended`);
  if (open.length >= QUEUED_SLOTS_MAX) return pass(`${open.length} of its runs wait already`);
  const given = {
    ...{ id, definition: newest!.hash, document: null, params: params.params, only: null },
    cause: { kind: "schedule", slotMs: input.slotMs } as const,
    group: `schedule ${workflow.name}`,
  };
  try {
    if (schedule.overlap === "replace") replaceOpen(draft, open, id);
    const refusal = makeRoom(world, draft, plan, given);
    if (refusal !== null) return pass(refusal);
    makeRun(world, draft, given);
  } catch (error) {
    if (!(error instanceof FillError)) throw error;
    pass(error.message);
  }
}

function replaceOpen(draft: Draft, open: readonly RunRecord[], id: string): void {
  for (const run of open) draft.follow.push({ kind: "cancelRun", runId: run.id, why: `run ${id} takes its place` });
}

/** `NAME-20261123T030000Z`, with milliseconds only where there are any. */
export function slotRunId(workflow: string, slotMs: number): string {
  const text = new Date(slotMs).toISOString().replace(/[-:]/g, "").replace(".000Z", "Z").replace(".", "");
  return `${workflow}-${text}`;
}
