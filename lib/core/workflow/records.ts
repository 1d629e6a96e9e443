/**
 * What the store keeps of workflows and their runs, the states these may be in and the only ways between them (I6).
 * A run's definition is a record of its own, pinned by its hash; each step has its own record, made when something
 * happens to it: a step without one is `pending`. So no value grows with the size of a run.
 */
import type { Scalar } from "../documents/workflow.ts";
import type { Value } from "./expression.ts";

/**
 * pending         waits for what it needs
 * queued          its task is accepted and waits for a node, or its turn comes when others of its fan-out end
 * running         its container, request or sub-workflow runs
 * waiting         waits for a person or a point in time
 * retrying        its last attempt failed; the next one is due later
 * succeeded, failed, timedOut, cancelled, skipped, upstreamFailed   final
 */
export const STEP_STATES = [
  "pending",
  "queued",
  "running",
  "waiting",
  "retrying",
  "succeeded",
  "failed",
  "timedOut",
  "cancelled",
  "skipped",
  "upstreamFailed",
] as const;
export type StepState = typeof STEP_STATES[number];

/** How a step ended; `conclusion` is the same after `continueOnError`. */
export type StepOutcome = "succeeded" | "failed" | "timedOut" | "cancelled" | "skipped" | "upstreamFailed";

const ENDS: readonly StepState[] = ["succeeded", "failed", "timedOut", "cancelled"];

/** Some pass `queued` and `running` within one write: an approval, a sub-workflow, a step that cannot even begin. */
export const STEP_TRANSITIONS: Readonly<Record<StepState, readonly StepState[]>> = {
  pending: ["queued", "running", "waiting", "skipped", "upstreamFailed", "cancelled", "succeeded", "failed"],
  queued: ["running", "retrying", ...ENDS],
  running: ["waiting", "retrying", ...ENDS],
  waiting: ["running", "retrying", ...ENDS],
  retrying: ["queued", "running", "waiting", ...ENDS],
  succeeded: [],
  failed: [],
  timedOut: [],
  cancelled: [],
  skipped: [],
  upstreamFailed: [],
};

export function isStepFinal(state: StepState): boolean {
  return STEP_TRANSITIONS[state].length === 0;
}

/**
 * queued      waits for its turn in its concurrency group
 * running     something of it runs or is about to
 * waiting     everything that could go on waits for a person or a point in time
 * finalizing  its steps have ended; onFailure and finally run
 * succeeded, warning, failed, cancelled, timedOut   final; `warning`: a step failed that may (continueOnError)
 */
export const RUN_STATES = [
  "queued",
  "running",
  "waiting",
  "finalizing",
  "succeeded",
  "warning",
  "failed",
  "cancelled",
  "timedOut",
] as const;
export type RunState = typeof RUN_STATES[number];

const RUN_ENDS: readonly RunState[] = ["succeeded", "warning", "failed", "cancelled", "timedOut"];

export const RUN_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ["running", "cancelled", "failed"],
  running: ["waiting", "finalizing", ...RUN_ENDS],
  waiting: ["running", "finalizing", ...RUN_ENDS],
  finalizing: RUN_ENDS,
  succeeded: [],
  warning: [],
  failed: [],
  cancelled: [],
  timedOut: [],
};

export function isRunFinal(state: RunState): boolean {
  return RUN_TRANSITIONS[state].length === 0;
}

/** A piece of a definition's JSON text, at most DEFINITION_PIECE_CHARS long: a store value takes 64 KiB. */
export interface DefinitionRecord {
  /** `HASH` and, from the second piece on, `HASH#1`, `HASH#2`... */
  readonly id: string;
  readonly hash: string;
  readonly piece: number;
  readonly pieces: number;
  readonly text: string;
  readonly createdMs: number;
}

/** Two bytes a character in the worst case. */
export const DEFINITION_PIECE_CHARS = 30_000;

/** A workflow that was registered by name. */
export interface WorkflowRecord {
  readonly name: string;
  /** Newest last; the older ones are kept for `history` and for runs by version. */
  readonly versions: readonly WorkflowVersion[];
  readonly paused: boolean;
  readonly createdMs: number;
  /** Slots up to here have fired or were passed over; wall time. */
  readonly slotMs: number;
}

export interface WorkflowVersion {
  readonly version: number;
  readonly hash: string;
  readonly appliedMs: number;
}

export const VERSIONS_KEPT = 20;

/** Who started a run, and why. */
export type RunCause =
  | { readonly kind: "manual" }
  | { readonly kind: "schedule"; readonly slotMs: number }
  | { readonly kind: "step"; readonly runId: string; readonly stepId: string; readonly depth: number }
  | { readonly kind: "resume"; readonly runId: string; readonly from: string | null }
  | { readonly kind: "rerun"; readonly runId: string };

/** What is being worked on: the steps, then what follows a failure, then what follows any end. */
export type RunPhase = "steps" | "onFailure" | "finally";

export interface RunRecord {
  readonly id: string;
  /** Name of its workflow, registered or not. */
  readonly workflow: string;
  readonly definition: string;
  /** Which document of the definition: null the main one, else the name under which it is included. */
  readonly document: string | null;
  readonly params: Readonly<Record<string, Scalar | null>>;
  readonly cause: RunCause;
  readonly state: RunState;
  readonly phase: RunPhase;
  /**
   * The end that is being worked towards: its steps are being cancelled. `killed`: whoever cancelled it wanted not even
   * `finally` to go on. Null: none was asked for.
   */
  readonly ending: "cancelled" | "timedOut" | "killed" | null;
  /** Records of steps that it does not run are still being made: none may start before. */
  readonly preparing: boolean;
  /** Run this step only. */
  readonly only: string | null;
  readonly group: string | null;
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  readonly deadlineMs: number | null;
  /** Bytes of all outputs kept so far. */
  readonly outputsBytes: number;
  /** Pieces of its own outputs, which are evaluated at its end. */
  readonly outputPieces: number;
  /** The step that failed first, for people and for onFailure. */
  readonly failedStep: string | null;
  /** One sentence: why it waits or how it ended. */
  readonly why: string | null;
  readonly revision: number;
}

/** Counts of a fanned-out step (matrix, forEach) over its instances. */
export interface FanOut {
  readonly total: number;
  /** Instances whose records are made. */
  readonly made: number;
  /** Instances below this one were started or ended otherwise. */
  readonly next: number;
  readonly active: number;
  readonly succeeded: number;
  readonly ended: number;
  /** The first end that was none of succeeded: failFast, and what becomes of the whole. */
  readonly worst: "failed" | "timedOut" | "cancelled" | null;
}

/** A step of a run, or one instance of a step that was fanned out. */
export interface StepRecord {
  /** `RUN/STEP` or `RUN/STEP/INSTANCE`, the instance counted from 0. */
  readonly id: string;
  readonly runId: string;
  readonly step: string;
  readonly instance: number | null;
  readonly state: StepState;
  readonly outcome: StepOutcome | null;
  readonly conclusion: StepOutcome | null;
  /** Attempts begun. */
  readonly attempts: number;
  /** The task of the attempt that counts, or of the last one. */
  readonly taskId: string | null;
  readonly childRunId: string | null;
  /** Of a rollout: the one that it waits for; absent: none. */
  readonly rolloutId?: string;
  /** Whether it ran at all, and was healthy at any time: what `started` and `healthy` needs ask. */
  readonly started: boolean;
  readonly healthy: boolean;
  /** The end that was decided while its task has yet to stop; null: none. */
  readonly ending: StepEnding | null;
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** When the attempt's time is over; wall time. */
  readonly deadlineMs: number | null;
  /** When a retry is due, or a sleep over; wall time. */
  readonly dueMs: number | null;
  /** Pieces of its outputs in the store; 0: none. */
  readonly outputPieces: number;
  readonly error: string | null;
  /** The combination of a matrix, or the item of a forEach. */
  readonly value: Value;
  readonly fan: FanOut | null;
  readonly approval: ApprovalState | null;
  /** The run it was taken over from, having succeeded there. */
  readonly keptFrom: string | null;
}

export interface StepEnding {
  readonly outcome: "succeeded" | "failed" | "timedOut" | "cancelled";
  readonly error: string | null;
  /** Whether its retries may be used. */
  readonly retry: boolean;
}

export interface ApprovalState {
  readonly prompt: string;
  /** Null: nobody has answered yet. */
  readonly approved: boolean | null;
  readonly inputs: Readonly<Record<string, Scalar | null>>;
  readonly reason: string | null;
}

/** A piece of the outputs of a step or run, as JSON text: `RUN/STEP#PIECE`, `RUN#PIECE`. */
export interface OutputRecord {
  readonly id: string;
  readonly runId: string;
  readonly text: string;
}

export const OUTPUT_PIECE_CHARS = 30_000;
/** JSON text of the outputs of all steps of a run, bytes. */
export const RUN_OUTPUTS_BYTES_MAX = 256 * 1024;
/** Of what a step printed, the part that expressions see. */
export const STDOUT_BYTES_MAX = 64 * 1024;
export const DEPTH_MAX = 10;
/** JSON text of what a record holds besides its fixed part: params of a run, the item of an instance, inputs. */
export const RECORD_PART_BYTES_MAX = 32 * 1024;
export const ERROR_CHARS_MAX = 2_000;

/** Whether what it works on now is to end; what follows an end goes on, and is tried again when it fails. */
export function isPhaseEnding({ ending, phase }: RunRecord): boolean {
  switch (ending) {
    case null:
      return false;
    case "timedOut":
      return phase === "steps";
    case "cancelled":
      return phase !== "finally";
    case "killed":
      return true;
    default:
      return ending satisfies never;
  }
}

export function stepRecordId(runId: string, step: string, instance: number | null = null): string {
  return instance === null ? `${runId}/${step}` : `${runId}/${step}/${instance}`;
}

/** Id and name of the task that is a step's attempt; it names the container too. */
export function stepTaskId(runId: string, step: string, instance: number | null, attempt: number): string {
  return instance === null ? `${runId}.${step}.${attempt}` : `${runId}.${step}.${instance}.${attempt}`;
}

/** For people and events: `test` or `test.1`. */
export function stepLabel({ step, instance }: Pick<StepRecord, "step" | "instance">): string {
  return instance === null ? step : `${step}.${instance}`;
}
