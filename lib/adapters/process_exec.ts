/** A command beside a host process, with its directory and environment. Without a terminal: `tty` is not heeded. */
import type { ExecOptions, ExecSession, OutputChunk } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";

export function processExec(
  options: ExecOptions,
  { cwd, env }: { readonly cwd: string; readonly env: Record<string, string> },
): ExecSession {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(options.command[0], {
      args: options.command.slice(1),
      cwd,
      env: { ...env, ...options.env },
      clearEnv: true,
      stdin: options.stdin ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new RuntimeError("failed", (error as Error).message);
  }
  const stdin = options.stdin ? child.stdin.getWriter() : undefined;
  const exit = Promise.withResolvers<number>();
  return {
    output: merge(child, async () => exit.resolve((await child.status).code)),
    exitCode: exit.promise,
    write: async (data) => await stdin?.write(data),
    closeStdin: async () => await stdin?.close(),
    resize: () => Promise.resolve(),
    close() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
    },
  };
}

async function* merge(child: Deno.ChildProcess, ended: () => Promise<void>): AsyncIterable<OutputChunk> {
  const readers = [
    { stream: "stdout" as const, reader: child.stdout.getReader() },
    { stream: "stderr" as const, reader: child.stderr.getReader() },
  ];
  const next = (entry: (typeof readers)[number]) => entry.reader.read().then((result) => ({ entry, result }));
  const pending = new Map(readers.map((entry) => [entry, next(entry)]));
  try {
    while (pending.size > 0) {
      const { entry, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(entry);
        continue;
      }
      pending.set(entry, next(entry));
      yield { stream: entry.stream, data: result.value };
    }
  } finally {
    for (const { reader } of readers) await reader.cancel();
    await ended();
  }
}
