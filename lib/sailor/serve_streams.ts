/** Serves logs and commands of this sailor's containers over streams that a deck opens. */
import type { ExecSession, OutputChunk, Runtime } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { StreamRequest } from "../messages/stream.ts";
import type { Stream } from "../session/channel.ts";
import { StreamError } from "../session/channel.ts";

export type FindContainer = (attemptId: string) => { readonly runtime: Runtime; readonly name: string } | undefined;

/** Ends the stream, or throws StreamError: "notFound" when there is no such container (any more), else "failed". */
export async function serveStream(find: FindContainer, request: StreamRequest, stream: Stream): Promise<void> {
  try {
    await serve(find, request, stream);
  } catch (error) {
    if (error instanceof RuntimeError && error.code === "missing") throw gone();
    throw error instanceof StreamError ? error : new StreamError("failed", textOf(error));
  }
}

async function serve(find: FindContainer, request: StreamRequest, stream: Stream): Promise<void> {
  const container = find(request.attemptId);
  if (!container || !(await container.runtime.inspect(container.name))) throw gone();
  const { runtime, name } = container;
  // Before any output: tells the deck that there is something to wait for.
  await stream.write("stdout", new Uint8Array(0));
  if (stream.signal.aborted) return;
  switch (request.kind) {
    case "logs":
      await pump(runtime.logs(name, request, stream.signal), stream);
      return stream.end(null);
    case "exec":
      return await serveExec(await startExec(runtime, name, request), stream);
    default:
      request satisfies never;
  }
}

function startExec(
  runtime: Runtime,
  name: string,
  request: Extract<StreamRequest, { kind: "exec" }>,
): Promise<ExecSession> {
  const { columns, rows } = request;
  return runtime.exec(name, {
    command: request.command,
    tty: request.tty,
    stdin: request.stdin,
    ...(columns !== undefined && rows !== undefined ? { size: { columns, rows } } : {}),
  });
}

async function serveExec(exec: ExecSession, stream: Stream): Promise<void> {
  // Its rejection is met below, unless the output fails first.
  exec.exitCode.catch(() => {});
  // Whoever asked may have left while the command was being started.
  if (stream.signal.aborted) return exec.close();
  stream.signal.addEventListener("abort", () => exec.close(), { once: true });
  stream.onResize((columns, rows) => {
    exec.resize(columns, rows).catch(() => {}); // A command that has just ended has no size.
  });
  const typing = feed(exec, stream);
  await pump(exec.output, stream);
  stream.end(await exec.exitCode);
  await typing;
}

/** A command may close its stdin and go on, as `head` does: what is typed after that is taken and dropped. */
async function feed(exec: ExecSession, stream: Stream): Promise<void> {
  try {
    for await (const { data } of stream.incoming) await exec.write(data);
    if (!stream.signal.aborted) await exec.closeStdin();
  } catch {
    // Leaving the loop has discarded the rest; whether the command failed is told by its exit code.
  }
}

async function pump(output: AsyncIterable<OutputChunk>, stream: Stream): Promise<void> {
  for await (const { stream: which, data } of output) {
    if (stream.signal.aborted) return;
    if (data.length > 0) await stream.write(which, data);
  }
}

const gone = () => new StreamError("notFound", "its container is not there (any more)");
const textOf = (error: unknown) => error instanceof Error ? error.message : String(error);
