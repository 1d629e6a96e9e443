/** What scripts import: `import { connect } from "./lib/client/mod.ts"`. */
export { connect, Deck } from "./client.ts";
export type { LogsOptions, OriginalTask, TaskFilter } from "./client.ts";
export { DeckError } from "./errors.ts";
export type { ExecPiece, ExecSession } from "./exec.ts";
export type { EventsOptions } from "./sse.ts";
export type { ConnectOptions } from "./transport.ts";
export type { TaskDocument } from "../core/documents/task.ts";
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
