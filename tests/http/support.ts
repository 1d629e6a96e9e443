/** A deck out of a script behind its HTTP app, a clock that stands still, links in memory. */
import type { Clock } from "../../lib/contracts/clock.ts";
import type { Link } from "../../lib/contracts/link.ts";
import type { Logger } from "../../lib/contracts/logger.ts";
import type { DeckApi, NewTask, OutputPiece, OutputStream } from "../../lib/deck/api.ts";
import { createDeckApp } from "../../lib/http/deck_app.ts";
import type { HttpApp } from "../../lib/http/deck_app.ts";
import type { AuthOptions } from "../../lib/http/guards.ts";
import type { EventView, NodeView, TaskDetailView } from "../../lib/messages/api.ts";
import type { RunView, WorkflowDetailView } from "../../lib/messages/run_api.ts";
import { nodeView, RUN_ID, runView, sailRecord, SOURCE, TASK_ID, taskDetail, WALL_MS } from "./records.ts";
import { workflowDetail, workflowView } from "./records.ts";

export const OPEN: AuthOptions = { token: null, listenHost: "127.0.0.1" };

export class VirtualClock implements Clock {
  #nowMs = 0;
  #timers: { dueMs: number; task: () => void }[] = [];

  wallMs = () => WALL_MS + this.#nowMs;
  monoMs = () => this.#nowMs;

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** Timers set meanwhile run too, when they fall due. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (true) {
      const next = this.#timers.filter((t) => t.dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = next.dueMs;
      next.task();
    }
    this.#nowMs = endMs;
  }

  get pending(): number {
    return this.#timers.length;
  }
}

export class RecordingLogger implements Logger {
  readonly errors: string[] = [];
  debug() {}
  info() {}
  warn() {}
  error(message: string, fields?: Record<string, unknown>) {
    this.errors.push(`${message} ${JSON.stringify(fields ?? {})}`);
  }
}

/** One end of a link; the test plays the other. */
export class FakeLink implements Link {
  readonly sent: (string | Uint8Array)[] = [];
  closedWith: string | null = null;
  unsent = 0;
  #onFrame: (frame: string | Uint8Array) => void = () => {};
  #onClose: (reason: string) => void = () => {};
  #onSent: () => void = () => {};

  send(frame: string | Uint8Array): void {
    if (this.closedWith !== null) return;
    this.sent.push(frame);
    this.#onSent();
  }
  buffered = () => this.unsent;
  onFrame(handler: (frame: string | Uint8Array) => void): void {
    this.#onFrame = handler;
  }
  onClose(handler: (reason: string) => void): void {
    this.#onClose = handler;
  }
  close(reason: string): void {
    this.closedWith ??= reason;
  }

  receive(frame: string | Uint8Array | object): void {
    this.#onFrame(typeof frame === "string" || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
  }
  hangUp(): void {
    this.#onClose("gone");
  }
  /** Resolves once `count` frames were sent. */
  async waitSent(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise<void>((resolve) => this.#onSent = resolve);
  }
}

/** Output that a test feeds piece by piece; counts how many were asked for. */
export class FakeOutput implements OutputStream {
  closed = false;
  taken = 0;
  constructor(readonly pieces: readonly OutputPiece[], readonly failure: Error | null = null) {}

  close(): void {
    this.closed = true;
  }
  async *[Symbol.asyncIterator](): AsyncIterator<OutputPiece> {
    for (const piece of this.pieces) {
      this.taken++;
      yield await Promise.resolve(piece);
    }
    if (this.failure) throw this.failure;
  }
}

export function piece(text: string, stream: "stdout" | "stderr" = "stdout"): OutputPiece {
  return { stream, data: new TextEncoder().encode(text) };
}

export function streamUnavailable(code: string, message: string): Error {
  return Object.assign(new Error(message), { name: "StreamUnavailable", code });
}

/** Answers what a test put in; remembers what it was asked. Anything not scripted throws. */
export class ScriptedDeck {
  readonly calls: unknown[][] = [];
  readonly events: EventView[] = [];
  oldestEvent = 1;
  readonly watchers = new Set<(events: readonly EventView[]) => void>();
  readonly tasks = new Map<string, TaskDetailView>();
  readonly nodes = new Map<string, NodeView>();
  readonly workflows = new Map<string, WorkflowDetailView>();
  readonly runs = new Map<string, RunView>();
  overrides: Partial<DeckApi> = {};

  publish(...events: EventView[]): void {
    this.events.push(...events);
    for (const watcher of [...this.watchers]) watcher(events);
  }

  api(): DeckApi {
    const answers: Partial<DeckApi> = {
      submit: (task: NewTask) =>
        Promise.resolve({
          kind: "accepted",
          created: true,
          sail: sailRecord({ id: task.id ?? TASK_ID, name: task.spec.name }),
        }),
      submitBatch: ({ ids, specs }) =>
        Promise.resolve({ kind: "done", items: specs.map(({ name }, i) => ({ id: ids[i], name, error: null })) }),
      stop: (id) =>
        Promise.resolve(
          this.tasks.has(id) ? { kind: "done", message: "stopping" } : { kind: "notFound", message: `no task ${id}` },
        ),
      drain: () => Promise.resolve({ kind: "done", message: "draining" }),
      resume: () => Promise.resolve({ kind: "done", message: "resumed" }),
      removeNode: () => Promise.resolve({ kind: "done", message: "removed" }),
      findTask: (reference) => {
        const task = this.tasks.get(reference) ?? [...this.tasks.values()].find((t) => t.name === reference);
        return task ? { kind: "found", value: task } : { kind: "none" };
      },
      summaryOf: (id) => {
        const task = this.tasks.get(id);
        if (!task) return undefined;
        const { spec: _s, history: _h, events: _e, ...view } = task;
        return view;
      },
      findNode: (reference) => {
        const node = this.nodes.get(reference) ?? [...this.nodes.values()].find((n) => n.name === reference);
        return node ? { kind: "found", value: node } : { kind: "none" };
      },
      listTasks: (_filter, _limit, cursor) =>
        cursor === "bad" ? undefined : {
          items: [...this.tasks.values()].map(({ spec: _s, history: _h, events: _e, ...view }) => view),
          next: cursor === null ? "more" : null,
        },
      listNodes: (_limit, cursor) => cursor === "bad" ? undefined : { items: [...this.nodes.values()], next: null },
      listEvents: (after, limit) => this.events.filter((e) => e.id > after && e.id >= this.oldestEvent).slice(0, limit),
      eventRange: () => ({
        oldest: this.events.length === 0 ? 0 : this.oldestEvent,
        newest: this.events.at(-1)?.id ?? 0,
      }),
      subscribe: (onEvents) => {
        this.watchers.add(onEvents);
        return { close: () => void this.watchers.delete(onEvents) };
      },
      applyWorkflow: ({ workflow }) =>
        Promise.resolve({
          kind: "applied",
          workflow: workflowView({ name: String(workflow.name) }),
          change: this.workflows.has(String(workflow.name)) ? "updated" : "created",
        }),
      removeWorkflow: () => Promise.resolve({ kind: "done", message: "removed" }),
      pauseWorkflow: () => Promise.resolve({ kind: "done", message: "paused" }),
      listWorkflows: () => [...this.workflows.values()].map(({ versions: _v, runs: _r, ...view }) => view),
      findWorkflow: (name) => this.workflows.get(name),
      workflowSource: (_name, version) => version === undefined || version === 1 ? SOURCE : undefined,
      startRun: () => Promise.resolve({ kind: "started", run: runView() }),
      findRun: (reference) => {
        const run = this.runs.get(reference) ?? [...this.runs.values()].find((each) => each.workflow === reference);
        return run ? { kind: "found", value: run } : { kind: "none" };
      },
      listRuns: (_filter, _limit, cursor) =>
        cursor === "bad" ? undefined : {
          items: [...this.runs.values()].map(({ steps: _s, outputs: _o, ...summary }) => summary),
          next: cursor === null ? "more" : null,
        },
      runSource: () => SOURCE,
      cancelRun: () => Promise.resolve({ kind: "done", message: "cancelling" }),
      decideApproval: () => Promise.resolve({ kind: "done", message: "approved" }),
      resumeRun: () =>
        Promise.resolve({ kind: "started", run: { ...runView({ id: "deploy-2" }), kept: ["build"], again: ["ship"] } }),
      rerun: () => Promise.resolve({ kind: "started", run: runView({ id: "deploy-3" }) }),
      originalTasks: () => [],
      originalNodes: () => [],
      acceptSession: () => {},
      acceptStreams: () => {},
      notReady: () => null,
      backup: () => ({
        about: { of: "deck", clusterId: "c", term: 1, sequence: 1, program: "test", takenMs: WALL_MS },
        records: [],
      }),
      info: () => ({
        version: "0.1.0",
        commit: "dev",
        clusterId: "cluster",
        term: 1,
        scheduler: "epvm",
        startedAt: "2026-11-22T13:31:04.000Z",
      }),
      metrics: () => ({ expose: () => "ormen_deck_test 1\n" }),
    };
    return new Proxy({} as DeckApi, {
      get: (_, name: keyof DeckApi) => (...args: unknown[]) => {
        this.calls.push([name, ...args]);
        const act = this.overrides[name] ?? answers[name];
        if (!act) throw new Error(`not scripted: ${name}`);
        return (act as (...args: unknown[]) => unknown)(...args);
      },
    });
  }

  /** The arguments of the calls of one method. */
  callsOf(name: keyof DeckApi): unknown[][] {
    return this.calls.filter((call) => call[0] === name).map((call) => call.slice(1));
  }
}

export interface Rig {
  readonly deck: ScriptedDeck;
  readonly app: HttpApp;
  readonly clock: VirtualClock;
  readonly logger: RecordingLogger;
  readonly links: FakeLink[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** A deck with one task, one node, one workflow and one run of it behind its HTTP app. */
export function deckRig(auth: AuthOptions = OPEN): Rig {
  const deck = new ScriptedDeck();
  deck.tasks.set(TASK_ID, taskDetail());
  deck.nodes.set("node-a", nodeView());
  deck.workflows.set("deploy", workflowDetail());
  deck.runs.set(RUN_ID, runView());
  const clock = new VirtualClock();
  const logger = new RecordingLogger();
  const links: FakeLink[] = [];
  const upgrade = () => {
    const link = new FakeLink();
    links.push(link);
    return { response: new Response(null, { status: 200, headers: { upgraded: "yes" } }), link };
  };
  const app = createDeckApp({ deck: deck.api(), clock, logger, auth, version: "0.1.0", upgrade });
  return { deck, app, clock, logger, links, fetch: (path, init) => call(app, path, init) };
}

export async function call(app: HttpApp, path: string, init?: RequestInit): Promise<Response> {
  const request = new Request(`http://localhost:5555${path}`, init);
  return await app.fetch(request, { remoteAddr: { hostname: "127.0.0.1" } });
}

export function postJson(value: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", body: JSON.stringify(value), headers: { "content-type": "application/json", ...headers } };
}
