/**
 * A command in a task's container, over one WebSocket. The frames are those of messages/api.ts; their numbers are
 * repeated here (and checked by the compiler), because importing them would load the schemas.
 */
import type {
  EXEC_STDERR,
  EXEC_STDIN,
  EXEC_STDOUT,
  ExecClientMessage,
  ExecEndMessage,
  ExecRequestBody,
} from "../messages/api.ts";
import { DeckError } from "./errors.ts";
import type { Transport } from "./transport.ts";

export interface ExecPiece {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** `output` ends before `exitCode` settles; both throw `DeckError` when the command could not run to its end. */
export interface ExecSession {
  readonly output: AsyncIterable<ExecPiece>;
  readonly exitCode: Promise<number>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(columns: number, rows: number): void;
  close(): void;
}

const STDIN: typeof EXEC_STDIN = 0;
const STDOUT: typeof EXEC_STDOUT = 1;
const STDERR: typeof EXEC_STDERR = 2;
/** What may lie unsent before `write` waits, bytes. */
const UNSENT_BYTES_MAX = 1 << 20;

export async function openExec(transport: Transport, path: string, request: ExecRequestBody): Promise<ExecSession> {
  const socket = await transport.socket(path);
  const pieces: ExecPiece[] = [];
  let ended = false;
  let failure: DeckError | null = null;
  let wake = () => {};
  const { promise: exitCode, resolve, reject } = Promise.withResolvers<number>();
  // Who only reads the output hears of the failure there.
  exitCode.catch(() => {});

  const end = (code: number | null, error: DeckError | null) => {
    if (ended) return;
    ended = true;
    failure = error;
    wake();
    if (error) reject(error);
    else resolve(code!);
    socket.close();
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      const message = JSON.parse(data) as ExecEndMessage;
      if (message.kind === "end") end(message.exitCode, null);
      else if (message.kind === "error") end(null, new DeckError("execFailed", 0, message.message));
      return;
    }
    const bytes = new Uint8Array(data as ArrayBuffer);
    if (bytes[0] !== STDOUT && bytes[0] !== STDERR) return;
    pieces.push({ stream: bytes[0] === STDOUT ? "stdout" : "stderr", data: bytes.subarray(1) });
    wake();
  };
  socket.onerror = null;
  socket.onclose = ({ reason }) => {
    const why = reason || "connection closed";
    end(null, new DeckError("interrupted", 0, `the connection to the deck at ${transport.address} broke: ${why}`));
  };
  const send = (message: ExecClientMessage) => {
    if (!ended) socket.send(JSON.stringify(message));
  };
  socket.send(JSON.stringify(request));

  return {
    exitCode,
    output: {
      async *[Symbol.asyncIterator]() {
        while (true) {
          const piece = pieces.shift();
          if (piece) yield piece;
          else if (failure) throw failure;
          else if (ended) return;
          else await new Promise<void>((resume) => wake = resume);
        }
      },
    },
    async write(data) {
      // A socket tells nobody when it has drained.
      while (!ended && socket.bufferedAmount > UNSENT_BYTES_MAX) await new Promise((resume) => setTimeout(resume, 5));
      if (ended) return;
      const frame = new Uint8Array(1 + data.length);
      frame[0] = STDIN;
      frame.set(data, 1);
      socket.send(frame);
    },
    closeStdin: () => send({ kind: "closeStdin" }),
    resize: (columns, rows) => send({ kind: "resize", columns, rows }),
    close: () => end(null, new DeckError("closed", 0, "the session was closed")),
  };
}
