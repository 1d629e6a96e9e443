/**
 * An Engine that does what a test says, in virtual time. `FakeEngine` outlives the runtimes on it, as a Docker Engine
 * outlives sailors: a crash of the sailor is another runtime on the same engine.
 */
import type { VirtualClock } from "../../fixtures/virtual_clock.ts";
import type {
  ContainerObservation,
  ContainerSpec,
  ContainerStatus,
  Leavings,
  OutputChunk,
  Runtime,
  RuntimeEvent,
} from "../../../lib/contracts/runtime.ts";
import type { BoundPort } from "../../../lib/core/attempt.ts";
import { LABEL_ATTEMPT, LABEL_NODE, RuntimeError } from "../../../lib/contracts/runtime.ts";

export type Operation =
  | "info"
  | "list"
  | "inspect"
  | "pull"
  | "create"
  | "start"
  | "stop"
  | "restart"
  | "remove"
  | "leavings";

export interface FakeContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly labels: Readonly<Record<string, string>>;
  status: ContainerStatus;
  exitCode: number | null;
  oomKilled: boolean;
  startedMs: number | null;
  finishedMs: number | null;
  runtimeRestarts: number;
  /** Off once it was stopped. */
  restarts: boolean;
  output: string;
  leavings: Leavings;
  error: string | null;
  readonly ports: readonly BoundPort[];
}

export interface ExecAnswer {
  readonly code: number;
  readonly output?: string;
  readonly hangs?: boolean;
}

type Enter = (operation: Operation, about?: string) => Promise<void>;

const ENGINE_RESTART_MS = 100;
const never = new Promise<never>(() => {});

export class FakeEngine {
  readonly containers = new Map<string, FakeContainer>();
  readonly images = new Set<string>(["web:1"]);
  readonly registry = new Set<string>(["web:1", "other:1"]);
  /** What was asked for, as `create NAME`; looking is not recorded. */
  readonly calls: string[] = [];
  /** The exit code of a container that is stopped by signal. */
  stopExitCode = 143;
  exec: (command: readonly string[]) => ExecAnswer = () => ({ code: 0 });
  readonly #failures = new Map<Operation, RuntimeError[]>();
  readonly #gates = new Map<Operation, Promise<void>>();
  readonly #watchers = new Set<(event: RuntimeEvent) => void>();
  /** Calls of an older generation never answer: their process is dead. */
  #generation = 0;
  #away = false;
  #nextId = 1;
  #nextPort = 32_768;

  constructor(readonly clock: VirtualClock, readonly kind: "docker" | "process" = "docker") {}

  /** The next call of `operation` fails. */
  fail(operation: Operation, error: RuntimeError): void {
    const list = this.#failures.get(operation) ?? [];
    this.#failures.set(operation, [...list, error]);
  }

  /** Calls of `operation` wait, having been recorded, until the result is called. */
  hold(operation: Operation): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates.set(operation, promise);
    return () => {
      this.#gates.delete(operation);
      resolve();
    };
  }

  goAway(): void {
    this.#away = true;
    this.#emit({ kind: "lost", reason: "the socket is gone" });
  }

  comeBack(): void {
    this.#away = false;
    this.#emit({ kind: "back" });
  }

  /** Whoever uses the engine dies. What was asked of it before is done or not, as the gates stand; nobody hears of it. */
  forgetClients(): void {
    this.#generation++;
    this.#watchers.clear();
  }

  container(name: string): FakeContainer {
    const container = this.containers.get(name);
    if (!container) throw new Error(`the fake engine has no container ${name}: ${[...this.containers.keys()]}`);
    return container;
  }

  /** Its process ends by itself; the engine answers by its policy where it does such things. */
  exit(
    name: string,
    exitCode: number,
    options: { oom?: boolean; output?: string; leavings?: Leavings } = {},
  ): void {
    const container = this.container(name);
    this.#end(container, exitCode);
    container.oomKilled = options.oom ?? false;
    container.output += options.output ?? "";
    container.leavings = options.leavings ?? container.leavings;
    const { restart } = container.spec;
    const again = this.kind === "docker" && container.restarts && (restart.kind === "always" ||
      restart.kind === "unlessStopped" ||
      (restart.kind === "onFailure" && exitCode !== 0 &&
        (restart.attemptsMax === null || container.runtimeRestarts < restart.attemptsMax)));
    if (again) {
      container.status = "restarting";
      this.clock.after(ENGINE_RESTART_MS, () => {
        if (container.status !== "restarting") return;
        container.runtimeRestarts++;
        this.#start(container);
      });
    }
    this.#emit({ kind: "container", name, what: "died" });
  }

  /** Somebody else kills it (`docker kill`): the engine lets it lie. */
  kill(name: string): void {
    this.#end(this.container(name), 137);
    this.#emit({ kind: "container", name, what: "died" });
  }

  /** Somebody else starts it, or a start that was asked for long ago is carried out. */
  startLate(name: string): void {
    this.#start(this.container(name));
  }

  /** Somebody else removes it. */
  vanish(name: string): void {
    this.containers.delete(name);
    this.#emit({ kind: "container", name, what: "removed" });
  }

  runtime(nodeId: string): Runtime {
    const generation = this.#generation;
    const enter: Enter = (operation, about) => this.#enter(generation, operation, about);
    return {
      kind: this.kind,
      info: async () => {
        await enter("info");
        return {
          engineId: "engine-1",
          version: "fake",
          capacity: { cpuCores: 4, memoryBytes: 8 * 2 ** 30, diskBytes: 100 * 2 ** 30 },
        };
      },
      list: async () => {
        await enter("list");
        return [...this.containers.values()].filter((c) => c.labels[LABEL_NODE] === nodeId).map(observe);
      },
      inspect: async (name) => {
        await enter("inspect");
        const container = this.containers.get(name);
        return container && observe(container);
      },
      inspectRaw: async (name) => {
        await enter("inspect");
        return this.containers.get(name);
      },
      hasImage: (image) => Promise.resolve(this.images.has(image)),
      pull: (image, signal) => this.#pull(enter, image, signal),
      create: (spec) => this.#create(enter, spec, nodeId),
      start: async (name) => {
        await enter("start", name);
        const container = this.containers.get(name);
        if (!container) throw new RuntimeError("missing", `no such container: ${name}`);
        if (container.status !== "running") this.#start(container);
      },
      stop: async (name) => {
        await enter("stop", name);
        const container = this.containers.get(name);
        if (!container) return;
        container.restarts = false;
        if (container.status !== "running" && container.status !== "restarting") return;
        this.#end(container, this.stopExitCode);
        this.#emit({ kind: "container", name, what: "died" });
      },
      restart: async (name) => {
        await enter("restart", name);
        const container = this.container(name);
        this.#end(container, this.stopExitCode);
        this.#emit({ kind: "container", name, what: "died" });
        this.#start(container);
      },
      remove: async (name) => {
        await enter("remove", name);
        this.containers.delete(name);
      },
      logs: (name) => this.#logs(enter, name),
      leavings: async (name) => {
        await enter("leavings", name);
        return this.container(name).leavings;
      },
      exec: (_name, { command }) => this.#exec(enter, command),
      events: (signal) => this.#events(signal),
      close: () => Promise.resolve(),
    };
  }

  async #enter(generation: number, operation: Operation, about?: string): Promise<void> {
    const dead = () => generation !== this.#generation;
    if (dead()) return await never;
    if (about !== undefined) this.calls.push(`${operation} ${about}`);
    await this.#gates.get(operation);
    if (dead()) return await never;
    if (this.#away) throw new RuntimeError("unavailable", "the engine does not answer");
    const error = this.#failures.get(operation)?.shift();
    if (error) throw error;
  }

  async #pull(enter: Enter, image: string, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    signal.addEventListener("abort", () => aborted.reject(new RuntimeError("failed", "the pull was given up")));
    await Promise.race([enter("pull", image), aborted.promise]);
    if (!this.registry.has(image)) throw new RuntimeError("failed", `cannot pull ${image}: manifest unknown`);
    this.images.add(image);
  }

  async #create(enter: Enter, spec: ContainerSpec, nodeId: string): Promise<ContainerObservation> {
    await enter("create", spec.name);
    const existing = this.containers.get(spec.name);
    if (existing) {
      if (existing.labels[LABEL_ATTEMPT] === spec.labels[LABEL_ATTEMPT]) return observe(existing);
      throw new RuntimeError("conflict", `the name ${spec.name} is in use`);
    }
    if (spec.image !== "" && !this.images.has(spec.image)) {
      throw new RuntimeError("noImage", `no such image: ${spec.image}`);
    }
    const container: FakeContainer = {
      id: `id-${this.#nextId++}`,
      spec,
      labels: { ...spec.labels, [LABEL_NODE]: nodeId },
      status: "created",
      exitCode: null,
      oomKilled: false,
      startedMs: null,
      finishedMs: null,
      runtimeRestarts: 0,
      restarts: true,
      output: "",
      leavings: { output: spec.outputFile ? "" : null, answer: null },
      error: null,
      ports: spec.ports.map(({ container, protocol, host, hostIp }) => ({
        container,
        protocol,
        hostIp: hostIp ?? "0.0.0.0",
        host: host ?? this.#nextPort++,
      })),
    };
    this.containers.set(spec.name, container);
    return observe(container);
  }

  #start(container: FakeContainer): void {
    container.status = "running";
    // Two starts within one instant of virtual time are still two.
    container.startedMs = Math.max(this.clock.wallMs(), (container.startedMs ?? 0) + 1);
    this.#emit({ kind: "container", name: container.spec.name, what: "started" });
  }

  #end(container: FakeContainer, exitCode: number): void {
    container.status = "exited";
    container.exitCode = exitCode;
    container.finishedMs = this.clock.wallMs();
  }

  async *#logs(enter: Enter, name: string): AsyncIterable<OutputChunk> {
    await enter("inspect");
    yield { stream: "stdout", data: new TextEncoder().encode(this.container(name).output) };
  }

  async #exec(enter: Enter, command: readonly string[]) {
    await enter("inspect");
    const answer = this.exec(command);
    const over = Promise.withResolvers<void>();
    if (!answer.hangs) over.resolve();
    async function* output(): AsyncIterable<OutputChunk> {
      yield { stream: "stdout", data: new TextEncoder().encode(answer.output ?? "") };
      await over.promise;
    }
    return {
      output: output(),
      exitCode: over.promise.then(() => answer.code),
      write: () => Promise.resolve(),
      closeStdin: () => Promise.resolve(),
      resize: () => Promise.resolve(),
      close: () => over.resolve(),
    };
  }

  #emit(event: RuntimeEvent): void {
    if (this.#away && event.kind === "container") return;
    for (const watcher of this.#watchers) watcher(event);
  }

  async *#events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const queue: RuntimeEvent[] = this.#away ? [] : [{ kind: "back" }];
    let wake = () => {};
    const watcher = (event: RuntimeEvent) => {
      queue.push(event);
      wake();
    };
    this.#watchers.add(watcher);
    signal.addEventListener("abort", () => wake());
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) yield event;
        else await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}

function observe(container: FakeContainer): ContainerObservation {
  const { id, spec, labels, status, exitCode, oomKilled, startedMs, finishedMs } = container;
  const { runtimeRestarts, ports, error } = container;
  return {
    id,
    name: spec.name,
    labels,
    status,
    exitCode,
    oomKilled,
    startedMs,
    finishedMs,
    runtimeRestarts,
    ports,
    address: "172.17.0.2",
    error,
  };
}
