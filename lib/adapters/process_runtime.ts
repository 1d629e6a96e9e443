/**
 * The runtime over plain host processes, for machines without an Engine. Each "container" is a process group in a session of
 * its own under a small shell shim, so that it outlives the sailor; a directory holds all that is known of it:
 *
 *   meta.json   what was asked for, and the process that was started last (pid and start time, since pids come again)
 *   stdout, stderr, pid (the shim's, by itself), exit (the code, written by the shim at the end), files/
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
import { processLogs, rotateLogs } from "./process_logs.ts";

export interface ProcessRuntimeOptions {
  readonly stateDir: string;
  readonly nodeId: string;
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

/**
 * Signals of the group reach the shim too: it notes them and goes on waiting, so that it can write the code.
 * The traps are not inherited by the command. What the command leaves behind in its group ends with it, as in a container.
 */
const SHIM = `
dir=$1; shift
echo "$$" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
trap : TERM INT HUP QUIT USR1 USR2
"$@" >>"$dir/stdout" 2>>"$dir/stderr" </dev/null &
child=$!
wait "$child"; code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
echo "$code" >"$dir/exit.new" && mv "$dir/exit.new" "$dir/exit"
kill -KILL 0
`;

const LOOK_EVERY_MS = 500;
const ROTATE_EVERY_MS = 10_000;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  const { stateDir, nodeId, clock, logger } = options;
  await Deno.mkdir(stateDir, { recursive: true, mode: 0o700 });
  const closing = new AbortController();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const tell = (name: string, what: "started" | "died" | "removed") => {
    for (const listener of listeners) listener({ kind: "container", name, what });
  };
  const keepingLogs = keepLogsSmall();

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
    const exit = running ? undefined : await readExit(dirOf(name));
    return {
      id: name,
      name,
      labels: meta.spec.labels,
      status: running ? "running" : meta.pid === null && !meta.error ? "created" : "exited",
      exitCode: running || meta.pid === null ? null : exit?.code ?? 137,
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
      error: meta.error ?? (!running && meta.pid !== null && !exit ? "killed together with what watched it" : null),
    };
  }

  async function signalGroup(name: string, signal: Deno.Signal): Promise<void> {
    const meta = await readMeta(name);
    if (!meta?.pid || !await isAlive(meta.pid, meta.startTicks)) return;
    try {
      Deno.kill(-meta.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // It has just ended.
    }
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
      return tell(name, startTicks === null ? "died" : "started");
    }
    await Deno.remove(join(dir, "exit")).catch(ignoreNotFound);
    const command = [...spec.entrypoint ?? [], ...spec.cmd ?? []];
    const child = spawn("/bin/sh", ["-c", SHIM, "sh", dir, ...command], {
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
    child.once("exit", () => tell(name, "died"));
    child.unref();
    await writeMeta(name, {
      ...meta,
      pid: child.pid,
      startTicks: await ticksOf(child.pid),
      startedMs: clock.wallMs(),
      error: null,
    });
    tell(name, "started");
  }

  async function stop(name: string, graceMs: number): Promise<void> {
    if (!await inspect(name)) return;
    const { spec, pid } = (await readMeta(name))!;
    await signalGroup(name, (spec.stopSignal ?? "SIGTERM") as Deno.Signal);
    if (await ended(name, graceMs)) return;
    await signalGroup(name, "SIGKILL");
    // The shim dies with its group and writes no code.
    if (await ended(name, 10_000) && pid !== null && !await readExit(dirOf(name))) {
      await writeFileAtomically(join(dirOf(name), "exit"), "137\n");
    }
  }

  async function keepLogsSmall(): Promise<void> {
    while (!closing.signal.aborted) {
      await pause(clock, ROTATE_EVERY_MS, closing.signal);
      try {
        for await (const entry of Deno.readDir(stateDir)) {
          if (entry.isDirectory && !closing.signal.aborted) await rotateLogs(join(stateDir, entry.name), logger);
        }
      } catch (error) {
        logger.warn("logs of processes could not be looked at", { error: (error as Error).message });
      }
    }
  }

  return {
    kind: "process",
    async info() {
      const machine = createMachine();
      return {
        engineId: `process:${await machineId(nodeId)}`,
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
      listeners.add(listener);
      const adopted = watchAdopted(signal).catch((error) =>
        logger.error("ends of adopted processes are not seen any more", { error: String(error.stack ?? error) })
      );
      try {
        while (!signal.aborted) {
          const event = queue.shift();
          if (event) yield event;
          else {
            await new Promise<void>((resolve) => {
              wake = resolve;
              signal.addEventListener("abort", () => resolve(), { once: true });
            });
          }
        }
      } finally {
        listeners.delete(listener);
        await adopted;
      }
    },
    async close() {
      closing.abort();
      await keepingLogs;
    },
  };

  /** Processes that another life of the sailor started tell nobody of their end; they are looked at. */
  async function watchAdopted(signal: AbortSignal): Promise<void> {
    const alive = new Map<string, Meta>();
    for await (const entry of Deno.readDir(stateDir)) {
      const meta = entry.isDirectory ? await readMeta(entry.name) : undefined;
      if (meta?.pid && await isAlive(meta.pid, meta.startTicks)) alive.set(entry.name, meta);
    }
    while (alive.size > 0 && !signal.aborted) {
      await pause(clock, LOOK_EVERY_MS, signal);
      for (const [name, meta] of alive) {
        if (await isAlive(meta.pid!, meta.startTicks)) continue;
        alive.delete(name);
        tell(name, "died");
      }
    }
  }
}

/** Nothing of the sailor's own environment: it may hold tokens. */
function environment(spec: ContainerSpec, dir: string): Record<string, string> {
  return {
    PATH: Deno.env.get("PATH") ?? DEFAULT_PATH,
    HOME: dir,
    ORMEN_FILES: join(dir, "files"),
    ...spec.env,
  };
}

async function readExit(dir: string): Promise<{ code: number; atMs: number } | undefined> {
  try {
    const path = join(dir, "exit");
    const code = Number((await Deno.readTextFile(path)).trim());
    return { code, atMs: (await Deno.stat(path)).mtime?.getTime() ?? 0 };
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

/** Field 22 of /proc/PID/stat; null when there is no such process or it is a zombie. */
async function ticksOf(pid: number): Promise<string | null> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    // The name before the last ")" may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : fields[19];
  } catch (error) {
    // ESRCH: it ended between opening and reading.
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test((error as Error).message)) return null;
    throw error;
  }
}

async function machineId(fallback: string): Promise<string> {
  try {
    return (await Deno.readTextFile("/etc/machine-id")).trim() || fallback;
  } catch {
    return fallback; // A machine without one shares its Engine with nobody.
  }
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
