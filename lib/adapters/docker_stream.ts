/** The Engine's answers that are streams: how they are opened, and what their bytes mean. */
import type Docker from "dockerode";
import type { Readable } from "node:stream";
import type { OutputChunk } from "../contracts/runtime.ts";

const HEADER_BYTES = 8;

/**
 * A call that answers with a stream whatever its size; the client's own `logs` collects all of it. Aborting `signal`
 * breaks the connection off, also while there is no answer yet.
 */
export function dialStream(
  docker: Docker,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<Readable> {
  return new Promise((resolve, reject) => {
    docker.modem.dial({
      path: `${path}?`,
      method: "GET",
      options: query,
      isStream: true,
      abortSignal: signal,
      statusCodes: { 200: true, 404: "no such container", 500: "server error" },
    }, (error: unknown, stream: unknown) => error ? reject(error) : resolve(stream as Readable));
  });
}

/**
 * Splits the Engine's multiplexed stream into frames: one byte of stream, three empty, four of length, payload.
 * Holds no more than one frame and one chunk; the source is read only as fast as frames are taken.
 */
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

/** Lines of a stream of JSON documents. */
export async function* lines(source: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let held = "";
  for await (const chunk of source) {
    held += decoder.decode(chunk, { stream: true });
    const parts = held.split("\n");
    held = parts.pop()!;
    yield* parts.map((part) => part.trim()).filter((part) => part !== "");
  }
  if (held.trim() !== "") yield held;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
