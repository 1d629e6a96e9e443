/**
 * A runtime for tests and simulations: an Engine in memory that does what its script says, in the clock's time alone.
 * `FakeEngine` outlives the runtimes on it, as a Docker Engine outlives sailors, and several nodes may share one.
 *
 * 1. Nothing happens by chance and nothing by real time: the same script and the same calls give the same history.
 * 2. Restart policies are the Engine's: `restarting` while it waits, the wait doubles from 100 ms, a run of 10 s resets it;
 *    stopped or killed by somebody is not restarted, ended by itself is.
 * 3. Host ports are taken at start and freed at the end, as Docker does.
 */
import type { BoundPort } from "../core/attempt.ts";
import type { RuntimeKind } from "../core/documents/task.ts";
import type { HttpAnswer } from "../core/outgoing.ts";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type {
  ContainerObservation,
  ContainerSpec,
  ContainerStatus,
  ExecOptions,
  ExecSession,
  LogOptions,
  OutputChunk,
  Runtime,
  RuntimeEvent,
  RuntimeInfo,
} from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE, RuntimeError } from "../contracts/runtime.ts";
import { scriptOfStep } from "./fake_script.ts";

/** What a call comes to: `hang` answers only when the caller gives up, the engine goes away, or `release` is called. */
export type FakeOutcome = "ok" | "hang" | RuntimeError;

export interface FakeLine {
  /** After the start. */
  readonly afterMs: number;
  readonly text: string;
  readonly stream?: OutputChunk["stream"];
}

/** What one run of a container does. */
export interface FakeScript {
  readonly create?: FakeOutcome;
  readonly start?: FakeOutcome;
  /** Undefined: it runs until somebody ends it. */
  readonly exit?: { readonly afterMs: number; readonly code: number; readonly oom?: boolean };
  /** How long it takes to obey its stop signal, and the code then; null: it does not. At once with 143 when undefined. */
  readonly onStop?: { readonly afterMs: number; readonly code: number } | null;
  readonly lines?: readonly FakeLine[];
  readonly exec?: (
    command: readonly string[],
    stdin: string,
    sinceStartMs: number,
  ) => { readonly code: number; readonly output?: string };
  /** The text behind ORMEN_OUTPUT; an error: it cannot be read. */
  readonly output?: string | RuntimeError;
  /** What came back to a request. */
  readonly answer?: HttpAnswer;
}

/** Asked at create (run 0) and at each start (run 1, 2, ...). Without one a step's script says it itself: see fake_script.ts. */
export type FakeScripts = (spec: ContainerSpec, run: number) => FakeScript;

export interface FakeEngine {
  /** Those that are there. */
  readonly images: Set<string>;
  /** Those that a pull gets. */
  readonly registry: Set<string>;
  /** What was asked for, as `create NAME`; looking is not recorded. */
  readonly calls: string[];
  /** The script of one container; null: that of the engine again. */
  script(name: string, script: FakeScript | null): void;
  /** Its process ends by itself; its policy answers. */
  exit(name: string, code: number, options?: { readonly oom?: boolean }): void;
  /** Somebody else kills it: it stays down. */
  kill(name: string): void;
  /** Somebody else removes it. */
  vanish(name: string): void;
  /** Lets go on what hangs. */
  release(): void;
  /** Containers run on, calls throw `unavailable`, event streams break. */
  away(): void;
  /** `restarted`: all containers died with it, and those whose policy says so have been started anew. */
  back(options?: { readonly restarted: boolean }): void;
  /** Every container of every node on it, as it is: for whoever judges from outside. */
  look(): ContainerObservation[];
  readonly [INSIDE]: Inside;
}

const INSIDE = Symbol("what runtimes see of their engine");

interface FakeContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly labels: Readonly<Record<string, string>>;
  status: ContainerStatus;
  exitCode: number | null;
  oomKilled: boolean;
  startedMs: number | null;
  finishedMs: number | null;
  startedMonoMs: number;
  restarts: number;
  runs: number;
  restartWaitMs: number;
  /** Off once it was stopped: its policy is `no` from then on. */
  policyOn: boolean;
  /** Somebody ended it, so that its policy does not answer. */
  killed: boolean;
  error: string | null;
  readonly ports: readonly BoundPort[];
  readonly output: { readonly atMs: number; readonly stream: OutputChunk["stream"]; readonly text: string }[];
  readonly changed: Set<() => void>;
  timers: (() => void)[];
  script: FakeScript;
}

type Watcher = (event: RuntimeEvent, ownerId?: string) => void;

interface Inside {
  readonly about: RuntimeInfo;
  readonly changed: () => void;
  readonly containers: Map<string, FakeContainer>;
  readonly watchers: Set<Watcher>;
  isAway(): boolean;
  enter(call?: string): Promise<void>;
  through(outcome: FakeOutcome | undefined, signal?: AbortSignal): Promise<void>;
  find(name: string): FakeContainer | undefined;
  make(spec: ContainerSpec, nodeId: string): FakeContainer;
  scriptOf(spec: ContainerSpec, run: number): FakeScript;
  start(container: FakeContainer): void;
  end(container: FakeContainer, code: number, oom?: boolean): void;
  remove(container: FakeContainer): void;
}

const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 60_000;
const RESTART_RESET_AFTER_MS = 10_000;
const FIRST_FREE_PORT = 32_768;

const ABOUT: RuntimeInfo = {
  engineId: "fake-engine",
  version: "fake",
  capacity: { cpuCores: 4, memoryBytes: 8 * 2 ** 30, diskBytes: 100 * 2 ** 30 },
};

export interface FakeEngineOptions {
  readonly clock: Clock;
  readonly script?: FakeScripts;
  readonly about?: RuntimeInfo;
  /** Something has changed of what `look` shows. */
  readonly onChange?: () => void;
}

export function createFakeEngine(options: FakeEngineOptions): FakeEngine {
  const { clock, about = ABOUT, onChange = () => {} } = options;
  const containers = new Map<string, FakeContainer>();
  const watchers = new Set<Watcher>();
  const scripts = new Map<string, FakeScript>();
  const hanging = new Set<{ readonly resolve: () => void; readonly reject: (error: Error) => void }>();
  const calls: string[] = [];
  const byId = new Map<string, FakeContainer>();
  let isAway = false;
  let nextId = 1;
  let nextPort = FIRST_FREE_PORT;

  const away = () => new RuntimeError("unavailable", "the fake engine does not answer");
  const emit: Watcher = (event, ownerId) => {
    if (isAway && event.kind === "container") return;
    for (const watcher of [...watchers]) watcher(event, ownerId);
  };
  const tell = (container: FakeContainer, what: "started" | "died" | "oom" | "removed") => {
    onChange();
    emit({ kind: "container", name: container.spec.name, what }, container.labels[LABEL_NODE]);
    for (const wake of [...container.changed]) wake();
  };
  const scriptOf = (spec: ContainerSpec, run: number) =>
    scripts.get(spec.name) ?? options.script?.(spec, run) ?? scriptOfStep(spec);

  function find(name: string): FakeContainer | undefined {
    return containers.get(name) ?? byId.get(name);
  }

  function known(name: string): FakeContainer {
    const container = find(name);
    if (!container) throw new Error(`the fake engine has no container ${name}; it has ${[...containers.keys()]}`);
    return container;
  }

  function make(spec: ContainerSpec, nodeId: string): FakeContainer {
    const container: FakeContainer = {
      id: `fake-${nextId++}`,
      spec,
      labels: { ...spec.labels, [LABEL_NODE]: nodeId },
      status: "created",
      exitCode: null,
      oomKilled: false,
      startedMs: null,
      finishedMs: null,
      startedMonoMs: 0,
      restarts: 0,
      runs: 0,
      restartWaitMs: 0,
      policyOn: true,
      killed: false,
      error: null,
      ports: spec.ports.map((port) => ({
        container: port.container,
        protocol: port.protocol,
        hostIp: port.hostIp ?? "0.0.0.0",
        host: port.host ?? nextPort++,
      })),
      output: [],
      changed: new Set(),
      timers: [],
      script: {},
    };
    containers.set(spec.name, container);
    byId.set(container.id, container);
    onChange();
    return container;
  }

  function start(container: FakeContainer): void {
    for (const port of container.ports) {
      const taken = [...containers.values()].some((other) =>
        other !== container && other.status === "running" &&
        other.ports.some((p) => p.host === port.host && p.protocol === port.protocol)
      );
      if (taken) {
        const words = `Bind for ${port.hostIp}:${port.host} failed: port is already allocated`;
        container.error = words;
        onChange();
        throw new RuntimeError("conflict", words);
      }
    }
    clearTimers(container);
    container.runs++;
    container.script = scriptOf(container.spec, container.runs);
    container.status = "running";
    container.exitCode = null;
    container.oomKilled = false;
    container.error = null;
    container.killed = false;
    container.startedMonoMs = clock.monoMs();
    // Two starts within one instant of the clock are still two.
    container.startedMs = Math.max(clock.wallMs(), (container.startedMs ?? 0) + 1);
    for (const line of container.script.lines ?? []) {
      const print = () => {
        container.output.push({ atMs: clock.wallMs(), stream: line.stream ?? "stdout", text: `${line.text}\n` });
        for (const wake of [...container.changed]) wake();
      };
      if (line.afterMs === 0) print();
      else container.timers.push(clock.after(line.afterMs, print));
    }
    const { exit } = container.script;
    if (exit) container.timers.push(clock.after(exit.afterMs, () => end(container, exit.code, exit.oom)));
    tell(container, "started");
  }

  function end(container: FakeContainer, code: number, oom = false): void {
    if (container.status !== "running") return;
    clearTimers(container);
    container.status = "exited";
    container.exitCode = code;
    container.oomKilled = oom;
    container.finishedMs = Math.max(clock.wallMs(), container.startedMs ?? 0);
    if (oom) tell(container, "oom");
    if (wantsRestart(container)) {
      const ranLong = clock.monoMs() - container.startedMonoMs >= RESTART_RESET_AFTER_MS;
      container.restartWaitMs = ranLong || container.restartWaitMs === 0
        ? RESTART_MIN_MS
        : Math.min(RESTART_MAX_MS, container.restartWaitMs * 2);
      container.status = "restarting";
      container.timers.push(clock.after(container.restartWaitMs, () => {
        container.restarts++;
        container.status = "exited";
        onChange();
        try {
          start(container);
        } catch {
          // Its port is taken: it stays down with the error that `start` left.
        }
      }));
    }
    tell(container, "died");
  }

  function clearTimers(container: FakeContainer): void {
    for (const cancel of container.timers) cancel();
    container.timers = [];
  }

  function remove(container: FakeContainer): void {
    clearTimers(container);
    container.killed = true;
    if (container.status === "running") end(container, 137);
    containers.delete(container.spec.name);
    byId.delete(container.id);
    tell(container, "removed");
  }

  return {
    images: new Set(),
    registry: new Set(),
    calls,
    script(name, script) {
      if (script) scripts.set(name, script);
      else scripts.delete(name);
    },
    exit: (name, code, { oom } = {}) => end(known(name), code, oom),
    kill(name) {
      const container = known(name);
      container.killed = true;
      if (container.status === "restarting") {
        clearTimers(container);
        container.status = "exited";
        tell(container, "died");
      } else end(container, 137);
    },
    vanish: (name) => remove(known(name)),
    release() {
      for (const call of hanging) call.resolve();
      hanging.clear();
    },
    away() {
      if (isAway) return;
      emit({ kind: "lost", reason: "the fake engine went away" });
      isAway = true;
      for (const call of hanging) call.reject(away());
      hanging.clear();
    },
    back({ restarted } = { restarted: false }) {
      if (restarted) {
        for (const container of containers.values()) {
          const ran = container.status === "running" || container.status === "restarting";
          clearTimers(container);
          if (container.status === "restarting") {
            container.status = "exited";
            onChange();
          }
          const before = container.killed;
          container.killed = true; // The engine itself answers below, not in its usual way.
          end(container, 137);
          container.killed = before;
          if (!ran || !wantsRestart(container)) continue;
          container.restarts = 0;
          container.restartWaitMs = 0;
          start(container);
        }
      }
      isAway = false;
      emit({ kind: "back" });
    },
    look: () => [...containers.values()].map(observe),
    [INSIDE]: {
      about,
      changed: onChange,
      containers,
      watchers,
      isAway: () => isAway,
      async enter(call) {
        if (call !== undefined) calls.push(call);
        await Promise.resolve();
        if (isAway) throw away();
      },
      async through(outcome, signal) {
        if (outcome instanceof RuntimeError) throw outcome;
        if (outcome !== "hang") return;
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const call = { resolve, reject };
        const leave = () => reject(new RuntimeError("failed", "the call was given up"));
        hanging.add(call);
        signal?.addEventListener("abort", leave);
        if (signal?.aborted) leave();
        try {
          await promise;
        } finally {
          hanging.delete(call);
          signal?.removeEventListener("abort", leave);
        }
      },
      find,
      make,
      scriptOf,
      start,
      end,
      remove,
    },
  };
}

function wantsRestart(container: FakeContainer): boolean {
  if (!container.policyOn || container.killed) return false;
  const { restart } = container.spec;
  switch (restart.kind) {
    case "no":
      return false;
    case "always":
    case "unlessStopped":
      return true;
    case "onFailure":
      return container.exitCode !== 0 &&
        (restart.attemptsMax === null || container.restarts < restart.attemptsMax);
    default:
      return restart satisfies never;
  }
}

export interface FakeRuntimeOptions {
  readonly nodeId: string;
  readonly engine: FakeEngine;
  readonly clock: Clock;
  readonly kind?: RuntimeKind;
}

/** One sailor's view of the engine. Dropping it without `close` is that sailor's crash: the engine goes on. */
export function createFakeRuntime(options: FakeRuntimeOptions): Runtime {
  const { nodeId, engine, clock } = options;
  const inside = engine[INSIDE];
  const own = (name: string) => {
    const container = inside.find(name);
    return container?.labels[LABEL_NODE] === nodeId ? container : undefined;
  };
  const need = (name: string) => {
    const container = inside.find(name);
    if (!container) throw new RuntimeError("missing", `no such container: ${name}`);
    return container;
  };

  async function stopRun(container: FakeContainer, graceMs: number): Promise<void> {
    if (container.status === "restarting") {
      for (const cancel of container.timers) cancel();
      container.timers = [];
      container.status = "exited";
      inside.changed();
      return;
    }
    if (container.status !== "running") return;
    container.killed = true;
    const answer = container.script.onStop === undefined ? { afterMs: 0, code: 143 } : container.script.onStop;
    const obeys = answer !== null && answer.afterMs <= graceMs;
    const waitMs = obeys ? answer.afterMs : graceMs;
    const { runs } = container;
    if (waitMs > 0) await pause(clock, waitMs);
    // It may have ended, been removed or been started anew meanwhile.
    if (container.runs === runs) inside.end(container, obeys ? answer.code : 137);
  }

  return {
    kind: options.kind ?? "docker",
    async info() {
      await inside.enter();
      return inside.about;
    },
    async list() {
      await inside.enter();
      return [...inside.containers.values()].filter((c) => c.labels[LABEL_NODE] === nodeId).map(observe);
    },
    async inspect(name) {
      await inside.enter();
      const container = inside.find(name);
      return container && observe(container);
    },
    async inspectRaw(name) {
      await inside.enter();
      const container = inside.find(name);
      return container && { ...observe(container), spec: container.spec };
    },
    async hasImage(image) {
      await inside.enter();
      return engine.images.has(image);
    },
    async pull(image, signal) {
      await inside.enter(`pull ${image}`);
      signal.throwIfAborted();
      if (!engine.registry.has(image)) throw new RuntimeError("failed", `cannot pull ${image}: manifest unknown`);
      engine.images.add(image);
    },
    async create(spec, signal) {
      signal.throwIfAborted();
      await inside.enter(`create ${spec.name}`);
      const existing = inside.find(spec.name);
      if (existing) {
        const same = existing.labels[LABEL_NODE] === nodeId &&
          existing.labels[LABEL_ATTEMPT] === spec.labels[LABEL_ATTEMPT];
        if (same) return observe(existing);
        throw new RuntimeError("conflict", `the name ${spec.name} is already in use by container ${existing.id}`);
      }
      if (!spec.http && spec.image !== "" && !engine.images.has(spec.image)) {
        throw new RuntimeError("noImage", `No such image: ${spec.image}`);
      }
      await inside.through(inside.scriptOf(spec, 0).create, signal);
      return observe(inside.find(spec.name) ?? inside.make(spec, nodeId));
    },
    async start(name) {
      await inside.enter(`start ${name}`);
      const container = need(name);
      if (container.status === "running") return;
      const { start } = inside.scriptOf(container.spec, container.runs + 1);
      if (start instanceof RuntimeError) container.error = start.message;
      await inside.through(start);
      if (inside.find(name) !== container) throw new RuntimeError("missing", `no such container: ${name}`);
      container.restarts = 0;
      container.restartWaitMs = 0;
      inside.start(container);
    },
    async stop(name, graceMs) {
      await inside.enter(`stop ${name}`);
      const container = own(name);
      if (!container) return;
      container.policyOn = false;
      await stopRun(container, graceMs);
    },
    async restart(name, graceMs) {
      await inside.enter(`restart ${name}`);
      const container = need(name);
      await stopRun(container, graceMs);
      if (inside.find(name) !== container) throw new RuntimeError("missing", `no such container: ${name}`);
      container.restarts = 0;
      container.restartWaitMs = 0;
      inside.start(container);
    },
    async remove(name) {
      await inside.enter(`remove ${name}`);
      const container = own(name);
      if (container) inside.remove(container);
    },
    async *logs(name, request, signal) {
      await inside.enter();
      yield* logsOf(inside, need(name), request, signal);
    },
    async leavings(name, bytesMax) {
      await inside.enter();
      const container = need(name);
      const { output = null, answer = null } = container.script;
      if (output instanceof RuntimeError) throw output;
      if (output !== null && encoder.encode(output).length > bytesMax) {
        throw new RuntimeError("failed", `the file behind ORMEN_OUTPUT holds more than ${bytesMax / 1024} KiB`);
      }
      return { output: container.spec.outputFile ? output ?? "" : null, answer };
    },
    async exec(name, request) {
      await inside.enter();
      const container = need(name);
      if (container.status !== "running") throw new RuntimeError("failed", `container ${name} is not running`);
      return execIn(container, request, clock.monoMs() - container.startedMonoMs);
    },
    events: (signal) => eventsOf(inside, nodeId, signal),
    close: () => Promise.resolve(),
  };
}

async function* eventsOf(inside: Inside, nodeId: string, signal: AbortSignal): AsyncIterable<RuntimeEvent> {
  const queue: RuntimeEvent[] = inside.isAway() ? [] : [{ kind: "back" }];
  let flowing = !inside.isAway();
  let wake = () => {};
  const watcher = (event: RuntimeEvent, ownerId?: string) => {
    if (event.kind === "container" ? ownerId !== nodeId : flowing === (event.kind === "back")) return;
    if (event.kind !== "container") flowing = event.kind === "back";
    queue.push(event);
    wake();
  };
  const leave = () => wake();
  inside.watchers.add(watcher);
  signal.addEventListener("abort", leave);
  try {
    while (!signal.aborted) {
      const event = queue.shift();
      if (event) yield event;
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    inside.watchers.delete(watcher);
    signal.removeEventListener("abort", leave);
  }
}

const encoder = new TextEncoder();

async function* logsOf(
  inside: Inside,
  container: FakeContainer,
  request: LogOptions,
  signal: AbortSignal,
): AsyncIterable<OutputChunk> {
  let at = request.tail === null ? 0 : Math.max(0, container.output.length - request.tail);
  let wake = () => {};
  const changed = () => wake();
  container.changed.add(changed);
  signal.addEventListener("abort", changed);
  try {
    while (!signal.aborted) {
      const line = container.output[at];
      if (line) {
        at++;
        if (request.sinceMs !== null && line.atMs < request.sinceMs) continue;
        const time = request.timestamps ? `${new Date(line.atMs).toISOString()} ` : "";
        yield { stream: line.stream, data: encoder.encode(time + line.text) };
        continue;
      }
      const there = inside.find(container.spec.name) === container;
      if (!request.follow || !there || container.status !== "running") return;
      await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    container.changed.delete(changed);
    signal.removeEventListener("abort", changed);
  }
}

/** The whole of its input is there before the command looks at it. */
function execIn(container: FakeContainer, request: ExecOptions, sinceStartMs: number): ExecSession {
  const input = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<number>();
  const decoder = new TextDecoder();
  let stdin = "";
  if (!request.stdin) input.resolve();
  async function* output(): AsyncIterable<OutputChunk> {
    await input.promise;
    const answer = container.script.exec?.(request.command, stdin, sinceStartMs) ?? { code: 0 };
    if (answer.output) yield { stream: "stdout", data: encoder.encode(answer.output) };
    exit.resolve(answer.code);
  }
  return {
    output: output(),
    exitCode: exit.promise,
    write(data) {
      stdin += decoder.decode(data, { stream: true });
      return Promise.resolve();
    },
    closeStdin() {
      input.resolve();
      return Promise.resolve();
    },
    resize: () => Promise.resolve(),
    close() {
      input.resolve();
      exit.resolve(137);
    },
  };
}

function observe(container: FakeContainer): ContainerObservation {
  return {
    id: container.id,
    name: container.spec.name,
    labels: container.labels,
    status: container.status,
    exitCode: container.exitCode,
    oomKilled: container.oomKilled,
    startedMs: container.startedMs,
    finishedMs: container.finishedMs,
    runtimeRestarts: container.restarts,
    ports: container.status === "running" ? container.ports : [],
    address: container.status === "running" ? "172.17.0.2" : null,
    error: container.error,
  };
}
