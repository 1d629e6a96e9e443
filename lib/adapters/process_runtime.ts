/**
 * The runtime over plain host processes, for machines without an Engine. Each "container" is a process group in a session of
 * its own under a small shell shim, so that it outlives the sailor; a directory holds all that is known of it:
 *
 *   meta.json   what was asked for, and the process that was started last (pid and start time, since pids come again)
 *   stdout, stderr (and .1, .2), pid (the shim's, by itself), exit (the code, written by the shim at the end), files/,
 *   script and output (the file behind ORMEN_OUTPUT) where a step has them
 *
 * Not there: images, caps on memory and processor, networks, times of output lines. Paths of `files` lie under the
 * directory that ORMEN_FILES names. What users wrote reaches the shim as arguments and environment only.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { ContainerObservation, ContainerSpec, Runtime, RuntimeEvent } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE, RuntimeError } from "../contracts/runtime.ts";
import { writeFileAtomically } from "./data_dir.ts";
import { createMachine } from "./machine.ts";
import { processExec } from "./process_exec.ts";
import { commandOf, placeStepFiles, readOutputFile } from "./process_leavings.ts";
import { processLogs } from "./process_logs.ts";
import { sendSignal, signalNumber } from "./process_signals.ts";

export interface ProcessRuntimeOptions {
  readonly stateDir: string;
  readonly nodeId: string;
  /** Two sailors of the same machine share its capacity. From /etc/machine-id when absent. */
  readonly machineId?: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Meta {
  readonly spec: ContainerSpec;
  readonly pid: number | null;
  /** Field 22 of /proc/PID/stat. */
  readonly startTicks: string | null;
  readonly startedMs: number | null;
  readonly error: string | null;
}

/** Each of the two outputs: the newest file and two older ones, of this size and of what comes between two looks. */
const LOG_BYTES_MAX = 10 * 2 ** 20;
const ROTATE_EVERY_S = 5;
/** What find's -size counts in. */
const FIND_BLOCK = 512;

/**
 * Signals of the group reach the shim too: it passes over them and goes on waiting, so that it can write the code. The command
 * has none of its traps, and runs in front, because a shell makes what runs behind it deaf to SIGINT and SIGQUIT. It says
 * itself that it is ready, when signals end it already: one that came before would be heard by nobody.
 * What the command leaves behind in its group ends with it, as in a container.
 * The second process keeps the output small, whether or not a sailor is there.
 * The shim's variables have names of their own: one that the user's environment has too would reach the command changed.
 */
const SHIM = `
ormen_dir=$1 ormen_signal=$2; shift 2
echo "$$" >"$ormen_dir/pid.new" && mv "$ormen_dir/pid.new" "$ormen_dir/pid"
trap : HUP INT QUIT USR1 USR2 TERM "$ormen_signal"
(
  trap '' HUP INT QUIT USR1 USR2 TERM "$ormen_signal"
  while sleep ${ROTATE_EVERY_S}; do
    find "$ormen_dir/stdout" "$ormen_dir/stderr" -size +${LOG_BYTES_MAX / FIND_BLOCK} | while IFS= read -r log; do
      [ ! -e "$log.1" ] || mv -f "$log.1" "$log.2"
      cp "$log" "$log.1" && : >"$log"
    done
  done
) </dev/null >/dev/null 2>&1 &
( : >"$ormen_dir/ready"; exec "$@" ) >>"$ormen_dir/stdout" 2>>"$ormen_dir/stderr" </dev/null
code=$?
echo "$code" >"$ormen_dir/exit.new" && mv "$ormen_dir/exit.new" "$ormen_dir/exit"
kill -KILL 0
`;

const LOOK_EVERY_MS = 500;
/** A shell takes milliseconds to begin, and on a machine that is far too busy seconds. */
const READY_WITHIN_MS = 10_000;
/** The code of what SIGKILL ended, as shells and Engines tell it. */
const KILLED = 137;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  const { stateDir, nodeId, clock, logger } = options;
  await Deno.mkdir(stateDir, { recursive: true, mode: 0o700 });
  const closing = new AbortController();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const tell = (name: string, what: "started" | "died" | "removed") => {
    for (const listener of listeners) listener({ kind: "container", name, what });
  };
  /** Being started at this moment: the note of the last run is stale. */
  const starting = new Set<string>();
  /** Started by this runtime: node's own watch over its children tells of their ends. */
  const children = new Set<number>();
  const watching = new Set<Promise<void>>();

  const dirOf = (name: string) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
      throw new RuntimeError("invalid", `not a process's name: "${name}"`);
    }
    return join(stateDir, name);
  };

  async function readMeta(name: string): Promise<Meta | undefined> {
    try {
      return JSON.parse(await Deno.readTextFile(join(dirOf(name), "meta.json")));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  const writeMeta = (name: string, meta: Meta) =>
    writeFileAtomically(join(dirOf(name), "meta.json"), JSON.stringify(meta));

  async function inspect(name: string): Promise<ContainerObservation | undefined> {
    const meta = await readMeta(name);
    if (!meta || meta.spec.labels[LABEL_NODE] !== nodeId) return undefined;
    const running = meta.pid !== null && await isAlive(meta.pid, meta.startTicks);
    const exit = running || meta.pid === null ? undefined : await readExit(dirOf(name)) ?? await settle(name, meta);
    return {
      id: name,
      name,
      labels: meta.spec.labels,
      status: running ? "running" : meta.pid === null && !meta.error ? "created" : "exited",
      exitCode: running || meta.pid === null ? null : exit?.code ?? KILLED,
      oomKilled: false,
      startedMs: meta.startedMs,
      finishedMs: running ? null : exit?.atMs ?? null,
      runtimeRestarts: 0,
      ports: meta.spec.ports.map((p) => ({
        container: p.container,
        protocol: p.protocol,
        hostIp: p.hostIp ?? "127.0.0.1",
        host: p.host ?? p.container,
      })),
      address: "127.0.0.1",
      error: meta.error ?? exit?.error ?? null,
    };
  }

  /**
   * What has lost its shim is killed with it: its end could never be told. As long as a process of the group is left, the
   * kernel gives its number to nobody else, so where that number is somebody's, the group is gone.
   */
  async function settle(name: string, { pid, startTicks }: Meta): Promise<Exit | undefined> {
    if (starting.has(name) || pid === null) return undefined;
    const stat = await statOf(pid);
    if (stat === null || stat.startTicks === startTicks) await sendSignal(-pid, "SIGKILL");
    // The shim may have written it just before it ended.
    const exit = await readExit(dirOf(name));
    if (exit) return exit;
    await writeFileAtomically(join(dirOf(name), "exit"), `${KILLED} killed together with what watched it\n`);
    return await readExit(dirOf(name));
  }

  async function signalGroup(name: string, signal: string): Promise<void> {
    const meta = await readMeta(name);
    if (meta?.pid && await isAlive(meta.pid, meta.startTicks)) await sendSignal(-meta.pid, signal);
  }

  async function ended(name: string, withinMs: number): Promise<boolean> {
    const deadlineMs = clock.monoMs() + withinMs;
    for (let waitMs = 5;; waitMs = Math.min(100, waitMs * 2)) {
      if ((await inspect(name))?.status !== "running") return true;
      if (clock.monoMs() >= deadlineMs) return false;
      await pause(clock, Math.min(waitMs, deadlineMs - clock.monoMs()));
    }
  }

  async function start(name: string): Promise<void> {
    starting.add(name);
    try {
      await startOnce(name);
    } finally {
      starting.delete(name);
    }
  }

  async function startOnce(name: string): Promise<void> {
    const meta = await readMeta(name);
    if (!meta) throw new RuntimeError("missing", `no process ${name}`);
    if (meta.pid !== null && await isAlive(meta.pid, meta.startTicks)) return;
    const dir = dirOf(name);
    const { spec } = meta;
    const orphan = await pidOfShim(dir);
    if (orphan !== null && orphan !== meta.pid) {
      // A sailor that died between the spawn and its note: that start counts, or it would run twice.
      const startTicks = await isShimOf(orphan, dir) ? await ticksOf(orphan) : null;
      await writeMeta(name, { ...meta, pid: orphan, startTicks, startedMs: clock.wallMs(), error: null });
      if (startTicks === null) return tell(name, "died");
      tell(name, "started");
      return watch(name, orphan, startTicks, closing.signal);
    }
    for (const left of ["exit", "ready"]) await Deno.remove(join(dir, left)).catch(ignoreNotFound);
    const command = commandOf(spec, dir);
    const child = spawn("/bin/sh", ["-c", SHIM, "sh", dir, `${signalNumber(stopSignalOf(spec))}`, ...command], {
      cwd: spec.workdir ?? dir,
      detached: true,
      stdio: "ignore",
      env: environment(spec, dir),
    });
    const spawned = await new Promise<Error | null>((resolve) => {
      child.once("spawn", () => resolve(null));
      child.once("error", resolve);
    });
    if (spawned || child.pid === undefined) {
      const error = spawned?.message ?? "it could not be spawned";
      await writeMeta(name, { ...meta, error });
      throw new RuntimeError("failed", error);
    }
    const { pid } = child;
    children.add(pid);
    child.once("exit", () => {
      children.delete(pid);
      tell(name, "died");
    });
    child.unref();
    await writeMeta(name, {
      ...meta,
      pid,
      startTicks: await ticksOf(pid),
      startedMs: clock.wallMs(),
      error: null,
    });
    await ready(dir, pid);
    tell(name, "started");
  }

  /** A signal that comes earlier would end the shim, and the code would be lost, or would be heard by nobody. */
  async function ready(dir: string, pid: number): Promise<void> {
    const untilMs = clock.monoMs() + READY_WITHIN_MS;
    for (let waitMs = 1; clock.monoMs() < untilMs && await ticksOf(pid) !== null; waitMs = Math.min(2 * waitMs, 100)) {
      if (await Deno.stat(join(dir, "ready")).catch(ignoreNotFound)) return;
      await pause(clock, waitMs);
    }
  }

  async function stop(name: string, graceMs: number): Promise<void> {
    if (!await inspect(name)) return;
    const { spec, pid } = (await readMeta(name))!;
    await signalGroup(name, stopSignalOf(spec));
    if (await ended(name, graceMs)) return;
    // The shim dies with its group and writes no code; one that it writes at this moment takes the place of this.
    if (pid !== null) await writeFileAtomically(join(dirOf(name), "exit"), `${KILLED}\n`);
    await signalGroup(name, "SIGKILL");
    await ended(name, 10_000);
  }

  return {
    kind: "process",
    async info() {
      const machine = createMachine();
      return {
        engineId: `process:${options.machineId ?? await readMachineId(nodeId)}`,
        version: Deno.build.target,
        capacity: await machine.capacity(),
      };
    },
    async list() {
      const found: ContainerObservation[] = [];
      for await (const entry of Deno.readDir(stateDir)) {
        const observation = entry.isDirectory ? await inspect(entry.name) : undefined;
        if (observation) found.push(observation);
      }
      return found;
    },
    inspect,
    inspectRaw: readMeta,
    hasImage: () => Promise.resolve(true),
    pull: () => Promise.resolve(),
    async create(spec, signal) {
      signal.throwIfAborted();
      // Known before anything is made.
      signalNumber(stopSignalOf(spec));
      const existing = await readMeta(spec.name);
      const same = existing?.spec.labels[LABEL_ATTEMPT] === spec.labels[LABEL_ATTEMPT] &&
        existing?.spec.labels[LABEL_NODE] === nodeId;
      if (existing && !same) {
        throw new RuntimeError("conflict", `the name ${spec.name} is taken by another process`);
      }
      if (!existing) {
        const dir = dirOf(spec.name);
        for (const file of spec.files) {
          const path = join(dir, "files", file.path);
          await Deno.mkdir(join(path, ".."), { recursive: true });
          await Deno.writeTextFile(path, file.content, { mode: file.mode });
          await Deno.chmod(path, file.mode); // Past the umask.
        }
        await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
        await placeStepFiles(dir, spec);
        const labels = { ...spec.labels, [LABEL_NODE]: nodeId };
        await writeMeta(spec.name, {
          spec: { ...spec, labels },
          pid: null,
          startTicks: null,
          startedMs: null,
          error: null,
        });
      }
      return (await inspect(spec.name))!;
    },
    start,
    stop,
    async restart(name, graceMs) {
      await stop(name, graceMs);
      await start(name);
    },
    async remove(name) {
      if (!await inspect(name)) return;
      await signalGroup(name, "SIGKILL");
      await ended(name, 10_000);
      await Deno.remove(dirOf(name), { recursive: true }).catch(ignoreNotFound);
      tell(name, "removed");
    },
    logs: (name, request, signal) =>
      processLogs({
        dir: dirOf(name),
        request,
        signal,
        clock,
        isRunning: async () => (await inspect(name))?.status === "running",
      }),
    leavings: async (name, bytesMax) => ({
      output: (await readMeta(name))?.spec.outputFile ? await readOutputFile(dirOf(name), bytesMax) : null,
      answer: null,
    }),
    async exec(name, request) {
      const meta = await readMeta(name);
      if (!meta || (await inspect(name))?.status !== "running") {
        throw new RuntimeError("missing", `the process ${name} does not run`);
      }
      return processExec(request, { cwd: meta.spec.workdir ?? dirOf(name), env: environment(meta.spec, dirOf(name)) });
    },
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
        await watchAdopted(signal);
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
      closing.abort();
      await Promise.all(watching);
    },
  };

  /** Processes that another life of the sailor started tell nobody of their end; they are looked at. */
  async function watchAdopted(signal: AbortSignal): Promise<void> {
    for await (const entry of Deno.readDir(stateDir)) {
      const meta = entry.isDirectory ? await readMeta(entry.name) : undefined;
      const adopted = meta?.pid && !children.has(meta.pid) && await isAlive(meta.pid, meta.startTicks);
      if (adopted) watch(entry.name, meta.pid!, meta.startTicks!, AbortSignal.any([signal, closing.signal]));
    }
  }

  function watch(name: string, pid: number, startTicks: string, signal: AbortSignal): void {
    const look = async () => {
      while (!signal.aborted && await isAlive(pid, startTicks)) await pause(clock, LOOK_EVERY_MS, signal);
      if (!signal.aborted) tell(name, "died");
    };
    const watched = look()
      .catch((error) => logger.error("the end of a process is not seen", { name, error: String(error.stack ?? error) }))
      .finally(() => watching.delete(watched));
    watching.add(watched);
  }
}

const stopSignalOf = (spec: ContainerSpec) => spec.stopSignal ?? "SIGTERM";

/** Nothing of the sailor's own environment: it may hold tokens. */
function environment(spec: ContainerSpec, dir: string): Record<string, string> {
  return {
    PATH: Deno.env.get("PATH") ?? DEFAULT_PATH,
    HOME: dir,
    ORMEN_FILES: join(dir, "files"),
    ...spec.servicesDir === undefined ? {} : { ORMEN_SERVICES: spec.servicesDir },
    ...spec.env,
    ...(spec.outputFile ? { ORMEN_OUTPUT: join(dir, "output") } : {}),
  };
}

interface Exit {
  readonly code: number;
  readonly error: string | null;
  readonly atMs: number;
}

async function readExit(dir: string): Promise<Exit | undefined> {
  try {
    const path = join(dir, "exit");
    const [, code, error] = /^(\d+) ?(.*)/.exec(await Deno.readTextFile(path)) ?? [];
    return { code: Number(code), error: error || null, atMs: (await Deno.stat(path)).mtime?.getTime() ?? 0 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function pidOfShim(dir: string): Promise<number | null> {
  try {
    return Number(await Deno.readTextFile(join(dir, "pid"))) || null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether the process with this pid is the shim of this directory, and not another that got the pid since. */
async function isShimOf(pid: number, dir: string): Promise<boolean> {
  try {
    return (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").includes(dir);
  } catch {
    return false; // It has ended, or belongs to somebody else.
  }
}

/** Pids come again; start times do not come with them. */
async function isAlive(pid: number, startTicks: string | null): Promise<boolean> {
  return startTicks !== null && await ticksOf(pid) === startTicks;
}

/** Null when there is no such process or it is a zombie. */
async function ticksOf(pid: number): Promise<string | null> {
  const stat = await statOf(pid);
  return stat === null || stat.state === "Z" || stat.state === "X" ? null : stat.startTicks;
}

/** Fields 3 and 22 of /proc/PID/stat. */
async function statOf(pid: number): Promise<{ state: string; startTicks: string } | null> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    // The name before the last ")" may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], startTicks: fields[19] };
  } catch (error) {
    // ESRCH: it ended between opening and reading.
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test((error as Error).message)) return null;
    throw error;
  }
}

async function readMachineId(fallback: string): Promise<string> {
  try {
    return (await Deno.readTextFile("/etc/machine-id")).trim() || fallback;
  } catch {
    return fallback; // A machine without one shares its Engine with nobody.
  }
}

function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
