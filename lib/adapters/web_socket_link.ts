/** Links over WebSockets, for whoever accepted and whoever dialled. */
import type { Dialer, Link } from "../contracts/link.ts";

const CONNECT_WITHIN_MS = 5_000;
/** A peer that does not answer the closing handshake is let go of after this. */
const CLOSE_WITHIN_MS = 2_000;
/** WebSocket close reasons take 123 bytes. */
const REASON_CHARS_MAX = 100;

/** Owns the socket from now on; it may still be opening. */
export function linkOf(socket: WebSocket, frameBytesMax: number): Link {
  socket.binaryType = "arraybuffer";
  const early: (string | Uint8Array)[] = [];
  const unsent: (string | Uint8Array)[] = [];
  let onFrame: ((frame: string | Uint8Array) => void) | undefined;
  let onClose: ((reason: string) => void) | undefined;
  let closed: string | undefined;
  let giveUp: ReturnType<typeof setTimeout> | undefined;

  function finish(reason: string): void {
    if (closed !== undefined) return;
    closed = reason;
    clearTimeout(giveUp);
    onClose?.(reason);
  }

  function close(reason: string): void {
    if (closed !== undefined || giveUp !== undefined) return;
    giveUp = setTimeout(() => finish(reason), CLOSE_WITHIN_MS);
    try {
      socket.close(1000, reason.slice(0, REASON_CHARS_MAX).replace(/[^\x20-\x7e]/g, "?"));
    } catch {
      finish(reason); // A socket that cannot be closed is closed.
    }
  }

  socket.onopen = () => {
    for (const frame of unsent.splice(0)) socket.send(frame as string);
  };
  socket.onmessage = ({ data }) => {
    if (closed !== undefined) return;
    const frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (frame.length > frameBytesMax) return close(`a frame of ${frame.length} bytes is too large`);
    if (onFrame) onFrame(frame);
    else early.push(frame);
  };
  socket.onerror = () => {}; // A close follows and tells.
  socket.onclose = (event) => finish(event.reason || "the connection was cut");

  return {
    send(frame) {
      if (closed !== undefined || giveUp !== undefined) return;
      if (socket.readyState === WebSocket.OPEN) socket.send(frame as string);
      else if (socket.readyState === WebSocket.CONNECTING) unsent.push(frame);
    },
    buffered: () => socket.bufferedAmount,
    onFrame(handler) {
      onFrame = handler;
      for (const frame of early.splice(0)) handler(frame);
    },
    onClose(handler) {
      onClose = handler;
      if (closed !== undefined) handler(closed);
    },
    close,
  };
}

/** The type lacks headers, which Deno takes since 2.5. */
const SocketWithHeaders = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string> },
) => WebSocket;

export function createDialer(frameBytesMax: number): Dialer {
  return {
    dial(url, { token, signal }) {
      const address = url.replace(/^http/, "ws");
      const { host } = new URL(address);
      return new Promise((resolve, reject) => {
        const socket = new SocketWithHeaders(address, {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        });
        const timer = setTimeout(() => fail(`no answer within ${CONNECT_WITHIN_MS / 1000} s`), CONNECT_WITHIN_MS);
        const abort = () => fail("given up");
        signal?.addEventListener("abort", abort, { once: true });
        function settle(): void {
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          socket.onopen = socket.onerror = socket.onclose = null;
        }
        function fail(reason: string): void {
          settle();
          socket.onerror = () => {};
          socket.close();
          reject(new Error(`cannot reach ${host}: ${reason}`));
        }
        socket.onopen = () => {
          settle();
          resolve(linkOf(socket, frameBytesMax));
        };
        socket.onerror = (event) => fail(reasonOf(event as ErrorEvent));
        socket.onclose = (event) => fail(event.reason || "the connection was closed");
        if (signal?.aborted) abort();
      });
    },
  };
}

function reasonOf(event: ErrorEvent): string {
  const text = event.message || String(event.error ?? "");
  if (/refused/i.test(text)) return "connection refused";
  if (/lookup|resolve|name or service/i.test(text)) return "no such host";
  if (/tcp connect error/i.test(text)) return "nobody answers there";
  return text.replace(/^NetworkError: /, "") || "the connection failed";
}
