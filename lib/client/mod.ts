/** What scripts import: `import { connect } from "./lib/client/mod.ts"`. */
export { connect, Deck } from "./client.ts";
export type { LogsOptions, OriginalTask, RunFilter, TaskFilter } from "./client.ts";
export { DeckError } from "./errors.ts";
export type { ExecPiece, ExecSession } from "./exec.ts";
export type { EventsOptions } from "./sse.ts";
export type { ConnectOptions } from "./transport.ts";
export type { WatchRunOptions } from "./watch_run.ts";
export { workflow } from "./workflow_builder.ts";
export type { WorkflowBuilder } from "./workflow_builder.ts";
export { cel } from "./workflow_expression.ts";
export type { CelValue, Expression, Text } from "./workflow_expression.ts";
export type { Matrix, Step, Workflow, WorkflowKeys } from "./workflow_keys.ts";
export type { Services } from "./services.ts";
export type { WatchAddressesOptions } from "./watch_addresses.ts";
export type { ServiceDocument } from "../core/documents/service.ts";
export type { TaskDocument } from "../core/documents/task.ts";
export type { WorkflowDocument } from "../core/documents/workflow.ts";
export type {
  AttemptView,
  DeckInfo,
  EventView,
  ExecRequestBody,
  LogChunkLine,
  NodeView,
  Problem,
  SubmitBatchReply,
  TaskDetailView,
  TaskView,
} from "../messages/api.ts";
export type {
  ApproveRequest,
  CancelRequest,
  RejectRequest,
  ResumeReply,
  ResumeRequest,
  RunRequest,
  RunSummary,
  RunView,
  StepInstanceView,
  StepView,
  WorkflowApplied,
  WorkflowDetailView,
  WorkflowSource,
  WorkflowView,
} from "../messages/run_api.ts";
export type {
  AddressList,
  AddressView,
  ReplicaView,
  RevisionView,
  RolloutView,
  ServiceApplied,
  ServiceDetailView,
  ServiceHistory,
  ServicePlan,
  ServiceView,
} from "../messages/service_api.ts";
