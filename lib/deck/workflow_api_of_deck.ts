/** `WorkflowApi` over the loop and the committed records. */
import { createHash } from "node:crypto";
import type { Cron } from "../contracts/cron.ts";
import type { Random } from "../contracts/random.ts";
import type { Scalar, WorkflowSpec } from "../core/documents/workflow.ts";
import type { Settings } from "../core/input.ts";
import type { State } from "../core/state.ts";
import type { ApprovalDecision, RunDecision, StartDecision } from "../core/workflow/decide_run.ts";
import type { ApplyDecision } from "../core/workflow/decide_workflow.ts";
import { resolveParams } from "../core/workflow/params.ts";
import type { DefinitionText } from "../core/workflow/plan.ts";
import { keptSteps } from "../core/workflow/prepare_run.ts";
import type { RunCause, RunRecord } from "../core/workflow/records.ts";
import { DEFINITION_PIECE_CHARS, isRunFinal } from "../core/workflow/records.ts";
import type { SourceProblem } from "../core/workflow/source.ts";
import { checkSource } from "../core/workflow/validate.ts";
import type { WorkflowSource } from "../messages/run_api.ts";
import type { Found, Page, Unavailable } from "./api.ts";
import { ask } from "./ask.ts";
import type { Loop } from "./loop.ts";
import { byPrefix } from "./reads.ts";
import { runSummary, runView, workflowDetailView, workflowView } from "./run_views.ts";
import type { Schedules } from "./schedules.ts";
import type { Invalid, NotFound, RunFilter, StartReply, WorkflowApi } from "./workflow_api.ts";

export interface WorkflowApiParts {
  readonly loop: Loop;
  readonly committed: State;
  readonly settings: Settings;
  readonly schedules: Schedules;
  readonly random: Random;
  readonly cron: Cron;
}

interface NewRequest {
  readonly hash: string;
  readonly document: string | null;
  readonly spec: WorkflowSpec;
  readonly given: Readonly<Record<string, Scalar>>;
  readonly only: string | null;
  readonly key: string | null;
  readonly cause: RunCause;
}

export function createWorkflowApi(parts: WorkflowApiParts): WorkflowApi {
  const { loop, committed, settings, schedules, random } = parts;
  return {
    async applyWorkflow(source) {
      const kept = await keepSource(parts, source);
      if (kept.kind !== "kept") return kept;
      const { name } = kept.spec;
      const applied = await ask<ApplyDecision>(loop, { kind: "applyWorkflow", name, hash: kept.hash });
      if (applied.kind !== "applied") return applied;
      const { workflow, change } = applied;
      return { kind: "applied", workflow: workflowView(committed, workflow, schedules.nextMs(workflow)), change };
    },
    removeWorkflow: (name) => ask<RunDecision>(loop, { kind: "removeWorkflow", name }),
    pauseWorkflow: (name, paused) => ask<RunDecision>(loop, { kind: "pauseWorkflow", name, paused }),
    listWorkflows: () =>
      [...committed.workflows.values()].sort((a, b) => a.name < b.name ? -1 : 1)
        .map((workflow) => workflowView(committed, workflow, schedules.nextMs(workflow))),
    findWorkflow(name) {
      const workflow = committed.workflows.get(name);
      return workflow && workflowDetailView(committed, workflow, schedules.nextMs(workflow));
    },
    workflowSource(name, version) {
      const hash = versionOf(committed, name, version);
      return hash === undefined ? undefined : sourceOf(committed, hash, null);
    },

    async startRun({ source, params, only, key }) {
      // Before anything is kept: what is refused leaves nothing behind.
      const found = await definitionFor(parts, source, (spec) => {
        const resolved = resolveParams(spec.params, params);
        if (resolved.kind === "problems") return invalidAt("params", resolved.problems);
        if (only === null || spec.steps.some(({ id }) => id === only)) return undefined;
        return { kind: "notFound", message: `workflow ${spec.name} has no step ${only}` };
      });
      if (found.kind !== "kept") return found;
      return await startRun({ ...found, document: null, given: params, only, key, cause: { kind: "manual" } });
    },
    findRun: (reference) => mapRun(findRun(committed, reference), (run) => runView(committed, settings, run)),
    listRuns: (filter, limit, cursor) => listRuns(committed, filter, limit, cursor),
    runSource(runId) {
      const run = committed.runs.get(runId);
      return run && sourceOf(committed, run.definition, run.document);
    },
    cancelRun: (runId, now) => ask<RunDecision>(loop, { kind: "cancelRun", runId, why: "somebody asked for it", now }),
    async decideApproval(request) {
      const decided = await ask<ApprovalDecision>(loop, { kind: "approval", ...request });
      return decided.kind === "invalid" ? invalidAt("inputs", decided.problems) : decided;
    },
    async resumeRun({ runId, from, params }) {
      const run = committed.runs.get(runId);
      if (!run) return { kind: "notFound", message: `no run ${runId}` };
      const plan = committed.plan(run);
      const refusal = whyNotResumed(run, from, plan.phases.steps.map(({ id }) => id));
      if (refusal) return refusal;
      const reply = await startRun({
        ...{ hash: run.definition, document: run.document, spec: plan.spec, only: null, key: null },
        given: { ...givenParams(run), ...params },
        cause: { kind: "resume", runId, from },
      });
      if (reply.kind !== "started") return reply;
      const kept = keptSteps(committed, runId, plan, from);
      const again = plan.phases.steps.map(({ id }) => id).filter((id) => !kept.has(id));
      return { kind: "started", run: { ...reply.run, kept: [...kept], again } };
    },
    async rerun(runId) {
      const run = committed.runs.get(runId);
      if (!run) return { kind: "notFound", message: `no run ${runId}` };
      const { spec } = committed.plan(run);
      return await startRun({
        ...{ hash: run.definition, document: run.document, spec, only: run.only, key: null },
        given: givenParams(run),
        cause: { kind: "rerun", runId },
      });
    },
  };

  async function startRun(request: NewRequest): Promise<StartReply> {
    const { hash, document, spec, given, only, key, cause } = request;
    const resolved = resolveParams(spec.params, given);
    if (resolved.kind === "problems") return invalidAt("params", resolved.problems);
    const tail = key === null ? random.uuid() : sha256(`${spec.name} ${key}`);
    const id = `${spec.name}-${tail.slice(0, 8)}`;
    const { params } = resolved;
    const decided = await ask<StartDecision>(loop, {
      ...{ kind: "startRun", id, definition: hash, document, params, cause, only },
    });
    if (decided.kind !== "started") return decided;
    return { kind: "started", run: runView(committed, settings, committed.runs.get(decided.runId)!) };
  }
}

type Kept = { readonly kind: "kept"; readonly hash: string; readonly spec: WorkflowSpec };

async function definitionFor(
  parts: WorkflowApiParts,
  source: WorkflowSource | { readonly name: string; readonly version?: number },
  refuse: (spec: WorkflowSpec) => Invalid | NotFound | undefined,
): Promise<Kept | Invalid | NotFound | Unavailable> {
  if (!("name" in source)) return await keepSource(parts, source, refuse);
  const { committed } = parts;
  const hash = versionOf(committed, source.name, source.version);
  const plan = hash === undefined ? undefined : committed.definition(hash)?.plan(null);
  if (hash !== undefined && plan) return { kind: "kept", hash, spec: plan.spec };
  const message = committed.workflows.has(source.name)
    ? `workflow ${source.name} has no version ${source.version} (any more)`
    : `no workflow is registered as ${source.name}; register it with  ormen workflow apply FILE`;
  return { kind: "notFound", message };
}

function versionOf(committed: State, name: string, version?: number): string | undefined {
  const versions = committed.workflows.get(name)?.versions;
  return (version === undefined ? versions?.at(-1) : versions?.find((each) => each.version === version))?.hash;
}

/** Judged, then kept in pieces, so that no write is too large; one that nothing refers to goes after an hour. */
async function keepSource<R = never>(
  { loop, committed, cron }: WorkflowApiParts,
  source: WorkflowSource,
  refuse: (spec: WorkflowSpec) => R | undefined = () => undefined,
): Promise<Kept | Invalid | Unavailable | R> {
  const checked = checkSource(source, { cronProblem: (expression, zone) => cron.problem(expression, zone) });
  if (checked.kind === "invalid") return checked;
  const refusal = refuse(checked.spec);
  if (refusal) return refusal;
  const text = JSON.stringify(
    { workflow: source.workflow, included: source.included ?? {} } satisfies DefinitionText,
  );
  const hash = sha256(text);
  const pieces = Math.ceil(text.length / DEFINITION_PIECE_CHARS);
  for (let piece = 0; piece < pieces; piece++) {
    const part = text.slice(piece * DEFINITION_PIECE_CHARS, (piece + 1) * DEFINITION_PIECE_CHARS);
    const put = await ask<undefined>(loop, { kind: "putDefinition", hash, piece, pieces, text: part });
    if (put?.kind === "unavailable") return put;
  }
  return { kind: "kept", hash, spec: committed.definition(hash)!.plan(null)!.spec };
}

/** At once: a digest that is made elsewhere would come back at another time in every run of a simulation. */
function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function sourceOf(committed: State, hash: string, document: string | null): WorkflowSource | undefined {
  const text = committed.definitionText(hash);
  if (text === undefined) return undefined;
  const { workflow, included } = JSON.parse(text) as {
    workflow: Record<string, unknown>;
    included: Record<string, Record<string, unknown>>;
  };
  return { workflow: document === null ? workflow : included[document], included };
}

function invalidAt(
  where: string,
  problems: readonly { readonly name: string; readonly detail: string }[],
): Invalid {
  return {
    kind: "invalid",
    problems: problems.map(({ name, detail }): SourceProblem => ({
      ...{ included: null, path: [where, name], offset: null, rule: "given", detail },
    })),
  };
}

function givenParams(run: RunRecord): Record<string, Scalar> {
  return Object.fromEntries(
    Object.entries(run.params).filter((entry): entry is [string, Scalar] => entry[1] !== null),
  );
}

function whyNotResumed(run: RunRecord, from: string | null, steps: readonly string[]) {
  const conflict = (message: string) => ({ kind: "conflict" as const, message });
  if (!isRunFinal(run.state)) return conflict(`run ${run.id} has not ended yet (${run.state})`);
  if (from !== null && !steps.includes(from)) {
    return { kind: "notFound" as const, message: `run ${run.id} has no step ${from}; it has ${steps.join(", ")}` };
  }
  if (from === null && run.state === "succeeded") {
    return conflict(`run ${run.id} succeeded: nothing is left to do; say --from STEP, or use rerun`);
  }
}

/** By id, by a workflow's name (its newest run), or by the beginning of an id. */
function findRun(committed: State, reference: string): Found<RunRecord> {
  const exact = committed.runs.get(reference);
  if (exact) return { kind: "found", value: exact };
  const newest = [...committed.runsByWorkflow.get(reference) ?? []].at(-1);
  if (newest !== undefined) return { kind: "found", value: committed.runs.get(newest)! };
  return byPrefix(reference, committed.runs);
}

function mapRun<B>(found: Found<RunRecord>, map: (run: RunRecord) => B): Found<B> {
  return found.kind === "found" ? { kind: "found", value: map(found.value) } : found;
}

function listRuns(
  committed: State,
  { workflow, states }: RunFilter,
  limit: number,
  cursor: string | null,
): Page<ReturnType<typeof runSummary>> | undefined {
  if (cursor !== null && !committed.runs.has(cursor)) return undefined;
  const ids = workflow === undefined ? [...committed.runs.keys()] : [...committed.runsByWorkflow.get(workflow) ?? []];
  const items: ReturnType<typeof runSummary>[] = [];
  let at = cursor === null ? ids.length - 1 : ids.indexOf(cursor) - 1;
  for (; at >= 0 && items.length < limit; at--) {
    const run = committed.runs.get(ids[at])!;
    if (!states || states.includes(run.state)) items.push(runSummary(run));
  }
  return { items, next: at >= 0 && items.length > 0 ? items.at(-1)!.id : null };
}
