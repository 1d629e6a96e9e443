/** Output, commands and events of the Engine as async iterables: bounded by their reader, closed by a signal. */
import type Docker from "dockerode";
import type { Readable } from "node:stream";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ExecOptions, ExecSession, LogOptions, OutputChunk, RuntimeEvent } from "../contracts/runtime.ts";
import { runtimeError, wordsOf } from "./docker_translate.ts";

const HEADER_BYTES = 8;

/** Splits the Engine's multiplexed stream: one byte of stream, three empty, four of length, payload. */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncIterable<OutputChunk> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : concat(held, chunk);
    while (held.length >= HEADER_BYTES) {
      const size = new DataView(held.buffer, held.byteOffset + 4, 4).getUint32(0);
      if (held.length < HEADER_BYTES + size) break;
      const data = held.slice(HEADER_BYTES, HEADER_BYTES + size);
      yield { stream: held[0] === 2 ? "stderr" : "stdout", data };
      held = held.subarray(HEADER_BYTES + size);
    }
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** A call of the Engine that answers with a stream whatever its size; the client's own `logs` collects all of it. */
export function dialStream(docker: Docker, path: string, query: Record<string, string>): Promise<Readable> {
  return new Promise((resolve, reject) => {
    docker.modem.dial({
      path: `${path}?`,
      method: "GET",
      options: query,
      isStream: true,
      statusCodes: { 200: true, 404: "no such container", 500: "server error" },
    }, (error: unknown, stream: unknown) => error ? reject(error) : resolve(stream as Readable));
  });
}

export async function* containerLogs(
  docker: Docker,
  name: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncIterable<OutputChunk> {
  let stream: Readable;
  try {
    stream = await dialStream(docker, `/containers/${encodeURIComponent(name)}/logs`, {
      stdout: "1",
      stderr: "1",
      follow: options.follow ? "1" : "0",
      timestamps: options.timestamps ? "1" : "0",
      tail: options.tail === null ? "all" : String(options.tail),
      ...(options.sinceMs === null ? {} : { since: (options.sinceMs / 1000).toFixed(3) }),
    });
  } catch (error) {
    throw runtimeError(error, "other");
  }
  const abort = () => stream.destroy();
  signal.addEventListener("abort", abort);
  try {
    if (signal.aborted) return;
    yield* demultiplex(stream as AsyncIterable<Uint8Array>);
  } catch (error) {
    if (!signal.aborted) throw runtimeError(error, "other");
  } finally {
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

export async function containerExec(
  docker: Docker,
  name: string,
  options: ExecOptions,
  clock: Clock,
): Promise<ExecSession> {
  let exec: Docker.Exec;
  let stream: import("node:stream").Duplex;
  try {
    exec = await docker.getContainer(name).exec({
      Cmd: [...options.command],
      AttachStdin: options.stdin,
      AttachStdout: true,
      AttachStderr: true,
      Tty: options.tty,
      ...(options.env ? { Env: Object.entries(options.env).map(([k, v]) => `${k}=${v}`) } : {}),
    });
    stream = await exec.start({ hijack: true, stdin: options.stdin, Tty: options.tty });
    if (options.tty && options.size) await firstResize(exec, options.size, clock);
  } catch (error) {
    throw runtimeError(error, "other");
  }
  const exit = Promise.withResolvers<number>();
  // Whoever only reads the output need not care for the code.
  exit.promise.catch(() => {});
  return {
    output: readExec(stream, options.tty, () => exitCodeOf(exec, clock).then(exit.resolve, exit.reject)),
    exitCode: exit.promise,
    write: (data) =>
      new Promise((resolve, reject) =>
        stream.write(data, (error) => error ? reject(runtimeError(error, "other")) : resolve())
      ),
    closeStdin: () => new Promise((resolve) => stream.end(resolve)),
    resize: async (columns, rows) => {
      await exec.resize({ w: columns, h: rows });
    },
    close: () => stream.destroy(),
  };
}

/** The Engine answers before the process is there to be resized; one that has ended already needs no size. */
async function firstResize(exec: Docker.Exec, size: { columns: number; rows: number }, clock: Clock): Promise<void> {
  for (let waitMs = 2; waitMs < 500; waitMs *= 2) {
    try {
      return void await exec.resize({ w: size.columns, h: size.rows });
    } catch (error) {
      if (!/stopped|not running|not found|no such exec/.test(wordsOf(error))) throw error;
      await pause(clock, waitMs);
    }
  }
}

async function* readExec(stream: Readable, tty: boolean, ended: () => Promise<void>): AsyncIterable<OutputChunk> {
  try {
    const source = stream as AsyncIterable<Uint8Array>;
    if (!tty) yield* demultiplex(source);
    else for await (const data of source) yield { stream: "stdout", data };
  } catch (error) {
    // A stream that was let go of ends by an error; the exit code tells the rest.
    if (!stream.destroyed) throw runtimeError(error, "other");
  } finally {
    stream.destroy();
    await ended();
  }
}

/** The Engine may end the stream a moment before it knows the code. */
async function exitCodeOf(exec: Docker.Exec, clock: Clock): Promise<number> {
  for (let waitMs = 5; waitMs < 2_000; waitMs *= 2) {
    const info = await exec.inspect();
    if (!info.Running && info.ExitCode !== null) return info.ExitCode;
    await pause(clock, waitMs);
  }
  throw runtimeError(new Error("the command still runs though its output has ended"), "other");
}

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;

/** Reconnects for ever; after each gap it says `back`, upon which everything is to be looked at. */
export async function* containerEvents(
  docker: Docker,
  label: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<RuntimeEvent> {
  let failures = 0;
  let flowing = false;
  while (!signal.aborted) {
    let reason = "the event stream ended";
    try {
      const filters = JSON.stringify({ type: ["container"], label: [label] });
      const stream = await dialStream(docker, "/events", { filters });
      const abort = () => stream.destroy();
      signal.addEventListener("abort", abort);
      try {
        if (signal.aborted) return;
        failures = 0;
        flowing = true;
        yield { kind: "back" };
        for await (const line of lines(stream as AsyncIterable<Uint8Array>)) {
          const event = eventOf(line);
          if (event) yield event;
        }
      } finally {
        signal.removeEventListener("abort", abort);
        stream.destroy();
      }
    } catch (error) {
      reason = runtimeError(error, "other").message;
    }
    if (signal.aborted) return;
    // Before the first `back` there was nothing to lose.
    if (flowing) yield { kind: "lost", reason };
    flowing = false;
    await pause(clock, Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures++), signal);
  }
}

async function* lines(source: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let held = "";
  for await (const chunk of source) {
    held += decoder.decode(chunk, { stream: true });
    const parts = held.split("\n");
    held = parts.pop()!;
    yield* parts.filter((part) => part !== "");
  }
}

const WHAT: Readonly<Record<string, "started" | "died" | "oom" | "removed">> = {
  start: "started",
  die: "died",
  oom: "oom",
  destroy: "removed",
};

function eventOf(line: string): RuntimeEvent | undefined {
  const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { Attributes: { name: string } } };
  // Commands in a container are none of its own life.
  if (Action.startsWith("exec_")) return undefined;
  return { kind: "container", name: Actor.Attributes.name, what: WHAT[Action] ?? "other" };
}
