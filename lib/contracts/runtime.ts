/**
 * What runs containers: the Docker Engine, plain host processes, or a script in tests.
 * Level-triggered: `inspect` tells the truth at any time, `events` only says where to look.
 *
 * 1. `create` is idempotent by name: what exists with the same attempt label is returned, not made again.
 * 2. `stop` is final: a stopped container does not come back by itself, not even after an Engine restart.
 * 3. Nothing without this sailor's label is ever listed, stopped or removed.
 */
import type {
  FileSpec,
  HealthProbe,
  HttpRequestSpec,
  PortMapping,
  RestartPolicy,
  RuntimeKind,
  VolumeMount,
} from "../core/documents/task.ts";
import type { HttpAnswer } from "../core/outgoing.ts";
import type { BoundPort } from "../core/attempt.ts";
import type { Capacity } from "../core/mast.ts";

/** Everything a runtime needs to make one container. */
export interface ContainerSpec {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  /** Caps; null: none. */
  readonly cpuCores: number | null;
  readonly memoryBytes: number | null;
  readonly ports: readonly PortMapping[];
  readonly volumes: readonly VolumeMount[];
  readonly restart: RestartPolicy;
  readonly stopSignal: string | null;
  readonly user: string | null;
  readonly workdir: string | null;
  readonly network: string;
  /** Placed before the first start. */
  readonly files: readonly FileSpec[];
  /** Run in place of entrypoint and cmd: the shell's words, then the path of a file with the text. */
  readonly script?: { readonly text: string; readonly shell: readonly string[] };
  /** There is an empty file, writable by whoever runs in it, whose path ORMEN_OUTPUT tells. */
  readonly outputFile?: boolean;
  /** A directory of the host with the addresses of services: read-only at /ormen/services, or as ORMEN_SERVICES says. */
  readonly servicesDir?: string;
  /** For the runtime `http` alone: all that it does. */
  readonly http?: HttpRequestSpec;
}

export const LABEL_OWNER = "ormen.cluster";
export const LABEL_NODE = "ormen.node";
export const LABEL_SAIL = "ormen.task";
export const LABEL_ATTEMPT = "ormen.attempt";
export const LABEL_NAME = "ormen.name";

/**
 * created     made, never started
 * running     its main process runs
 * restarting  exited, and the runtime itself will start it again
 * exited      not running, and the runtime will not start it again
 */
export type ContainerStatus = "created" | "running" | "restarting" | "exited";

export interface ContainerObservation {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: ContainerStatus;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** Wall time of the last start and finish, milliseconds; null: never. */
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  /** Restarts by the runtime itself since it was created or since the Engine started, as far as it tells. */
  readonly runtimeRestarts: number;
  readonly ports: readonly BoundPort[];
  /** Address of the container itself, reachable from the sailor; null: none. */
  readonly address: string | null;
  /** What the runtime says of a failed start. */
  readonly error: string | null;
}

/**
 * noImage      the image is not there (pull it and try again)
 * conflict     a name or port is taken by somebody else
 * invalid      the runtime refuses the specification; trying again is of no use
 * unavailable  the runtime does not answer; try again later
 * missing      there is no such container
 * failed       anything else; `message` has the runtime's own words
 */
export type RuntimeErrorCode = "noImage" | "conflict" | "invalid" | "unavailable" | "missing" | "failed";

export class RuntimeError extends Error {
  constructor(readonly code: RuntimeErrorCode, message: string) {
    super(message);
    this.name = "RuntimeError";
  }
}

/** `lost`: the stream broke, so anything may have happened; `back`: it flows again, look at everything. */
export type RuntimeEvent =
  | {
    readonly kind: "container";
    readonly name: string;
    readonly what: "started" | "died" | "oom" | "removed" | "other";
  }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "back" };

export interface LogOptions {
  readonly follow: boolean;
  /** Number of last lines; null: all. */
  readonly tail: number | null;
  /** Wall time in milliseconds; null: from the beginning. */
  readonly sinceMs: number | null;
  /** Each line begins with an RFC 3339 time. */
  readonly timestamps: boolean;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly size?: { readonly columns: number; readonly rows: number };
}

/** A command in a running container. `output` ends before `exitCode` resolves. */
export interface ExecSession {
  readonly output: AsyncIterable<OutputChunk>;
  readonly exitCode: Promise<number>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** Ends the command where the runtime can, else lets go of it. */
  close(): void;
}

/** What a container that has ended left behind for its caller, besides what it printed. */
export interface Leavings {
  /** The text behind ORMEN_OUTPUT; null: there is none. */
  readonly output: string | null;
  /** Of a request. */
  readonly answer: HttpAnswer | null;
}

export interface RuntimeInfo {
  /** Two sailors with the same id share one Engine. */
  readonly engineId: string;
  readonly version: string;
  readonly capacity: Capacity;
}

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Throws RuntimeError "unavailable" while it does not answer; so do all others. */
  info(): Promise<RuntimeInfo>;
  /** All containers of this sailor, whatever their status. */
  list(): Promise<ContainerObservation[]>;
  /** Undefined: there is no such container. `name` may be an id. */
  inspect(name: string): Promise<ContainerObservation | undefined>;
  /** The runtime's own document of it, as it is. */
  inspectRaw(name: string): Promise<unknown | undefined>;
  hasImage(image: string): Promise<boolean>;
  /** Throws RuntimeError "failed" with the registry's words. */
  pull(image: string, signal: AbortSignal): Promise<void>;
  create(spec: ContainerSpec, signal: AbortSignal): Promise<ContainerObservation>;
  /** Does nothing to one that runs. */
  start(name: string): Promise<void>;
  /** Signal, wait at most `graceMs`, kill. Does nothing to one that does not run or does not exist. */
  stop(name: string, graceMs: number): Promise<void>;
  /** Stops and starts it; its restart policy stays. */
  restart(name: string, graceMs: number): Promise<void>;
  /** Kills it if need be. Does nothing when there is none. */
  remove(name: string): Promise<void>;
  /** Ends when the container ends (follow), or at the end of what there is. Works after exit. */
  logs(name: string, options: LogOptions, signal: AbortSignal): AsyncIterable<OutputChunk>;
  /** Throws "failed" with a sentence when the output is no plain file or holds more than `bytesMax`. Works after exit. */
  leavings(name: string, bytesMax: number): Promise<Leavings>;
  exec(name: string, options: ExecOptions): Promise<ExecSession>;
  /** Endless until aborted; reconnects by itself and says so with `lost` and `back`. The first event is `back`. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  close(): Promise<void>;
}

/** Looks once. Never throws: what went wrong is the answer. `output` is for people, at most 1 KiB. */
export interface Prober {
  probe(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult>;
}

export type ProbeTarget =
  | { readonly kind: "http"; readonly host: string; readonly port: number; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export interface ProbeResult {
  readonly healthy: boolean;
  readonly output: string;
}

export type { HealthProbe };
