/** Between the runtime contract and the Engine API's documents (1.41). Pure. */
import type Docker from "dockerode";
import type { BoundPort } from "../core/attempt.ts";
import type { RestartPolicy } from "../core/documents/task.ts";
import type { ContainerObservation, ContainerSpec, ContainerStatus, RuntimeErrorCode } from "../contracts/runtime.ts";
import { LABEL_NODE, RuntimeError } from "../contracts/runtime.ts";

/** Where a script and the file behind ORMEN_OUTPUT lie: in a directory of root's in the container's own layer. */
export const SCRIPT_PATH = "/ormen/script";
export const OUTPUT_PATH = "/ormen/output";

/** Where a container finds the addresses of services, a file each. */
const SERVICES_TARGET = "/ormen/services";

/** Without limits the json-file driver fills the disk. */
const LOG_CONFIG = { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } };

/** Less the kernel does not take as a quota (1 ms in 100), and the container would not start. */
const CPU_CORES_MIN = 0.01;

export function createOptions(spec: ContainerSpec, nodeId: string): Docker.ContainerCreateOptions {
  const exposed: Record<string, Record<string, never>> = {};
  const bindings: Record<string, { HostPort: string; HostIp?: string }[]> = {};
  for (const port of spec.ports) {
    const key = `${port.container}/${port.protocol}`;
    exposed[key] = {};
    (bindings[key] ??= []).push({
      HostPort: port.host === null ? "" : String(port.host),
      ...(port.hostIp === null ? {} : { HostIp: port.hostIp }),
    });
  }
  return {
    name: spec.name,
    Image: spec.image,
    ...commandOf(spec),
    Env: Object.entries({ ...spec.env, ...(spec.outputFile ? { ORMEN_OUTPUT: OUTPUT_PATH } : {}) })
      .map(([key, value]) => `${key}=${value}`),
    Labels: { ...spec.labels, [LABEL_NODE]: nodeId },
    ...(spec.user ? { User: spec.user } : {}),
    ...(spec.workdir ? { WorkingDir: spec.workdir } : {}),
    ...(spec.stopSignal ? { StopSignal: spec.stopSignal } : {}),
    ExposedPorts: exposed,
    HostConfig: {
      PortBindings: bindings,
      Binds: [
        ...spec.volumes.map((v) => `${v.source}:${v.target}${v.readOnly ? ":ro" : ""}`),
        ...spec.servicesDir === undefined ? [] : [`${spec.servicesDir}:${SERVICES_TARGET}:ro`],
      ],
      // Services on this machine answer under its name there.
      ...spec.servicesDir === undefined ? {} : { ExtraHosts: ["host.docker.internal:host-gateway"] },
      RestartPolicy: restartPolicy(spec.restart),
      NetworkMode: spec.network,
      LogConfig: LOG_CONFIG,
      ...(spec.cpuCores === null ? {} : { NanoCpus: Math.round(Math.max(spec.cpuCores, CPU_CORES_MIN) * 1e9) }),
      ...(spec.memoryBytes === null ? {} : { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
    },
  };
}

/** An entrypoint of its own leaves the image's command out. */
function commandOf({ script, entrypoint, cmd }: ContainerSpec): { Entrypoint?: string[]; Cmd?: string[] } {
  if (script) return { Entrypoint: [...script.shell, SCRIPT_PATH] };
  return { ...(entrypoint ? { Entrypoint: [...entrypoint] } : {}), ...(cmd ? { Cmd: [...cmd] } : {}) };
}

/** `always` is sent as `unless-stopped`: with `always` a container that was stopped comes back when the Engine restarts. */
function restartPolicy(policy: RestartPolicy): { Name: string; MaximumRetryCount?: number } {
  switch (policy.kind) {
    case "no":
      return { Name: "no" };
    case "always":
    case "unlessStopped":
      return { Name: "unless-stopped" };
    case "onFailure":
      // The Engine takes 0 for "as often as it likes".
      if (policy.attemptsMax === 0) return { Name: "no" };
      return { Name: "on-failure", MaximumRetryCount: policy.attemptsMax ?? 0 };
    default:
      return policy satisfies never;
  }
}

export function observationOf(info: Docker.ContainerInspectInfo): ContainerObservation {
  const { State: state } = info;
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ""),
    labels: info.Config.Labels ?? {},
    status: statusOf(state),
    exitCode: state.Status === "created" || (state.Running && !state.Restarting) ? null : state.ExitCode,
    oomKilled: state.OOMKilled,
    startedMs: timeOf(state.StartedAt),
    finishedMs: timeOf(state.FinishedAt),
    runtimeRestarts: info.RestartCount ?? 0,
    ports: portsOf(info.NetworkSettings?.Ports ?? {}),
    address: addressOf(info),
    error: state.Error ? state.Error : null,
  };
}

/** As good as gone: it cannot be started any more, and its end was not its own but the removal's. */
export function isBeingRemoved({ State: state }: Docker.ContainerInspectInfo): boolean {
  return !state.Running && (state.Status === "removing" || state.Status === "dead");
}

function statusOf(state: Docker.ContainerInspectInfo["State"]): ContainerStatus {
  if (state.Restarting) return "restarting";
  if (state.Running || state.Paused) return "running";
  return state.Status === "created" || state.Status === "configured" ? "created" : "exited";
}

/** The Engine's zero time means never. */
function timeOf(text: string | undefined): number | null {
  const ms = text ? Date.parse(text) : NaN;
  return Number.isNaN(ms) || ms <= 0 ? null : ms;
}

function portsOf(ports: Record<string, readonly { HostIp: string; HostPort: string }[] | null>): BoundPort[] {
  const bound: BoundPort[] = [];
  for (const [key, bindings] of Object.entries(ports)) {
    const [container, protocol] = key.split("/");
    for (const binding of bindings ?? []) {
      bound.push({
        container: Number(container),
        protocol: protocol === "udp" ? "udp" : "tcp",
        hostIp: binding.HostIp,
        host: Number(binding.HostPort),
      });
    }
  }
  return bound;
}

function addressOf(info: Docker.ContainerInspectInfo): string | null {
  const networks = Object.values(info.NetworkSettings?.Networks ?? {});
  return networks.find((n) => n.IPAddress)?.IPAddress ?? null;
}

/** The Engine's own words. */
export function wordsOf(error: unknown): string {
  const { json, message } = error as { json?: { message?: string }; message?: string };
  return String(json?.message ?? message ?? error).trim();
}

export function statusCodeOf(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}

const AWAY = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "ECONNRESET",
  "EPIPE",
  "EACCES",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EHOSTUNREACH",
]);

/** What went wrong, by what the Engine answered; no answer at all means that it is away. */
export function runtimeError(error: unknown, doing: "create" | "start" | "other"): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const words = wordsOf(error);
  const code = codeOf(error, doing, words);
  return new RuntimeError(code, code === "unavailable" ? `the Docker Engine does not answer: ${words}` : words);
}

function codeOf(error: unknown, doing: "create" | "start" | "other", words: string): RuntimeErrorCode {
  const status = statusCodeOf(error);
  const { code } = error as { code?: string };
  if (status === undefined) {
    return code && AWAY.has(code) || /socket hang up|connection (refused|reset|closed)|os error/i.test(words)
      ? "unavailable"
      : "failed";
  }
  if (status === 404) {
    if (doing === "create" && /no such image|not found: manifest|image/i.test(words)) return "noImage";
    // A network or a volume may be what is not there.
    return doing === "other" || /no such container/i.test(words) ? "missing" : "failed";
  }
  if (/marked for removal/i.test(words)) return "missing";
  if (/port is already allocated|address already in use/i.test(words)) return "conflict";
  // Elsewhere it means a container in the wrong state, as for a command in one that does not run.
  if (status === 409 && doing === "create") return "conflict";
  if (status === 400 && doing === "create") return "invalid";
  return "failed";
}
