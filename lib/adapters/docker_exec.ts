/** Commands in running containers, over the Engine's two-way connections. */
import type Docker from "dockerode";
import type { Duplex, Readable } from "node:stream";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ExecOptions, ExecSession, OutputChunk } from "../contracts/runtime.ts";
import { DEADLINES, within } from "./docker_deadline.ts";
import { demultiplex } from "./docker_stream.ts";
import { runtimeError, wordsOf } from "./docker_translate.ts";

export async function containerExec(
  docker: Docker,
  name: string,
  options: ExecOptions,
  clock: Clock,
): Promise<ExecSession> {
  let exec: Docker.Exec;
  let stream: Duplex;
  try {
    const request = {
      Cmd: [...options.command],
      AttachStdin: options.stdin,
      AttachStdout: true,
      AttachStderr: true,
      Tty: options.tty,
      ...(options.env ? { Env: Object.entries(options.env).map(([k, v]) => `${k}=${v}`) } : {}),
    };
    exec = await within(
      clock,
      DEADLINES.lookMs,
      (abortSignal) => docker.getContainer(name).exec({ ...request, abortSignal }),
    );
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
      try {
        await exec.resize({ w: columns, h: rows });
      } catch (error) {
        throw runtimeError(error, "other");
      }
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
    const info = await within(clock, DEADLINES.lookMs, (abortSignal) => exec.inspect({ abortSignal }));
    if (!info.Running && info.ExitCode !== null) return info.ExitCode;
    await pause(clock, waitMs);
  }
  throw runtimeError(new Error("the command still runs though its output has ended"), "other");
}
