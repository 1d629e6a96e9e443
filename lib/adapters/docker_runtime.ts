/**
 * The runtime over a Docker Engine (API 1.41 or later, or Podman's compatible socket), through dockerode.
 * Owns calls and their errors; documents are translated in docker_translate.ts; output, commands,
 * events and pulls have modules of their own (docker_logs.ts, docker_exec.ts, docker_events.ts, docker_pull.ts).
 */
import Docker from "dockerode";
import { Buffer } from "node:buffer";
import { statfs } from "node:fs/promises";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ContainerObservation, ContainerSpec, Runtime, RuntimeInfo } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE, RuntimeError } from "../contracts/runtime.ts";
import type { Deadlines } from "./docker_deadline.ts";
import { DEADLINES, within } from "./docker_deadline.ts";
import { containerEvents } from "./docker_events.ts";
import { containerExec } from "./docker_exec.ts";
import { filesToPlace, readOutput } from "./docker_leavings.ts";
import { containerLogs } from "./docker_logs.ts";
import { createPuller } from "./docker_pull.ts";
import {
  createOptions,
  isBeingRemoved,
  observationOf,
  runtimeError,
  statusCodeOf,
  wordsOf,
} from "./docker_translate.ts";
import { tarOf } from "./tar.ts";

export interface DockerRuntimeOptions {
  /** As in DOCKER_HOST; the environment's or the default socket when absent. */
  readonly host?: string;
  readonly nodeId: string;
  readonly clock: Clock;
  /** Credentials of registries, in Docker's config format. */
  readonly registryAuthFile?: string;
  readonly deadlines?: Partial<Deadlines>;
}

const REMOVAL_WITHIN_MS = 10_000;

export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  const { nodeId, clock } = options;
  const docker = dockerAt(options.host ?? Deno.env.get("DOCKER_HOST"));
  const label = `${LABEL_NODE}=${nodeId}`;
  const deadlines: Deadlines = { ...DEADLINES, ...options.deadlines };
  const look = <T>(call: (abortSignal: AbortSignal) => Promise<T>) => within(clock, deadlines.lookMs, call);
  const change = <T>(call: (abortSignal: AbortSignal) => Promise<T>) => within(clock, deadlines.changeMs, call);
  // The package's types lack the options that its code takes.
  const info = docker.info as unknown as (options: { abortSignal: AbortSignal }) => ReturnType<typeof docker.info>;
  const pull = createPuller(docker, options.registryAuthFile);

  async function inspect(name: string): Promise<ContainerObservation | undefined> {
    const info = await inspectInfo(name);
    return info && !isBeingRemoved(info) ? observationOf(info) : undefined;
  }

  async function inspectInfo(name: string): Promise<Docker.ContainerInspectInfo | undefined> {
    try {
      return await look((abortSignal) => docker.getContainer(name).inspect({ abortSignal }));
    } catch (error) {
      if (statusCodeOf(error) === 404) return undefined;
      throw runtimeError(error, "other");
    }
  }

  async function create(spec: ContainerSpec, signal: AbortSignal): Promise<ContainerObservation> {
    signal.throwIfAborted();
    let container: Docker.Container;
    try {
      container = await change((abortSignal) =>
        docker.createContainer({ ...createOptions(spec, nodeId), abortSignal })
      );
    } catch (error) {
      if (statusCodeOf(error) === 409) {
        const existing = await inspect(spec.name);
        if (isOwn(existing) && existing.labels[LABEL_ATTEMPT] === spec.labels[LABEL_ATTEMPT]) {
          // A sailor that died between making it and placing its files finds it without them.
          if (existing.status === "created") await placeFiles(docker.getContainer(existing.id), spec);
          return existing;
        }
        if (!existing) {
          // An earlier call whose answer was lost still makes it, or it is being removed: whose it is shows in a moment.
          throw new RuntimeError("unavailable", `the Docker Engine is still at work on a container named ${spec.name}`);
        }
      }
      throw runtimeError(error, "create");
    }
    await placeFiles(container, spec);
    return {
      id: container.id,
      name: spec.name,
      labels: { ...spec.labels, [LABEL_NODE]: nodeId },
      status: "created",
      exitCode: null,
      oomKilled: false,
      startedMs: null,
      finishedMs: null,
      runtimeRestarts: 0,
      ports: [],
      address: null,
      error: null,
    };
  }

  async function placeFiles(container: Docker.Container, spec: ContainerSpec): Promise<void> {
    const files = filesToPlace(spec);
    if (files.length === 0) return;
    try {
      await change((abortSignal) => container.putArchive(Buffer.from(tarOf(files)), { path: "/", abortSignal }));
    } catch (error) {
      const known = runtimeError(error, "other");
      if (known.code === "unavailable") throw known;
      await remove(container.id);
      throw new RuntimeError("failed", `its files could not be placed: ${wordsOf(error)}`);
    }
  }

  const isOwn = (container: ContainerObservation | undefined): container is ContainerObservation =>
    container?.labels[LABEL_NODE] === nodeId;

  async function remove(name: string): Promise<void> {
    if (!isOwn(await inspect(name))) return;
    const deadlineMs = clock.monoMs() + REMOVAL_WITHIN_MS;
    while (true) {
      try {
        return void await change((abortSignal) =>
          docker.getContainer(name).remove({ force: true, v: true, abortSignal })
        );
      } catch (error) {
        if (statusCodeOf(error) === 404) return;
        const underWay = statusCodeOf(error) === 409 && /in progress/.test(wordsOf(error));
        if (!underWay || clock.monoMs() > deadlineMs) throw runtimeError(error, "other");
        await pause(clock, 50);
      }
    }
  }

  return {
    kind: "docker",
    async info(): Promise<RuntimeInfo> {
      try {
        const about = await within(clock, deadlines.infoMs, (abortSignal) => info.call(docker, { abortSignal }));
        const disk = await diskBytes(about.DockerRootDir);
        return {
          engineId: String(about.ID || about.Name),
          version: String(about.ServerVersion),
          capacity: { cpuCores: Number(about.NCPU), memoryBytes: Number(about.MemTotal), diskBytes: disk },
        };
      } catch (error) {
        throw runtimeError(error, "other");
      }
    },
    async list() {
      try {
        const filters = { label: [label] };
        const rows = await look((abortSignal) => docker.listContainers({ all: true, filters, abortSignal }));
        const found = await Promise.all(rows.map((row) => inspect(row.Id)));
        return found.filter((container) => container !== undefined);
      } catch (error) {
        throw runtimeError(error, "other");
      }
    },
    inspect,
    inspectRaw: inspectInfo,
    async hasImage(image) {
      try {
        // The client knows no way to break this one off.
        await look(() => docker.getImage(image).inspect());
        return true;
      } catch (error) {
        if (statusCodeOf(error) === 404) return false;
        throw runtimeError(error, "other");
      }
    },
    pull,
    create,
    async start(name) {
      try {
        await change((abortSignal) => docker.getContainer(name).start({ abortSignal }));
      } catch (error) {
        if (statusCodeOf(error) !== 304) throw runtimeError(error, "start");
      }
    },
    async stop(name, graceMs) {
      if (!isOwn(await inspect(name))) return;
      const container = docker.getContainer(name);
      try {
        // First, or the Engine brings it back: at once, or at its own next start.
        await look((abortSignal) => container.update({ RestartPolicy: { Name: "no" }, abortSignal }));
        await within(
          clock,
          graceMs + deadlines.overGraceMs,
          (abortSignal) => container.stop({ t: Math.ceil(graceMs / 1000), abortSignal }),
        );
      } catch (error) {
        const status = statusCodeOf(error);
        if (status !== 304 && status !== 404) throw runtimeError(error, "other");
      }
    },
    async restart(name, graceMs) {
      if (!isOwn(await inspect(name))) throw new RuntimeError("missing", `no such container: ${name}`);
      try {
        await within(
          clock,
          graceMs + deadlines.overGraceMs,
          (abortSignal) => docker.getContainer(name).restart({ t: Math.ceil(graceMs / 1000), abortSignal }),
        );
      } catch (error) {
        throw runtimeError(error, "start");
      }
    },
    remove,
    logs: (name, request, signal) => containerLogs({ docker, inspect, clock }, name, request, signal),
    leavings: async (name, bytesMax) => ({
      output: await look((abortSignal) => readOutput(docker, name, bytesMax, abortSignal)),
      answer: null,
    }),
    exec: (name, request) => containerExec(docker, name, request, clock),
    events: (signal) => containerEvents({ docker, label, clock, deadlines }, signal),
    close: () => Promise.resolve(),
  };
}

/** A client of the Engine at `host` (`unix://PATH`, `tcp://HOST:PORT`); undefined: the default socket. */
function dockerAt(host: string | undefined): Docker {
  if (host === undefined || host === "") return new Docker({ socketPath: "/var/run/docker.sock" });
  if (host.startsWith("unix://")) return new Docker({ socketPath: host.slice("unix://".length) });
  // Reads DOCKER_HOST and the TLS settings beside it.
  if (host === Deno.env.get("DOCKER_HOST")) return new Docker();
  const { protocol, hostname, port } = parseHost(host);
  const tls = protocol === "https:" || Deno.env.get("DOCKER_TLS_VERIFY") === "1";
  return new Docker({
    protocol: tls ? "https" : "http",
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port || (tls ? 2376 : 2375),
  });
}

function parseHost(host: string): URL {
  const known = /^(tcp|http|https):\/\//.test(host) && URL.canParse(host.replace(/^tcp:/, "http:"));
  if (!known) throw new Error(`cannot reach an Engine at "${host}"; write unix://PATH or tcp://HOST:PORT`);
  return new URL(host.replace(/^tcp:/, "http:"));
}

async function diskBytes(path: string | undefined): Promise<number> {
  for (const candidate of [path, "/"]) {
    if (!candidate) continue;
    try {
      const stats = await statfs(candidate);
      return Number(stats.bsize) * Number(stats.blocks);
    } catch (error) {
      // The Engine's directory may be closed to this user, or on another machine.
      if (candidate === "/") throw error;
    }
  }
  return 0;
}
