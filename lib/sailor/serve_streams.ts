/** Serves logs and commands of this sailor's containers over streams that a deck opens. */
import type { ExecSession, OutputChunk, Runtime } from "../contracts/runtime.ts";
import type { StreamRequest } from "../messages/stream.ts";
import type { Stream } from "../session/stream_mux.ts";
import { StreamError } from "../session/stream_mux.ts";

export type FindContainer = (attemptId: string) => { readonly runtime: Runtime; readonly name: string } | undefined;

export async function serveStream(find: FindContainer, request: StreamRequest, stream: Stream): Promise<void> {
  const container = find(request.attemptId);
  if (!container || !(await container.runtime.inspect(container.name))) {
    throw new StreamError("notFound", "its container is not there (any more)");
  }
  const { runtime, name } = container;
  // Before any output: tells the deck that there is something to wait for.
  await stream.write("stdout", new Uint8Array(0));
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
  stream.signal.addEventListener("abort", () => exec.close(), { once: true });
  stream.onResize((columns, rows) => {
    exec.resize(columns, rows).catch(() => {}); // A command that has just ended has no size.
  });
  const typing = feed(exec, stream);
  await pump(exec.output, stream);
  stream.end(await exec.exitCode);
  await typing;
}

async function feed(exec: ExecSession, stream: Stream): Promise<void> {
  try {
    for await (const { data } of stream.incoming) await exec.write(data);
    if (!stream.signal.aborted) await exec.closeStdin();
  } catch {
    exec.close(); // The reader went away, or the command did: the other direction tells which.
  }
}

async function pump(output: AsyncIterable<OutputChunk>, stream: Stream): Promise<void> {
  for await (const { stream: which, data } of output) {
    if (stream.signal.aborted) return;
    if (data.length > 0) await stream.write(which, data);
  }
}
