/** Runs commands in this process against a scripted deck, on a terminal or not, at a fixed time. */
import { main } from "../../lib/cli/main.ts";
import type { Io } from "../../lib/cli/io.ts";
import type { AttemptView, EventView, NodeView, TaskDetailView, TaskView } from "../../lib/messages/api.ts";

export const NOW_MS = Date.parse("2026-11-22T13:04:11Z");
export const ID = "bb1d59ef-9fc1-4e4b-a44d-db571eeed203";

export const at = (secondsAgo: number) => new Date(NOW_MS - secondsAgo * 1000).toISOString();

export class Exited extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

export interface FakeIo extends Io {
  readonly output: { out: string; err: string };
  readonly raw: boolean[];
  readonly signals: Map<string, () => void>;
}

export interface IoSetup {
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Sees all output as it comes. */
  readonly onOut?: (all: string) => void;
}

export function fakeIo(setup: IoSetup = {}): FakeIo {
  const output = { out: "", err: "" };
  const raw: boolean[] = [];
  const signals = new Map<string, () => void>();
  const text = (data: string | Uint8Array) => typeof data === "string" ? data : new TextDecoder().decode(data);
  return {
    output,
    raw,
    signals,
    out(data) {
      output.out += text(data);
      setup.onOut?.(output.out);
    },
    err: (data) => void (output.err += text(data)),
    outIsTerminal: setup.terminal === true,
    inIsTerminal: setup.terminal === true,
    size: () => ({ columns: setup.columns ?? 120, rows: 40 }),
    env: (name) => setup.env?.[name],
    readText: () => Promise.resolve(setup.stdin ?? ""),
    readChunks: () => ReadableStream.from(setup.stdin ? [new TextEncoder().encode(setup.stdin)] : []),
    setRaw: (on) => void raw.push(on),
    onSignal(signal, handler) {
      signals.set(signal, handler);
      return () => signals.delete(signal);
    },
    nowMs: () => NOW_MS,
    exit(code) {
      throw new Exited(code);
    },
  };
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function ormen(args: readonly string[], setup: IoSetup = {}): Promise<Outcome> {
  const io = fakeIo(setup);
  const code = await main(args, io);
  return { code, out: io.output.out, err: io.output.err };
}

export function attempt(changes: Partial<AttemptView> = {}): AttemptView {
  return {
    id: `${ID}-1`,
    number: 1,
    state: "running",
    node: "localhost:8081",
    nodeId: "n1",
    containerId: "c1",
    containerName: "ormen-bb1d59ef-1",
    ports: [{ container: 7777, protocol: "tcp", host: 7777, hostIp: "0.0.0.0" }],
    health: "healthy",
    healthOutput: null,
    restarts: 0,
    healthRestarts: 0,
    exitCode: null,
    oomKilled: false,
    message: null,
    reason: null,
    outputTail: null,
    createdAt: at(121),
    startedAt: at(120),
    finishedAt: null,
    ...changes,
  };
}

export function task(changes: Partial<TaskView> = {}): TaskView {
  return {
    id: ID,
    name: "web",
    image: "timboring/echo-server:latest",
    state: "running",
    why: null,
    desired: "run",
    labels: {},
    createdAt: at(125),
    endedAt: null,
    retryAt: null,
    attempts: 1,
    attempt: attempt(),
    ...changes,
  };
}

export function detail(changes: Partial<TaskDetailView> = {}): TaskDetailView {
  const view = task(changes);
  return {
    ...view,
    spec: { name: view.name, image: view.image, health: { http: "/health" } },
    history: view.attempt ? [view.attempt] : [],
    events: [event(1, "taskAccepted", { message: "accepted" })],
    ...changes,
  };
}

export function event(id: number, kind: string, changes: Partial<EventView> = {}): EventView {
  return {
    id,
    at: at(60 - id),
    kind,
    taskId: ID,
    task: "web",
    attemptId: null,
    nodeId: null,
    node: null,
    message: kind,
    runId: null,
    step: null,
    ...changes,
  };
}

export function node(changes: Partial<NodeView> = {}): NodeView {
  return {
    id: "n1",
    name: "localhost:8080",
    address: "http://localhost:8080",
    status: "ready",
    eligibility: "eligible",
    statusSince: at(300),
    labels: { zone: "eu" },
    runtimes: ["docker"],
    allows: null,
    runtimesAway: [],
    engineId: "e1",
    version: "0.1.0",
    cpu: { total: 8, reserved: 1.5 },
    memory: { total: 24105 * 2 ** 20, reserved: 2 ** 30 },
    disk: { total: 270 * 2 ** 30, reserved: 0 },
    load1: 0.2,
    tasks: 1,
    localTasks: 0,
    ...changes,
  };
}

/** Runs it until `enough` of its output has come, which then makes it fail: for commands that never end. */
export async function ormenUntil(args: readonly string[], enough: (out: string) => boolean, setup: IoSetup = {}) {
  const stop = new Error("enough");
  let all = "";
  await ormen(args, {
    ...setup,
    onOut(out) {
      all = out;
      if (enough(out)) throw stop;
    },
  });
  return all;
}
