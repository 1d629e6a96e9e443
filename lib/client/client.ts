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
  SubmitBatchReply,
  TaskDetailView,
  TaskList,
  TaskView,
  TokenCreated,
  TokenCreateRequest,
  TokenView,
} from "../messages/api.ts";
import type { TaskDocument } from "../core/documents/task.ts";
import { DeckError } from "./errors.ts";
import { type ExecSession, openExec } from "./exec.ts";
import { type EventsOptions, followEvents } from "./sse.ts";
import { type ConnectOptions, query, Transport } from "./transport.ts";

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

export interface LogsOptions {
  readonly follow?: boolean;
  /** Number of last lines; all unless said. */
  readonly tail?: number | null;
  /** RFC 3339. */
  readonly since?: string | null;
  readonly timestamps?: boolean;
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

  constructor(transport: Transport) {
    this.#transport = transport;
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
    const { follow, tail, since, timestamps, signal } = options;
    const response = await this.#transport.request(
      "GET",
      `${taskPath(reference)}/logs${query({ follow, tail, since, timestamps })}`,
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

  /** What is kept of the past, oldest first, up to the newest. `since`: RFC 3339, or a duration such as `10m`. */
  async *pastEvents(options: { readonly after?: number; readonly since?: string } = {}): AsyncGenerator<EventView> {
    let start: { after?: number; since?: string } = options;
    while (true) {
      const page = await this.#transport.json<EventList>("GET", `/v1/events${query({ ...start, limit: PAGE_SIZE })}`);
      yield* page.events;
      const last = page.events.at(-1);
      if (last === undefined || page.next === null) return;
      start = { after: last.id };
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
