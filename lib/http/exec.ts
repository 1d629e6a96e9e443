/**
 * One exec session over one WebSocket; messages/api.ts says what the frames are.
 *
 * 1. The session ends with exactly one `end` or `error` frame, or because the socket closed; the command is let go of then.
 * 2. Output waits while the socket has more than UNSENT_BYTES_MAX to send; input is written in order, one write at a time.
 */
import { z } from "zod";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { DeckApi, RemoteExec } from "../deck/api.ts";
import { EXEC_STDERR, EXEC_STDIN, EXEC_STDOUT, execRequestBody } from "../messages/api.ts";
import type { ExecEndMessage, ExecRequestBody } from "../messages/api.ts";

const FIRST_FRAME_MS = 10_000;
const UNSENT_BYTES_MAX = 2 ** 20;
const UNSENT_LOOK_MS = 5;
/** Input that the command has not taken yet. A WebSocket cannot be told to wait, so there has to be an end. */
const STDIN_BYTES_MAX = 64 * 2 ** 20;

/** A frame from the client after the first. */
export const execClientMessage = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("resize"),
    columns: z.number().int().min(1).max(10_000),
    rows: z.number().int().min(1).max(10_000),
  }),
  z.object({ kind: z.literal("closeStdin") }),
]);

export const execEndMessage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("end"), exitCode: z.number().int() }),
  z.object({ kind: z.literal("error"), message: z.string() }),
]);

export function serveExec(parts: {
  readonly deck: DeckApi;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly link: Link;
  readonly taskId: string;
}): void {
  const { deck, clock, logger, link, taskId } = parts;
  const gone = new AbortController();
  let session: RemoteExec | null = null;
  let requested = false;
  let input: Promise<void> = Promise.resolve();
  let inputBytes = 0;

  const finish = (message: ExecEndMessage) => {
    if (gone.signal.aborted) return;
    link.send(JSON.stringify(message));
    gone.abort();
    cancelTimer();
    link.close("end of exec");
    session?.close();
  };
  const fail = (error: unknown) =>
    finish({ kind: "error", message: error instanceof Error ? error.message : `${error}` });
  const cancelTimer = clock.after(FIRST_FRAME_MS, () => fail(new Error("no request came")));

  link.onClose(() => {
    gone.abort();
    cancelTimer();
    session?.close();
  });
  link.onFrame((frame) => {
    if (gone.signal.aborted) return;
    try {
      if (!requested) {
        requested = true;
        cancelTimer();
        open(parseText(frame, execRequestBody)).catch(fail);
      } else if (typeof frame === "string") {
        const message = parseText(frame, execClientMessage);
        // Behind the input that came before it.
        enqueue(
          0,
          (exec) => message.kind === "resize" ? exec.resize(message.columns, message.rows) : exec.closeStdin(),
        );
      } else if (frame[0] === EXEC_STDIN) {
        enqueue(frame.length, (exec) => exec.write(frame.subarray(1)));
      }
    } catch (error) {
      fail(error);
    }
  });

  let ready: (exec: RemoteExec) => void;
  const opened = new Promise<RemoteExec>((resolve) => ready = resolve);

  function enqueue(bytes: number, act: (exec: RemoteExec) => void | Promise<void>): void {
    inputBytes += bytes;
    if (inputBytes > STDIN_BYTES_MAX) throw new Error("more input came than the command reads");
    input = input.then(async () => {
      const exec = await opened;
      if (!gone.signal.aborted) await act(exec);
      inputBytes -= bytes;
    }).catch(fail);
  }

  async function open(request: ExecRequestBody): Promise<void> {
    const exec = await deck.openExec(taskId, request);
    if (gone.signal.aborted) return exec.close();
    session = exec;
    ready(exec);
    logger.debug("exec opened", { taskId });
    for await (const piece of exec.output) {
      if (gone.signal.aborted) return;
      const frame = new Uint8Array(1 + piece.data.length);
      frame[0] = piece.stream === "stdout" ? EXEC_STDOUT : EXEC_STDERR;
      frame.set(piece.data, 1);
      link.send(frame);
      // A WebSocket does not tell when it has drained.
      while (!gone.signal.aborted && link.buffered() > UNSENT_BYTES_MAX) {
        await pause(clock, UNSENT_LOOK_MS, gone.signal);
      }
    }
    finish({ kind: "end", exitCode: await exec.exitCode });
  }
}

/** Throws an Error with a sentence for the client. */
function parseText<T>(frame: string | Uint8Array, schema: z.ZodType<T>): T {
  if (typeof frame !== "string") throw new Error("the first frame must be text: what to run");
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    throw new Error("a text frame must be JSON");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Error(`${issue.path.join(".") || "request"}: ${issue.message}`);
}
