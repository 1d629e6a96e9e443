/**
 * A task's output as an HTTP body. The reader sets the pace: a piece is asked of the deck when the connection asks for one,
 * and a reader who leaves, or takes nothing for a minute, closes the stream at the sailor.
 */
import type { z } from "zod";
import type { Clock } from "../contracts/clock.ts";
import type { DeckApi, OutputPiece, OutputStream, StreamUnavailable } from "../deck/api.ts";
import type { LogChunkLine } from "../messages/api.ts";
import { Refusal } from "./problems.ts";
import type { ProblemCode } from "./problems.ts";
import { parseSince } from "./query.ts";
import { watchReader } from "./reader_watch.ts";
import type { logsQuery } from "./query.ts";

const NDJSON = "application/x-ndjson";

/** Throws Refusal when there is no output to be had. */
export async function logsAnswer(
  deck: DeckApi,
  clock: Clock,
  taskId: string,
  query: z.output<typeof logsQuery>,
  request: Request,
): Promise<Response> {
  const asLines = request.headers.get("accept")?.includes(NDJSON) ?? false;
  const headers = {
    "content-type": asLines ? NDJSON : "text/plain; charset=utf-8",
    "cache-control": "no-store",
    // A proxy that gathers a followed stream shows nothing for minutes.
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
  };
  const logRequest = {
    attempt: query.attempt ?? null,
    follow: query.follow,
    tail: query.tail ?? null,
    sinceMs: query.since === undefined ? null : parseSince(query.since, clock.wallMs()),
    timestamps: query.timestamps,
  };
  // hono answers HEAD through GET and drops the body unread: a stream opened for it would never be closed.
  if (request.method === "HEAD") return new Response(null, { headers });
  let output: OutputStream;
  try {
    output = await deck.openLogs(taskId, logRequest);
  } catch (error) {
    throw streamRefusal(error);
  }
  // A client that left meanwhile is noticed by the server, which cancels the body.
  return new Response(bodyOf(output, asLines ? lineFormat() : RAW, clock), { headers });
}

interface OutputFormat {
  /** May be empty: a piece can end inside a character. */
  piece(piece: OutputPiece): Uint8Array;
  end(): Uint8Array;
  /** What tells the reader that the output broke off; null: breaking the connection has to. */
  broken(message: string): Uint8Array | null;
}

const NOTHING = new Uint8Array();
const RAW: OutputFormat = { piece: (piece) => piece.data, end: () => NOTHING, broken: () => null };

/** One line of JSON a piece. Each stream has its decoder: a character may be split between pieces. */
function lineFormat(): OutputFormat {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const encoder = new TextEncoder();
  const line = (stream: "stdout" | "stderr", text: string) => {
    const chunk: LogChunkLine = { stream, text };
    return text === "" ? "" : `${JSON.stringify(chunk)}\n`;
  };
  const rest = () => line("stdout", decoders.stdout.decode()) + line("stderr", decoders.stderr.decode());
  return {
    piece: ({ stream, data }) => encoder.encode(line(stream, decoders[stream].decode(data, { stream: true }))),
    end: () => encoder.encode(rest()),
    broken: (message) => encoder.encode(`${rest()}${JSON.stringify({ error: message })}\n`),
  };
}

function bodyOf(output: OutputStream, format: OutputFormat, clock: Clock): ReadableStream<Uint8Array> {
  const pieces = output[Symbol.asyncIterator]();
  let stalled = () => {};
  const reader = watchReader(clock, () => stalled());
  return new ReadableStream<Uint8Array>({
    start(controller) {
      stalled = () => {
        output.close();
        controller.error(new Error("the reader does not read"));
      };
    },
    async pull(controller) {
      reader.asked();
      try {
        while (true) {
          const next = await pieces.next();
          const bytes = next.done ? format.end() : format.piece(next.value);
          if (bytes.length > 0) controller.enqueue(bytes);
          if (next.done) return controller.close();
          if (bytes.length > 0) return reader.gave();
        }
      } catch (error) {
        output.close();
        const bytes = format.broken((error as Error).message);
        if (bytes === null) return controller.error(error);
        controller.enqueue(bytes);
        controller.close();
      }
    },
    cancel() {
      reader.asked();
      output.close();
    },
  }, { highWaterMark: 0 });
}

const STREAM_PROBLEMS: Readonly<Record<StreamUnavailable["code"], readonly [status: number, code: ProblemCode]>> = {
  notFound: [404, "notFound"],
  noContainer: [409, "noContainer"],
  nodeAway: [503, "nodeAway"],
  failed: [502, "failed"],
};

/** Told by its name: the class belongs to the deck, of which this folder knows types only. */
function streamRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== "StreamUnavailable") return error;
  const [status, code] = STREAM_PROBLEMS[(error as StreamUnavailable).code];
  return new Refusal(status, code, error.message);
}
