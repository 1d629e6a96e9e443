/**
 * Frames of the second socket, which carries logs and exec sessions beside the control session.
 * A frame is one byte of kind, four bytes of stream id (big endian) and a payload.
 *
 * 1. The deck opens streams and numbers them; both ends may send data; either may end it.
 * 2. A sender spends credit: `credit` frames grant bytes; without any it waits. Control frames are free.
 * 3. The first frame on a fresh socket is `bind`, which names the session it belongs to.
 */
import { z } from "zod";

export type StreamFrameKind = "bind" | "open" | "stdout" | "stderr" | "stdin" | "credit" | "resize" | "end" | "error";

const KINDS: readonly StreamFrameKind[] = [
  "bind",
  "open",
  "stdout",
  "stderr",
  "stdin",
  "credit",
  "resize",
  "end",
  "error",
];

/** Credit that each side grants at the beginning, bytes. */
export const INITIAL_CREDIT_BYTES = 256 * 1024;
export const STREAM_FRAME_BYTES_MAX = 128 * 1024;

export interface StreamFrame {
  readonly kind: StreamFrameKind;
  readonly stream: number;
  readonly payload: Uint8Array;
}

export function encodeFrame(frame: StreamFrame): Uint8Array {
  const bytes = new Uint8Array(5 + frame.payload.length);
  bytes[0] = KINDS.indexOf(frame.kind);
  new DataView(bytes.buffer).setUint32(1, frame.stream);
  bytes.set(frame.payload, 5);
  return bytes;
}

/** Undefined: not a frame of this protocol. */
export function decodeFrame(bytes: Uint8Array): StreamFrame | undefined {
  if (bytes.length < 5 || bytes[0] >= KINDS.length) return undefined;
  const stream = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  return { kind: KINDS[bytes[0]], stream, payload: bytes.subarray(5) };
}

const logsRequest = z.object({
  kind: z.literal("logs"),
  attemptId: z.string().max(160),
  follow: z.boolean(),
  tail: z.number().int().nonnegative().nullable(),
  sinceMs: z.number().nullable(),
  timestamps: z.boolean(),
});

const execRequest = z.object({
  kind: z.literal("exec"),
  attemptId: z.string().max(160),
  command: z.array(z.string()).min(1).max(1024),
  tty: z.boolean(),
  stdin: z.boolean(),
  columns: z.number().int().min(1).max(10_000).optional(),
  rows: z.number().int().min(1).max(10_000).optional(),
});

/** The payload of `open`. */
export const streamRequest = z.discriminatedUnion("kind", [logsRequest, execRequest]);
export type StreamRequest = z.infer<typeof streamRequest>;

/** The payload of `end`: an exec session has an exit code. */
export const streamEnd = z.object({ exitCode: z.number().int().nullable() });
/** The payload of `error`: `notFound` when the sailor has no such container (any more). */
export const streamError = z.object({ code: z.enum(["notFound", "failed"]), message: z.string() });
export const streamBind = z.object({ sessionId: z.string().max(160), token: z.string().max(512).optional() });
export const streamResize = z.object({ columns: z.number().int().min(1), rows: z.number().int().min(1) });
export const streamCredit = z.object({ bytes: z.number().int().positive() });
