/**
 * Probes one running container until it is stopped. Streaks are counted here; what follows from them is the supervisor's.
 * Right after the start it looks often and counts no failure, so that what is quickly there is quickly healthy.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ContainerObservation, Prober, ProbeResult, Runtime } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { HealthCheck, TaskSpec } from "../core/documents/task.ts";

const EAGER_FROM_MS = 50;
const OUTPUT_MAX = 1024;
const NAME_MAX = 256;

export interface HealthWatch {
  stop(): void;
}

/** `late`: the command had no time to say anything. */
type Verdict = ProbeResult & { readonly late?: true };

export interface HealthWatchOptions {
  readonly spec: TaskSpec;
  readonly check: HealthCheck;
  readonly container: ContainerObservation;
  readonly runtime: Runtime;
  readonly prober: Prober;
  readonly clock: Clock;
  /** On every change, and never after `stop`. */
  readonly onChange: (state: "healthy" | "unhealthy", output: string) => void;
}

export function watchHealth(options: HealthWatchOptions): HealthWatch {
  const { check, clock, onChange } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  void run();
  return { stop: () => stopping.abort() };

  async function run(): Promise<void> {
    const startedMs = clock.monoMs();
    let state: "starting" | "healthy" | "unhealthy" = "starting";
    let failures = 0;
    let eagerMs = EAGER_FROM_MS;
    let runtimeHung = false;
    while (!signal.aborted) {
      const sinceStart = clock.monoMs() - startedMs;
      const eager = state === "starting" && sinceStart + eagerMs < check.intervalMs;
      await pause(clock, eager ? eagerMs : check.intervalMs, signal);
      if (signal.aborted) return;
      if (eager) eagerMs *= 2;
      const result = await probe(options);
      if (signal.aborted) return;
      // A runtime that has just come back has much to catch up with: what was asked meanwhile is late once more.
      const excused = !result || (runtimeHung && result.late);
      runtimeHung = !result;
      if (excused) continue;
      if (result.healthy) {
        failures = 0;
        if (state !== "healthy") onChange(state = "healthy", result.output);
        continue;
      }
      const forgiven = state === "starting" && (eager || clock.monoMs() - startedMs < check.startPeriodMs);
      if (forgiven || ++failures < check.retries || state === "unhealthy") continue;
      onChange(state = "unhealthy", result.output);
    }
  }
}

async function probe(options: HealthWatchOptions): Promise<Verdict | undefined> {
  const { check, prober } = options;
  const { probe: what } = check;
  switch (what.kind) {
    case "exec":
      return await probeByCommand(options, what.command);
    case "tcp":
    case "http": {
      const port = what.port ?? options.spec.ports[0].container;
      const target = addressOf(options, port);
      if (!target) return { healthy: false, output: `port ${port} has no address that can be reached` };
      return await prober.probe(
        what.kind === "http" ? { kind: "http", path: what.path, ...target } : { kind: "tcp", ...target },
        check.timeoutMs,
      );
    }
    default:
      return what satisfies never;
  }
}

/** The published port, else the container's own address. */
function addressOf({ container }: HealthWatchOptions, port: number): { host: string; port: number } | undefined {
  const bound = container.ports.find((p) => p.container === port && p.protocol === "tcp" && !p.hostIp.includes(":"));
  if (bound) {
    return { host: bound.hostIp === "0.0.0.0" || bound.hostIp === "" ? "127.0.0.1" : bound.hostIp, port: bound.host };
  }
  return container.address === null ? undefined : { host: container.address, port };
}

/** Undefined: the runtime does not answer, which says nothing about the container. */
async function probeByCommand(
  options: HealthWatchOptions,
  command: readonly string[],
): Promise<Verdict | undefined> {
  const { check, clock } = options;
  const abort = new AbortController();
  const late = Promise.withResolvers<"late">();
  const cancel = clock.after(check.timeoutMs, () => late.resolve("late"));
  try {
    const result = await Promise.race([runCommand(options, command, abort.signal), late.promise]);
    if (result !== "late") return result;
    // While the runtime itself hangs, every command is late.
    if (!await answers(options)) return undefined;
    return { healthy: false, output: `${nameOf(command)} took longer than ${check.timeoutMs} ms`, late: true };
  } catch (error) {
    if (error instanceof RuntimeError && error.code === "unavailable") return undefined;
    return { healthy: false, output: (error as Error).message.slice(0, OUTPUT_MAX) };
  } finally {
    cancel();
    abort.abort();
  }
}

async function answers({ runtime, container, clock, check }: HealthWatchOptions): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const cancel = clock.after(check.timeoutMs, () => late.resolve(false));
  const asked = runtime.inspect(container.name).then(() => true, () => false);
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    cancel();
  }
}

async function runCommand(
  { runtime, container }: HealthWatchOptions,
  command: readonly string[],
  signal: AbortSignal,
): Promise<ProbeResult> {
  const decoder = new TextDecoder();
  let output = "";
  const session = await runtime.exec(container.name, { command, tty: false, stdin: false });
  try {
    if (signal.aborted) return { healthy: false, output: "" };
    signal.addEventListener("abort", () => session.close());
    for await (const { data } of session.output) {
      output = (output + decoder.decode(data, { stream: true })).slice(-OUTPUT_MAX);
    }
    const code = await session.exitCode;
    const said = output.trim();
    return { healthy: code === 0, output: `${nameOf(command)} exited with code ${code}${said ? `: ${said}` : ""}` };
  } finally {
    session.close();
  }
}

const nameOf = (command: readonly string[]) => command[0].slice(0, NAME_MAX);
