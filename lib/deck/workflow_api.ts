/** What the deck offers of workflows and runs. Writes resolve once they are durable; reads see committed records only. */
import type { Scalar } from "../core/documents/workflow.ts";
import type { SourceProblem } from "../core/workflow/source.ts";
import type {
  ResumeReply,
  RunSummary,
  RunView,
  WorkflowDetailView,
  WorkflowSource,
  WorkflowView,
} from "../messages/run_api.ts";
import type { CommandReply, Found, Page, Unavailable } from "./api.ts";

/** A problem of what was given beside the document has the rule `given`; its path begins at `params` or `inputs`. */
export type Invalid = { readonly kind: "invalid"; readonly problems: readonly SourceProblem[] };
export type NotFound = { readonly kind: "notFound"; readonly message: string };
export type Conflict = { readonly kind: "conflict"; readonly message: string };

export type ApplyReply =
  | { readonly kind: "applied"; readonly workflow: WorkflowView; readonly change: "created" | "updated" | "unchanged" }
  | Invalid
  | Conflict
  | Unavailable;

export type StartReply =
  | { readonly kind: "started"; readonly run: RunView }
  | Invalid
  | NotFound
  | Conflict
  | Unavailable;

export interface RunFilter {
  readonly workflow?: string;
  readonly states?: readonly string[];
}

export interface WorkflowApi {
  /** Registers a workflow under its document's name, or a new version of it. The same again changes nothing. */
  applyWorkflow(source: WorkflowSource): Promise<ApplyReply>;
  removeWorkflow(name: string): Promise<CommandReply>;
  /** While paused no slot of its schedule starts a run. */
  pauseWorkflow(name: string, paused: boolean): Promise<CommandReply>;
  listWorkflows(): readonly WorkflowView[];
  findWorkflow(name: string): WorkflowDetailView | undefined;
  /** The document of a version; the newest by default. */
  workflowSource(name: string, version?: number): WorkflowSource | undefined;

  startRun(request: {
    readonly source: WorkflowSource | { readonly name: string; readonly version?: number };
    readonly params: Readonly<Record<string, Scalar>>;
    readonly only: string | null;
    /** The same key again gives the same run; null: none. */
    readonly key: string | null;
  }): Promise<StartReply>;
  /** By id, or by the beginning of one; `NAME` alone is the newest run of that workflow. */
  findRun(reference: string): Found<RunView>;
  /** Newest first. */
  listRuns(filter: RunFilter, limit: number, cursor: string | null): Page<RunSummary> | undefined;
  runSource(runId: string): WorkflowSource | undefined;
  /** Asked again it changes nothing. `now`: what follows any end (finally) is ended too. */
  cancelRun(runId: string, now: boolean): Promise<CommandReply>;
  decideApproval(request: {
    readonly runId: string;
    readonly step: string;
    readonly instance: number | null;
    readonly approved: boolean;
    readonly inputs: Readonly<Record<string, Scalar>>;
    readonly reason: string | null;
  }): Promise<CommandReply | Invalid>;
  resumeRun(request: {
    readonly runId: string;
    readonly from: string | null;
    readonly params: Readonly<Record<string, Scalar>>;
  }): Promise<{ readonly kind: "started"; readonly run: ResumeReply } | Exclude<StartReply, { kind: "started" }>>;
  rerun(runId: string): Promise<StartReply>;
}
