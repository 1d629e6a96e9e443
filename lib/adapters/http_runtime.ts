/**
 * The runtime of http steps: each "container" is one request, made by this process. `create` notes it, `start` makes it, and
 * what comes back is its output: the body on stdout, a line about each hop on stderr, status and headers as its leavings.
 *
 * 1. It has ended with 0 when an answer came, whatever its status; with 1 when none did, 143 when it was stopped.
 * 2. Nothing of it outlives the process: what was under way when a sailor died is gone, and so is what had been answered.
 */
import type { Clock } from "../contracts/clock.ts";
import type {
  ContainerObservation,
  ContainerSpec,
  ContainerStatus,
  OutputChunk,
  Runtime,
  RuntimeEvent,
} from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE, RuntimeError } from "../contracts/runtime.ts";
import type { HttpAnswer } from "../core/outgoing.ts";
import { STDOUT_BYTES_MAX } from "../core/outgoing.ts";
import type { Printed } from "./http_logs.ts";
import { requestLogs } from "./http_logs.ts";
import { makeRequest, reasonOf } from "./http_request.ts";

export interface HttpRuntimeOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  /** PEM: authorities that are trusted besides the system's. */
  readonly caCerts?: readonly string[];
}

const TIMEOUT_MS = 60_000;
/** One more than is reported, so that it shows that there was more. */
const BODY_BYTES_MAX = STDOUT_BYTES_MAX + 1;
const STOPPED = 143;

interface Sent {
  readonly spec: ContainerSpec;
  readonly labels: Readonly<Record<string, string>>;
  status: Extract<ContainerStatus, "created" | "running" | "exited">;
  exitCode: number | null;
  error: string | null;
  startedMs: number | null;
  finishedMs: number | null;
  answer: HttpAnswer | null;
  readonly output: Printed[];
  bodyBytes: number;
  abort: AbortController;
  over: Promise<void>;
  readonly changed: Set<() => void>;
}

export function createHttpRuntime({ nodeId, clock, caCerts = [] }: HttpRuntimeOptions): Runtime {
  const requests = new Map<string, Sent>();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const encoder = new TextEncoder();

  function tell(name: string, what: "started" | "died" | "removed"): void {
    for (const listener of [...listeners]) listener({ kind: "container", name, what });
    for (const wake of [...requests.get(name)?.changed ?? []]) wake();
  }

  function print(sent: Sent, chunk: OutputChunk): void {
    sent.output.push({ atMs: clock.wallMs(), chunk });
    for (const wake of [...sent.changed]) wake();
  }

  function need(name: string): Sent {
    const sent = requests.get(name);
    if (!sent) throw new RuntimeError("missing", `no such request: ${name}`);
    return sent;
  }

  function start(name: string): void {
    const sent = need(name);
    if (sent.status === "running") return;
    sent.output.length = 0;
    Object.assign(sent, {
      status: "running",
      exitCode: null,
      error: null,
      finishedMs: null,
      answer: null,
      bodyBytes: 0,
    });
    sent.startedMs = Math.max(clock.wallMs(), (sent.startedMs ?? 0) + 1);
    sent.abort = new AbortController();
    sent.over = carryOut(sent, sent.abort);
    tell(name, "started");
  }

  async function carryOut(sent: Sent, abort: AbortController): Promise<void> {
    const http = sent.spec.http!;
    const timeoutMs = http.timeoutMs ?? TIMEOUT_MS;
    const sinceMonoMs = clock.monoMs();
    const say = (text: string) => print(sent, { stream: "stderr", data: encoder.encode(`${text}\n`) });
    let late = false;
    const cancel = clock.after(timeoutMs, () => {
      late = true;
      abort.abort();
    });
    try {
      await makeRequest(http, {
        signal: abort.signal,
        caCerts,
        onRedirect: (from, status, to) => say(`${from.method} ${from.url} -> ${status}, on to ${to.url}`),
        onAnswer({ method, url }, answer) {
          sent.answer = answer;
          say(`${method} ${url} -> ${answer.status} in ${Math.round(clock.monoMs() - sinceMonoMs)} ms`);
        },
        onBody(data) {
          const kept = data.slice(0, BODY_BYTES_MAX - sent.bodyBytes);
          sent.bodyBytes += kept.length;
          print(sent, { stream: "stdout", data: kept });
          return sent.bodyBytes < BODY_BYTES_MAX;
        },
      });
      sent.exitCode = 0;
    } catch (error) {
      const isStopped = abort.signal.aborted && !late;
      const reason = late
        ? `${sent.answer ? "not all of the answer" : "no answer"} within ${timeoutMs / 1000} s`
        : isStopped
        ? "it was stopped"
        : sent.answer
        ? `not all of the answer came: ${reasonOf(error)}`
        : reasonOf(error);
      sent.exitCode = isStopped ? STOPPED : 1;
      sent.error = reason;
      say(`${http.method.toUpperCase()} ${http.url} -> ${reason}`);
    } finally {
      cancel();
      // Whatever of the answer was not wanted is not read.
      abort.abort();
    }
    sent.status = "exited";
    sent.finishedMs = Math.max(clock.wallMs(), sent.startedMs!);
    tell(sent.spec.name, "died");
  }

  async function stop(name: string): Promise<void> {
    const sent = requests.get(name);
    if (sent?.status !== "running") return;
    sent.abort.abort();
    await sent.over;
  }

  return {
    kind: "http",
    info: () =>
      Promise.resolve({
        engineId: `http:${nodeId}`,
        version: Deno.version.deno,
        // It takes of the machine what its sailor does.
        capacity: { cpuCores: 0, memoryBytes: 0, diskBytes: 0 },
      }),
    list: () => Promise.resolve([...requests.values()].map(observe)),
    inspect(name) {
      const sent = requests.get(name);
      return Promise.resolve(sent && observe(sent));
    },
    inspectRaw(name) {
      const sent = requests.get(name);
      // Headers may bear what is nobody else's business.
      return Promise.resolve(sent && { ...observe(sent), method: sent.spec.http!.method, url: sent.spec.http!.url });
    },
    hasImage: () => Promise.resolve(true),
    pull: () => Promise.resolve(),
    create(spec, signal) {
      return new Promise((resolve) => {
        signal.throwIfAborted();
        if (!spec.http) throw new RuntimeError("invalid", "the runtime http makes requests, and the task has none");
        const existing = requests.get(spec.name);
        if (existing && existing.labels[LABEL_ATTEMPT] !== spec.labels[LABEL_ATTEMPT]) {
          throw new RuntimeError("conflict", `the name ${spec.name} is taken by another request`);
        }
        if (!existing) requests.set(spec.name, noted(spec, { ...spec.labels, [LABEL_NODE]: nodeId }));
        resolve(observe(need(spec.name)));
      });
    },
    start: (name) =>
      new Promise((resolve) => {
        start(name);
        resolve();
      }),
    stop,
    async restart(name) {
      need(name);
      await stop(name);
      start(name);
    },
    async remove(name) {
      await stop(name);
      if (requests.delete(name)) tell(name, "removed");
    },
    async *logs(name, options, signal) {
      yield* requestLogs(need(name), options, signal);
    },
    leavings: (name) =>
      new Promise((resolve) => {
        resolve({ output: null, answer: need(name).answer });
      }),
    exec: (name) =>
      Promise.reject(new RuntimeError("failed", `${name} is a request: there is nothing to run a command in`)),
    async *events(signal) {
      const queue: RuntimeEvent[] = [{ kind: "back" }];
      let wake = () => {};
      const listener = (event: RuntimeEvent) => {
        queue.push(event);
        wake();
      };
      const leave = () => wake();
      listeners.add(listener);
      signal.addEventListener("abort", leave);
      try {
        while (!signal.aborted) {
          const event = queue.shift();
          if (event) yield event;
          else await new Promise<void>((resolve) => wake = resolve);
        }
      } finally {
        listeners.delete(listener);
        signal.removeEventListener("abort", leave);
      }
    },
    async close() {
      for (const name of requests.keys()) await stop(name);
    },
  };
}

function noted(spec: ContainerSpec, labels: Readonly<Record<string, string>>): Sent {
  return {
    spec,
    labels,
    status: "created",
    exitCode: null,
    error: null,
    startedMs: null,
    finishedMs: null,
    answer: null,
    output: [],
    bodyBytes: 0,
    abort: new AbortController(),
    over: Promise.resolve(),
    changed: new Set(),
  };
}

function observe(sent: Sent): ContainerObservation {
  return {
    id: sent.spec.name,
    name: sent.spec.name,
    labels: sent.labels,
    status: sent.status,
    exitCode: sent.exitCode,
    oomKilled: false,
    startedMs: sent.startedMs,
    finishedMs: sent.finishedMs,
    runtimeRestarts: 0,
    ports: [],
    address: null,
    error: sent.error,
  };
}
