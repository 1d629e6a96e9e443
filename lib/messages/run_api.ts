/** Bodies of /v1/workflows and /v1/runs. camelCase, times as RFC 3339; see api.ts for the rest of /v1. */
import { z } from "zod";
import { RUN_STATES, STEP_STATES } from "../core/workflow/records.ts";

const time = z.string().describe("RFC 3339");
const scalar = z.union([z.string().max(4_096), z.number(), z.boolean()]);
const params = z.record(z.string().max(64), scalar);
const outcome = z.enum(["succeeded", "failed", "timedOut", "cancelled", "skipped", "upstreamFailed"]);
const outputs = z.record(z.string(), z.unknown());

const stepFields = {
  state: z.enum(STEP_STATES),
  outcome: outcome.nullable().describe("how it ended"),
  conclusion: outcome.nullable().describe("the same after continueOnError"),
  attempts: z.number().int().describe("attempts begun"),
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  outputs,
  error: z.string().nullable(),
  taskId: z.string().nullable().describe("the task of its last attempt, whose logs are the step's"),
  runId: z.string().nullable().describe("of a sub-workflow: its run"),
  node: z.string().nullable().describe("name of the node of its last attempt"),
  dueAt: time.nullable().describe("when its next attempt is due, or its sleep over"),
  why: z.string().nullable().describe("what it waits for"),
};

export const stepInstanceView = z.object({
  ...stepFields,
  value: z.unknown().describe("the combination of a matrix, or the item of a forEach"),
});

export const stepView = z.object({
  ...stepFields,
  kind: z.enum(["task", "http", "approval", "sleep", "workflow", "rollout"]),
  retryLimit: z.number().int(),
  prompt: z.string().nullable().describe("of an approval that waits"),
  keptFrom: z.string().nullable().describe("the run it was taken over from"),
  instances: z.array(stepInstanceView).optional().describe("of a step with matrix or forEach"),
});

const runFields = {
  id: z.string(),
  workflow: z.string(),
  state: z.enum(RUN_STATES),
  params: z.record(z.string(), scalar.nullable()),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  why: z.string().nullable().describe("what it waits for, or how it ended"),
  cause: z.string().describe("manual, schedule TIME, step RUN/STEP, resume RUN or rerun RUN"),
};

/** In lists: without steps. */
export const runSummary = z.object(runFields);

export const runView = z.object({
  ...runFields,
  outputs,
  steps: z.record(z.string(), stepView).describe("in the order of the document; onFailure and finally stand last"),
});

export const workflowView = z.object({
  name: z.string(),
  version: z.number().int().describe("the newest, which runs by name take"),
  hash: z.string(),
  appliedAt: time,
  paused: z.boolean(),
  schedule: z.object({ cron: z.string(), timezone: z.string(), nextAt: time.nullable() }).nullable(),
  lastRun: runSummary.nullable(),
});

export const workflowVersionView = z.object({ version: z.number().int(), hash: z.string(), appliedAt: time });
export const workflowDetailView = workflowView.extend({
  versions: z.array(workflowVersionView).describe("newest first"),
  runs: z.array(runSummary).describe("the last 20, newest first"),
});

export const workflowList = z.object({ workflows: z.array(workflowView) });
export const runList = z.object({ runs: z.array(runSummary), next: z.string().nullable() });

/** Of `PUT /v1/workflows/{name}`. */
export const workflowApplied = workflowView.extend({ change: z.enum(["created", "updated", "unchanged"]) });

/** A document and those that it names in `workflow:`, by that name; parsed from YAML by whoever read the files. */
export const workflowSource = z.strictObject({
  workflow: z.record(z.string(), z.unknown()),
  included: z.record(z.string().max(1_024), z.record(z.string(), z.unknown())).optional(),
});

/** `PUT /v1/workflows/{name}`: the document's own name must be the same. */
export const applyRequest = workflowSource;

/** `POST /v1/runs` */
export const runRequest = z.strictObject({
  workflow: z.union([z.string().max(128), z.record(z.string(), z.unknown())])
    .describe("the name of a registered workflow, or a document"),
  included: workflowSource.shape.included,
  version: z.number().int().positive().optional().describe("of a registered one; the newest by default"),
  params: params.optional(),
  only: z.string().max(64).optional().describe("run this step only"),
});

export const approveRequest = z.strictObject({
  inputs: params.optional(),
  instance: z.number().int().nonnegative().optional(),
});
export const rejectRequest = z.strictObject({
  reason: z.string().max(1_000).optional(),
  instance: z.number().int().nonnegative().optional(),
});
export const cancelRequest = z.strictObject({
  now: z.boolean().default(false).describe("end what follows any end (finally) too, or leave it out"),
});
/** Only what succeeded is kept; `from` runs that step and all that follow it again too. */
export const resumeRequest = z.strictObject({ from: z.string().max(64).optional(), params: params.optional() });

/** Of resume: the new run, and which steps it does not run again. */
export const resumeReply = runView.extend({ kept: z.array(z.string()), again: z.array(z.string()) });

export type StepView = z.infer<typeof stepView>;
export type StepInstanceView = z.infer<typeof stepInstanceView>;
export type RunSummary = z.infer<typeof runSummary>;
export type RunView = z.infer<typeof runView>;
export type RunList = z.infer<typeof runList>;
export type WorkflowView = z.infer<typeof workflowView>;
export type WorkflowDetailView = z.infer<typeof workflowDetailView>;
export type WorkflowList = z.infer<typeof workflowList>;
export type WorkflowApplied = z.infer<typeof workflowApplied>;
export type WorkflowSource = z.infer<typeof workflowSource>;
export type RunRequest = z.infer<typeof runRequest>;
export type ApproveRequest = z.infer<typeof approveRequest>;
export type RejectRequest = z.infer<typeof rejectRequest>;
export type CancelRequest = z.input<typeof cancelRequest>;
export type ResumeRequest = z.infer<typeof resumeRequest>;
export type ResumeReply = z.infer<typeof resumeReply>;
