/**
 * Links over WebSockets, for whoever accepted and whoever dialled.
 *
 * Deno's WebSocket has no way to break a connection off: `close` waits for the other end's answer. A dead peer's link
 * is therefore given up here after CLOSE_WITHIN_MS, while the socket itself goes when TCP gives it up.
 */
import type { Dialer, Link } from "../contracts/link.ts";
import { tlsProblem } from "../messages/tls.ts";

const CONNECT_WITHIN_MS = 5_000;
/** A peer that does not answer the closing handshake is let go of after this. */
const CLOSE_WITHIN_MS = 2_000;
/** WebSocket close reasons take 123 bytes. */
const REASON_CHARS_MAX = 100;

type Frame = string | Uint8Array;

/** Owns the socket from now on; it may still be opening. Frames over `frameBytesMax`, either way, close the link. */
export function linkOf(socket: WebSocket, frameBytesMax: number): Link {
  socket.binaryType = "arraybuffer";
  const early: Frame[] = [];
  let earlySize = 0;
  const unsent: Frame[] = [];
  let unsentSize = 0;
  let onFrame: ((frame: Frame) => void) | undefined;
  let onClose: ((reason: string) => void) | undefined;
  let failure = "";
  let closingFor: string | undefined;
  let closed: string | undefined;
  let giveUp: ReturnType<typeof setTimeout> | undefined;

  function finish(reason: string): void {
    if (closed !== undefined) return;
    closed = reason;
    early.length = unsent.length = 0;
    clearTimeout(giveUp);
    onClose?.(reason);
  }

  /** Nothing is taken or sent from here on; `onClose` is called when the other end has agreed, or has not in time. */
  function close(reason: string): void {
    if (closed !== undefined || closingFor !== undefined) return;
    closingFor = reason;
    early.length = unsent.length = 0;
    giveUp = setTimeout(() => finish(reason), CLOSE_WITHIN_MS);
    try {
      socket.close(1000, reason.slice(0, REASON_CHARS_MAX).replace(/[^\x20-\x7e]/g, "?"));
    } catch {
      finish(reason); // A socket that cannot be closed is closed.
    }
  }

  function transmit(frame: Frame): void {
    try {
      socket.send(frame as string);
    } catch (error) {
      close(`cannot send: ${(error as Error).message}`);
    }
  }

  socket.onopen = () => {
    unsentSize = 0;
    for (const frame of unsent.splice(0)) transmit(frame);
  };
  socket.onmessage = ({ data }) => {
    if (closed !== undefined || closingFor !== undefined) return;
    const frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (frame.length > frameBytesMax) return close(`a frame of ${frame.length} bytes is too large`);
    if (onFrame) return onFrame(frame);
    earlySize += frame.length;
    if (earlySize > frameBytesMax) return close("too much came before anybody listened");
    early.push(frame);
  };
  // A close follows, without the words.
  socket.onerror = (event) => failure = (event as ErrorEvent).message ?? "";
  socket.onclose = (event) => finish(closingFor ?? (event.reason || failure || "the connection was cut"));

  return {
    send(frame) {
      if (closed !== undefined || closingFor !== undefined) return;
      if (frame.length > frameBytesMax) return close(`a frame of ${frame.length} bytes is too large to send`);
      if (socket.readyState === WebSocket.OPEN) return transmit(frame);
      if (socket.readyState !== WebSocket.CONNECTING) return;
      unsent.push(frame);
      unsentSize += frame.length;
    },
    buffered: () => socket.bufferedAmount + unsentSize,
    onFrame(handler) {
      onFrame = handler;
      for (let frame = early.shift(); frame !== undefined; frame = early.shift()) handler(frame);
    },
    onClose(handler) {
      onClose = handler;
      if (closed !== undefined) handler(closed);
    },
    close,
  };
}

/** The type lacks these options, which Deno takes. */
const SocketWithOptions = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string>; client?: Deno.HttpClient },
) => WebSocket;

/**
 * Takes ws, wss, http and https addresses; the token goes into the Authorization header. `dial` rejects with a
 * sentence such as `cannot reach ws://host:port: connection refused`, which never holds more of the address.
 * With TLS the other end's certificate must be for the name that is dialled, and signed by an authority of the system
 * or one of `caCerts` (PEM).
 */
export function createDialer(frameBytesMax: number, caCerts: readonly string[] = []): Dialer {
  // Lives as long as the process, as its dialer does.
  const client = caCerts.length === 0 ? undefined : Deno.createHttpClient({ caCerts: [...caCerts] });
  return {
    async dial(url, { token, signal }) {
      const address = new URL(url.replace(/^http/, "ws"));
      const name = `${address.protocol}//${address.host}`;
      const outcome = await connect(address.href, { token, signal, client });
      if (outcome.kind === "open") return linkOf(outcome.socket, frameBytesMax);
      const reason = outcome.message === TCP_FAILED ? await whyNoConnection(address) : outcome.message;
      throw new Error(`cannot reach ${name}: ${reason}`);
    },
  };
}

type Outcome =
  | { readonly kind: "open"; readonly socket: WebSocket }
  | { readonly kind: "failed"; readonly message: string };

function connect(
  url: string,
  { token, signal, client }: { token?: string; signal?: AbortSignal; client?: Deno.HttpClient },
): Promise<Outcome> {
  if (signal?.aborted) return Promise.resolve({ kind: "failed", message: "given up" });
  return new Promise((resolve) => {
    const socket = new SocketWithOptions(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(client ? { client } : {}),
    });
    const timer = setTimeout(() => fail(`no answer within ${CONNECT_WITHIN_MS / 1000} s`), CONNECT_WITHIN_MS);
    const abort = () => fail("given up");
    signal?.addEventListener("abort", abort, { once: true });
    function settle(outcome: Outcome): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      socket.onopen = socket.onerror = socket.onclose = null;
      resolve(outcome);
    }
    function fail(message: string): void {
      settle({ kind: "failed", message });
      socket.close();
    }
    socket.onopen = () => settle({ kind: "open", socket });
    socket.onerror = (event) => fail(reasonOf(event as ErrorEvent));
    socket.onclose = (event) => fail(event.reason || "the connection was closed");
  });
}

const TCP_FAILED = "tcp connect error";

function reasonOf(event: ErrorEvent): string {
  const text = (event.message || String(event.error ?? ""))
    .replace(/^NetworkError: /, "")
    .replace(/^failed to connect to WebSocket: /, "");
  if (/^dns error/.test(text)) return "no such host";
  const status = /^Invalid status code: (\d+)/.exec(text)?.[1];
  if (status === "401" || status === "403") return `it does not accept the token (status ${status})`;
  if (status !== undefined) return `it answered with status ${status}`;
  return tlsProblem(text) ?? (text || "the connection failed");
}

/** WebSocket does not tell a refused connection from an unreachable host; a plain one to the same place does. */
async function whyNoConnection({ hostname, port, protocol }: URL): Promise<string> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), CONNECT_WITHIN_MS);
  try {
    const connection = await Deno.connect({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port) || (protocol === "wss:" ? 443 : 80),
      signal: patience.signal,
    });
    connection.close();
    return "the connection failed, although it takes others now";
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return "connection refused";
    if (patience.signal.aborted) return `no answer within ${CONNECT_WITHIN_MS / 1000} s`;
    return (error as Error).message.replace(/ \(os error \d+\)$/, "").toLowerCase();
  } finally {
    clearTimeout(timer);
  }
}
