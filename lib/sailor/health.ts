/**
 * Probes one running container until it is stopped. Streaks are counted here; what follows from them is the supervisor's.
 * Right after the start it looks often and counts no failure, so that what is quickly there is quickly healthy.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ContainerObservation, Prober, ProbeResult, Runtime } from "../contracts/runtime.ts";
import type { HealthCheck, TaskSpec } from "../core/documents/task.ts";

const EAGER_FROM_MS = 50;
const OUTPUT_MAX = 1024;

export interface HealthWatch {
  stop(): void;
}

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
    while (!signal.aborted) {
      const sinceStart = clock.monoMs() - startedMs;
      const eager = state === "starting" && sinceStart + eagerMs < check.intervalMs;
      await pause(clock, eager ? eagerMs : check.intervalMs, signal);
      if (signal.aborted) return;
      if (eager) eagerMs *= 2;
      const result = await probe(options);
      if (signal.aborted) return;
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

async function probe(options: HealthWatchOptions): Promise<ProbeResult> {
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

async function probeByCommand(options: HealthWatchOptions, command: readonly string[]): Promise<ProbeResult> {
  const { runtime, container, check, clock } = options;
  const decoder = new TextDecoder();
  let output = "";
  try {
    const session = await runtime.exec(container.name, { command, tty: false, stdin: false });
    const late = Promise.withResolvers<"late">();
    const cancel = clock.after(check.timeoutMs, () => late.resolve("late"));
    const reading = (async () => {
      for await (const { data } of session.output) {
        output = (output + decoder.decode(data, { stream: true })).slice(-OUTPUT_MAX);
      }
      return await session.exitCode;
    })();
    reading.catch(() => {});
    const code = await Promise.race([reading, late.promise]);
    cancel();
    if (code === "late") {
      session.close();
      return { healthy: false, output: `${command[0]} took longer than ${check.timeoutMs} ms` };
    }
    return {
      healthy: code === 0,
      output: `${command[0]} exited with code ${code}${output ? `: ${output.trim()}` : ""}`,
    };
  } catch (error) {
    return { healthy: false, output: (error as Error).message };
  }
}
