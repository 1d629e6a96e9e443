/**
 * A typed client of the deck's API: one method a route, one error class (`DeckError`), streams as async iterables.
 * Trusts what a deck answers: its schemas are the deck's business, and loading them would double a command's start.
 */
import type {
  DeckInfo,
  EventList,
  EventView,
  ExecRequestBody,
  LogChunkLine,
  NodeList,
  NodeView,
  SecretView,
  SubmitBatchReply,
  TaskDetailView,
  TaskList,
  TaskView,
  TokenCreated,
  TokenCreateRequest,
  TokenView,
} from "../messages/api.ts";
import type {
  ApproveRequest,
  CancelRequest,
  RejectRequest,
  ResumeReply,
  ResumeRequest,
  RunList,
  RunRequest,
  RunSummary,
  RunView,
  WorkflowApplied,
  WorkflowDetailView,
  WorkflowList,
  WorkflowSource,
  WorkflowView,
} from "../messages/run_api.ts";
import type { TaskDocument } from "../core/documents/task.ts";
import { DeckError } from "./errors.ts";
import { type ExecSession, openExec } from "./exec.ts";
import { type EventsOptions, followEvents } from "./sse.ts";
import { Services } from "./services.ts";
import { type ConnectOptions, query, Transport } from "./transport.ts";
import { watchRun, type WatchRunOptions } from "./watch_run.ts";

/** A client of the deck at `address`: `deck:5555`, or a URL. Nothing is sent before the first call. */
export function connect(address: string, options: ConnectOptions = {}): Deck {
  return new Deck(new Transport(address, options));
}

export interface TaskFilter {
  readonly state?: TaskView["state"];
  /** Name or id. */
  readonly node?: string;
  /** `key=value` */
  readonly label?: string;
  /** Only tasks that have not ended. */
  readonly live?: boolean;
}

export interface RunFilter {
  /** Name of a workflow. */
  readonly workflow?: string;
  readonly state?: RunSummary["state"];
}

export interface LogsOptions {
  readonly follow?: boolean;
  /** Number of last lines; all unless said. */
  readonly tail?: number | null;
  /** RFC 3339. */
  readonly since?: string | null;
  readonly timestamps?: boolean;
  /** Number of an attempt; the current or last one unless said. */
  readonly attempt?: number | null;
  readonly signal?: AbortSignal;
}

/** What `POST /tasks` of the original answers: its task, PascalCase. */
export interface OriginalTask {
  readonly ID: string;
  readonly Name: string;
  readonly State: number;
  readonly [key: string]: unknown;
}

const PAGE_SIZE = 1000;
/** A batch is answered when its last piece is durable. */
const BATCH_TIMEOUT_MS = 600_000;

export class Deck {
  readonly #transport: Transport;
  readonly services: Services;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.services = new Services(transport);
  }

  /** As people write it: `deck:5555`. */
  get address(): string {
    return this.#transport.address;
  }

  /** Accepted and durable, not yet running. */
  submit(task: TaskDocument): Promise<TaskView> {
    return this.#transport.json("POST", "/v1/tasks", { body: task });
  }

  /** At most 10,000. With the same key again: completes what is missing, or repeats the answer. */
  submitBatch(
    tasks: readonly TaskDocument[],
    options: { readonly idempotencyKey?: string } = {},
  ): Promise<SubmitBatchReply> {
    const headers = options.idempotencyKey === undefined ? undefined : { "idempotency-key": options.idempotencyKey };
    return this.#transport.json("POST", "/v1/tasks", { body: { tasks }, headers, timeoutMs: BATCH_TIMEOUT_MS });
  }

  /** The original's SailEvent, to the original's route. */
  submitOriginal(event: unknown): Promise<OriginalTask> {
    return this.#transport.json("POST", "/tasks", { body: event });
  }

  /** In the order of their creation. */
  tasks(filter: TaskFilter = {}): AsyncGenerator<TaskView> {
    return this.#pages<TaskView, TaskList>("/v1/tasks", { ...filter }, (page) => page.tasks);
  }

  /** By id, by name (a live one first, then the newest), or by the beginning of an id. */
  task(reference: string): Promise<TaskDetailView> {
    return this.#transport.json("GET", taskPath(reference));
  }

  /** Resolves once the stop is durable; the container ends later. `grace` such as `10s`; the task's own unless said. */
  stop(reference: string, options: { readonly grace?: string } = {}): Promise<TaskView> {
    const body = options.grace === undefined ? {} : { grace: options.grace };
    return this.#transport.json("POST", `${taskPath(reference)}/stop`, { body });
  }

  /** A task's output from whatever node. Ends with the container (follow), or with what there is. */
  async *logs(reference: string, options: LogsOptions = {}): AsyncGenerator<LogChunkLine> {
    const { follow, tail, since, timestamps, attempt, signal } = options;
    const response = await this.#transport.request(
      "GET",
      `${taskPath(reference)}/logs${query({ follow, tail, since, timestamps, attempt })}`,
      { signal, timeoutMs: null, headers: { accept: "application/x-ndjson" } },
    );
    for await (const line of this.#transport.lines(response, signal)) {
      if (line === "") continue;
      const piece = JSON.parse(line) as LogChunkLine & { readonly error?: string };
      if (piece.error !== undefined) throw new DeckError("interrupted", 0, piece.error);
      yield piece;
    }
  }

  /** Asks for the task first: a socket that is refused cannot say why. */
  async exec(reference: string, request: ExecRequestBody): Promise<ExecSession> {
    const task = await this.task(reference);
    return await openExec(this.#transport, `${taskPath(task.id)}/exec`, request);
  }

  nodes(): AsyncGenerator<NodeView> {
    return this.#pages<NodeView, NodeList>("/v1/nodes", {}, (page) => page.nodes);
  }

  /** By name or id, as are the three below. */
  node(reference: string): Promise<NodeView> {
    return this.#transport.json("GET", nodePath(reference));
  }

  /** Gives it no new tasks and moves away those it has. */
  drain(reference: string): Promise<NodeView> {
    return this.#transport.json("POST", `${nodePath(reference)}/drain`, { body: {} });
  }

  resume(reference: string): Promise<NodeView> {
    return this.#transport.json("POST", `${nodePath(reference)}/resume`, { body: {} });
  }

  /** Forgets a node that is down or drained. */
  removeNode(reference: string): Promise<void> {
    return this.#transport.done("DELETE", nodePath(reference));
  }

  /** What is kept of the past, oldest first, up to the newest. `since`: RFC 3339, or a duration such as `10m`; `run`: its id. */
  async *pastEvents(
    options: { readonly after?: number; readonly since?: string; readonly run?: string } = {},
  ): AsyncGenerator<EventView> {
    const { run } = options;
    let start: { after?: number; since?: string; run?: string } = options;
    while (true) {
      const page = await this.#transport.json<EventList>("GET", `/v1/events${query({ ...start, limit: PAGE_SIZE })}`);
      yield* page.events;
      const last = page.events.at(-1);
      if (last === undefined || page.next === null) return;
      start = { after: last.id, run };
    }
  }

  /** What happens, as it happens, across breaks of the connection. */
  events(options: EventsOptions = {}): AsyncGenerator<EventView> {
    return followEvents(this.#transport, options);
  }

  /** Makes a token; the answer is the only place where it is ever shown. */
  createToken(request: TokenCreateRequest): Promise<TokenCreated> {
    return this.#transport.json("POST", "/v1/tokens", { body: request });
  }

  async tokens(): Promise<readonly TokenView[]> {
    return (await this.#transport.json<{ tokens: TokenView[] }>("GET", "/v1/tokens")).tokens;
  }

  /** By id or name. What was opened with it ends. */
  revokeToken(reference: string): Promise<void> {
    return this.#transport.done("DELETE", `/v1/tokens/${encodeURIComponent(reference)}`);
  }

  /** Sets a secret or gives it a new value, which the next attempt of each task gets that names it. */
  setSecret(name: string, value: string): Promise<SecretView> {
    return this.#transport.json("PUT", `/v1/secrets/${encodeURIComponent(name)}`, { body: { value } });
  }

  /** Their names and times; a value is never shown again. */
  async secrets(): Promise<readonly SecretView[]> {
    return (await this.#transport.json<{ secrets: SecretView[] }>("GET", "/v1/secrets")).secrets;
  }

  /** Refused while a task needs it that has not ended, unless `force`. */
  removeSecret(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const query = options.force ? "?force=true" : "";
    return this.#transport.done("DELETE", `/v1/secrets/${encodeURIComponent(name)}${query}`);
  }

  async workflows(): Promise<readonly WorkflowView[]> {
    return (await this.#transport.json<WorkflowList>("GET", "/v1/workflows")).workflows;
  }

  /** With its versions and last runs. */
  workflow(name: string): Promise<WorkflowDetailView> {
    return this.#transport.json("GET", workflowPath(name));
  }

  /** The document of a version, the newest unless said, and those that it includes. */
  workflowSource(name: string, version?: number): Promise<WorkflowSource> {
    return this.#transport.json("GET", `${workflowPath(name)}/source${query({ version })}`);
  }

  /** Registers a workflow under its document's name, or a new version of it. The same again changes nothing. */
  applyWorkflow(source: WorkflowSource): Promise<WorkflowApplied> {
    return this.#transport.json("PUT", workflowPath(String(source.workflow.name)), { body: source });
  }

  /** Its runs go on and are kept. */
  removeWorkflow(name: string): Promise<void> {
    return this.#transport.done("DELETE", workflowPath(name));
  }

  /** No slot of its schedule starts a run until it is unpaused. */
  pauseWorkflow(name: string): Promise<WorkflowDetailView> {
    return this.#transport.json("POST", `${workflowPath(name)}/pause`, { body: {} });
  }

  unpauseWorkflow(name: string): Promise<WorkflowDetailView> {
    return this.#transport.json("POST", `${workflowPath(name)}/unpause`, { body: {} });
  }

  /** Runs a registered workflow, or a document. With the same key again: the same run. */
  startRun(request: RunRequest, options: { readonly idempotencyKey?: string } = {}): Promise<RunView> {
    const headers = options.idempotencyKey === undefined ? undefined : { "idempotency-key": options.idempotencyKey };
    return this.#transport.json("POST", "/v1/runs", { body: request, headers });
  }

  /** Newest first, without their steps. */
  runs(filter: RunFilter = {}): AsyncGenerator<RunSummary> {
    return this.#pages<RunSummary, RunList>("/v1/runs", { ...filter }, (page) => page.runs);
  }

  /** By id, by the beginning of one, or by a workflow's name: then its newest run. */
  run(reference: string): Promise<RunView> {
    return this.#transport.json("GET", runPath(reference));
  }

  /** The run now and after each change, until it has ended; across breaks of the connection. */
  watchRun(reference: string, options: WatchRunOptions = {}): AsyncGenerator<RunView> {
    return watchRun(this, reference, options);
  }

  /** What it runs, whatever became of the workflow since. */
  runSource(reference: string): Promise<WorkflowSource> {
    return this.#transport.json("GET", `${runPath(reference)}/source`);
  }

  /** Resolves once that is durable; its steps end later, and what follows any end (finally) is run, unless `now`. */
  cancelRun(reference: string, request: CancelRequest = {}): Promise<RunView> {
    return this.#transport.json("POST", `${runPath(reference)}/cancel`, { body: request });
  }

  /** Lets a step pass that waits for approval. */
  approve(reference: string, step: string, request: ApproveRequest = {}): Promise<RunView> {
    return this.#transport.json("POST", `${stepPath(reference, step)}/approve`, { body: request });
  }

  /** Fails a step that waits for approval. */
  reject(reference: string, step: string, request: RejectRequest = {}): Promise<RunView> {
    return this.#transport.json("POST", `${stepPath(reference, step)}/reject`, { body: request });
  }

  /** A new run that keeps what succeeded in this one. */
  resumeRun(reference: string, request: ResumeRequest = {}): Promise<ResumeReply> {
    return this.#transport.json("POST", `${runPath(reference)}/resume`, { body: request });
  }

  /** The same document with the same params again, from its beginning. */
  rerun(reference: string): Promise<RunView> {
    return this.#transport.json("POST", `${runPath(reference)}/rerun`, { body: {} });
  }

  info(): Promise<DeckInfo> {
    return this.#transport.json("GET", "/v1/info");
  }

  /** All that the deck knows, as a file for `ormen restore`. As it comes: whoever keeps it checks that it is whole. */
  async backup(): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#transport.request("GET", "/v1/backup", { timeoutMs: null });
    return response.body!;
  }

  async *#pages<T, P extends { readonly next: string | null }>(
    path: string,
    filter: Record<string, string | boolean | undefined>,
    items: (page: P) => readonly T[],
  ): AsyncGenerator<T> {
    let cursor: string | null = null;
    do {
      const page: P = await this.#transport.json<P>("GET", path + query({ ...filter, limit: PAGE_SIZE, cursor }));
      yield* items(page);
      cursor = page.next;
    } while (cursor !== null);
  }
}

function taskPath(reference: string): string {
  return `/v1/tasks/${encodeURIComponent(reference)}`;
}

function nodePath(reference: string): string {
  return `/v1/nodes/${encodeURIComponent(reference)}`;
}

function workflowPath(name: string): string {
  return `/v1/workflows/${encodeURIComponent(name)}`;
}

function runPath(reference: string): string {
  return `/v1/runs/${encodeURIComponent(reference)}`;
}

function stepPath(reference: string, step: string): string {
  return `${runPath(reference)}/steps/${encodeURIComponent(step)}`;
}
