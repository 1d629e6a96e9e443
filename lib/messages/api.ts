/**
 * Bodies of the deck's /v1 API: what comes in beside documents, and what goes out. camelCase, times as RFC 3339.
 * The OpenAPI document and the client's types come from these schemas.
 */
import { z } from "zod";
import { SAIL_STATES } from "../core/sail.ts";
import { ROLES } from "../core/token.ts";
import { ATTEMPT_STATES } from "../core/attempt.ts";
import { taskDocument } from "../core/documents/task.ts";

const time = z.string().describe("RFC 3339");

export const portView = z.object({
  container: z.number().int(),
  protocol: z.enum(["tcp", "udp"]),
  host: z.number().int(),
  hostIp: z.string(),
});

export const attemptView = z.object({
  id: z.string(),
  number: z.number().int().describe("1 for the first attempt of a task"),
  state: z.enum(ATTEMPT_STATES),
  node: z.string().nullable().describe("name of its node; null when the node was removed"),
  nodeId: z.string(),
  containerId: z.string().nullable(),
  containerName: z.string().nullable(),
  ports: z.array(portView),
  health: z.enum(["none", "starting", "healthy", "unhealthy"]),
  healthOutput: z.string().nullable().describe("what the last failed probe saw"),
  restarts: z.number().int().describe("restarts after exits"),
  healthRestarts: z.number().int().describe("restarts after failed health checks"),
  exitCode: z.number().int().nullable(),
  oomKilled: z.boolean().describe("from the Engine's own flag"),
  message: z.string().nullable().describe("what is being done, or what the Engine said"),
  reason: z.string().nullable().describe("why the deck ended it"),
  outputTail: z.string().nullable().describe("the end of a failed attempt's output, at most 8 KiB"),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
});

export const taskView = z.object({
  id: z.string(),
  name: z.string(),
  image: z.string(),
  state: z.enum(SAIL_STATES),
  why: z.string().nullable().describe("why it is pending, or how it ended"),
  desired: z.enum(["run", "stop"]),
  labels: z.record(z.string(), z.string()),
  createdAt: time,
  endedAt: time.nullable(),
  retryAt: time.nullable().describe("when a delayed new attempt is due"),
  attempts: z.number().int().describe("attempts made so far"),
  attempt: attemptView.nullable().describe("the attempt that counts, or the last one"),
});

export const eventView = z.object({
  id: z.number().int().describe("grows by one; the id of the server-sent stream"),
  at: time,
  kind: z.string(),
  taskId: z.string().nullable(),
  task: z.string().nullable(),
  attemptId: z.string().nullable(),
  nodeId: z.string().nullable(),
  node: z.string().nullable(),
  runId: z.string().nullable().optional().describe("of a workflow's run, its steps and their tasks"),
  step: z.string().nullable().optional().describe("of a run: its step, with .INSTANCE where it was fanned out"),
  service: z.string().nullable().optional().describe("of a service, its rollouts and replicas"),
  message: z.string(),
});

export const taskDetailView = taskView.extend({
  spec: z.record(z.string(), z.unknown()).describe("the task document"),
  history: z.array(attemptView).describe("all attempts, oldest first"),
  events: z.array(eventView).describe("the last 100 of its events, oldest first"),
});

export const nodeView = z.object({
  id: z.string(),
  name: z.string(),
  address: z.string().describe("of the sailor's own API; empty when it has none"),
  status: z.enum(["ready", "disconnected", "down"]),
  eligibility: z.enum(["eligible", "draining", "drained"]),
  statusSince: time,
  labels: z.record(z.string(), z.string()),
  runtimes: z.array(z.string()),
  allows: z.object({ binds: z.array(z.string()), hostNetwork: z.boolean() }).nullable()
    .describe("what its operator lets tasks do to the machine itself; null: its sailor does not say"),
  runtimesAway: z.array(z.string()).describe(
    "of these, what does not answer its sailor; such tasks are not placed here",
  ),
  engineId: z.string(),
  version: z.string(),
  cpu: z.object({ total: z.number(), reserved: z.number() }).describe("cores; reserved by all sailors of its Engine"),
  memory: z.object({ total: z.number(), reserved: z.number() }).describe("bytes"),
  disk: z.object({ total: z.number(), reserved: z.number() }).describe("bytes"),
  load1: z.number().nullable(),
  tasks: z.number().int().describe("attempts of this deck that live on it"),
  localTasks: z.number().int().describe("tasks given to the sailor directly"),
});

export const taskList = z.object({ tasks: z.array(taskView), next: z.string().nullable() });
export const nodeList = z.object({ nodes: z.array(nodeView), next: z.string().nullable() });
export const eventList = z.object({ events: z.array(eventView), next: z.string().nullable() });

export const BATCH_TASKS_MAX = 10_000;

/** One task, or a batch. */
export const submitRequest = z.union([
  z.strictObject({ tasks: z.array(taskDocument).min(1).max(BATCH_TASKS_MAX) }),
  taskDocument,
]);

export const submitBatchReply = z.object({
  tasks: z.array(z.object({
    id: z.string(),
    name: z.string(),
    error: z.string().nullable().describe("why this one was not accepted; null when it was"),
  })),
});

export const stopRequest = z.strictObject({
  grace: z.string().optional().describe("such as 10s; the task's own by default"),
});

export const execRequestBody = z.strictObject({
  command: z.array(z.string().max(16_384)).min(1).max(1024),
  tty: z.boolean().default(false),
  stdin: z.boolean().default(false),
  columns: z.number().int().min(1).max(10_000).optional(),
  rows: z.number().int().min(1).max(10_000).optional(),
});

/** A token that the deck has made; the token itself is not part of it. */
export const tokenView = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  createdAt: time,
  expiresAt: time.nullable(),
});
export const tokenList = z.object({ tokens: z.array(tokenView) });
export const tokenCreated = tokenView.extend({ token: z.string().describe("shown here and never again") });
export const tokenCreateRequest = z.strictObject({
  role: z.enum(ROLES).describe("admin: everything; join: a sailor's session; read: whatever changes nothing"),
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, "letters, digits, _ . and -").optional(),
  expires: z.string().max(32).optional().describe("a duration such as 30d; never by default"),
});

/** A secret that the deck keeps; its value is never shown. */
export const secretView = z.object({
  name: z.string(),
  revision: z.number().int().describe("raised with each new value"),
  createdAt: time,
  updatedAt: time,
});
export const secretList = z.object({ secrets: z.array(secretView) });
export const secretRequest = z.strictObject({ value: z.string() });

export const deckInfo = z.object({
  version: z.string(),
  commit: z.string(),
  clusterId: z.string(),
  term: z.number().int(),
  scheduler: z.string(),
  startedAt: time,
});

/** RFC 9457. `errors` lists what is wrong with a document, by JSON pointer, with line and column for YAML. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string().describe("stable, for programs"),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});

export type PortView = z.infer<typeof portView>;
export type AttemptView = z.infer<typeof attemptView>;
export type TaskView = z.infer<typeof taskView>;
export type TaskDetailView = z.infer<typeof taskDetailView>;
export type EventView = z.infer<typeof eventView>;
export type NodeView = z.infer<typeof nodeView>;
export type TaskList = z.infer<typeof taskList>;
export type NodeList = z.infer<typeof nodeList>;
export type EventList = z.infer<typeof eventList>;
export type SubmitBatchReply = z.infer<typeof submitBatchReply>;
export type ExecRequestBody = z.infer<typeof execRequestBody>;
export type DeckInfo = z.infer<typeof deckInfo>;
export type TokenView = z.infer<typeof tokenView>;
export type TokenCreated = z.infer<typeof tokenCreated>;
export type TokenCreateRequest = z.input<typeof tokenCreateRequest>;
export type SecretView = z.infer<typeof secretView>;
export type Problem = z.infer<typeof problem>;

/**
 * The exec socket at `GET /v1/tasks/{ref}/exec` (WebSocket): the first text frame is `ExecRequestBody`; then binary
 * frames whose first byte says what they are.
 */
export const EXEC_STDIN = 0;
export const EXEC_STDOUT = 1;
export const EXEC_STDERR = 2;
/** Text frames from the client after the first. */
export type ExecClientMessage = { readonly kind: "resize"; readonly columns: number; readonly rows: number } | {
  readonly kind: "closeStdin";
};
/** The last text frame from the deck. */
export type ExecEndMessage = { readonly kind: "end"; readonly exitCode: number } | {
  readonly kind: "error";
  readonly message: string;
};

/** `GET /v1/tasks/{ref}/logs` answers lines of JSON when asked for application/x-ndjson: one `LogLine` each. */
export interface LogChunkLine {
  readonly stream: "stdout" | "stderr";
  /** UTF-8 text; bytes that are none are replaced. */
  readonly text: string;
}
