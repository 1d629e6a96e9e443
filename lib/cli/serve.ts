/** A listener for an app, with WebSocket requests turned into links, and how it ends. */
import type { Link } from "../contracts/link.ts";
import { linkOf } from "../adapters/web_socket_link.ts";
import { Refusal, unavailable } from "../http/problems.ts";
import { FRAME_BYTES_MAX } from "../messages/session.ts";
import type { Clock } from "../contracts/clock.ts";
import type { Dialer } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import { CommandFailure } from "./failure.ts";
import { isLoopback, type ListenOptions } from "./options.ts";
import { currentTokens } from "./token_file.ts";

export interface Listening {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface App {
  fetch(request: Request, info: { remoteAddr: { hostname?: string } }): Response | Promise<Response>;
}

/** Throws Deno.errors.AddrInUse when the port is taken, and CommandFailure where localhost is another machine's name. */
export async function listen(options: ListenOptions, app: App): Promise<Listening> {
  const tls = options.tls && {
    cert: await Deno.readTextFile(options.tls.certFile),
    key: await Deno.readTextFile(options.tls.keyFile),
  };
  const hostname = options.host.replace(/^\[|\]$/g, "");
  const handler = (request: Request, info: Deno.ServeHandlerInfo) => {
    const { remoteAddr } = info;
    return app.fetch(request, { remoteAddr: "hostname" in remoteAddr ? { hostname: remoteAddr.hostname } : {} });
  };
  const serveAt = (hostname: string, port: number) => {
    const quiet = { hostname, port, onListen: () => {} };
    return tls ? Deno.serve({ ...quiet, ...tls }, handler) : Deno.serve(quiet, handler);
  };
  let server = serveAt(hostname, options.port);
  const { port, hostname: bound } = server.addr as Deno.NetAddr;
  if (isLoopback(hostname) && !isLoopback(bound)) {
    // In the turn that bound it: no request has been taken yet.
    await server.shutdown();
    throw new CommandFailure(`cannot listen on ${hostname}: on this machine that name leads to ${bound}, a network`, [
      "say -H 127.0.0.1, or mend /etc/hosts",
    ]);
  }
  const closing = new AbortController();
  keepServing();

  /**
   * The server ends for good when a connection cannot be accepted, as when the process has no files left to open: anybody
   * who opens enough connections could end the deck. Those that it has go on; it listens again as soon as it can.
   */
  function keepServing(): void {
    server.finished.catch(async (error) => {
      console.error(`the listener stopped: ${(error as Error).message}; it listens again`);
      while (true) {
        await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN_MS));
        if (closing.signal.aborted) return;
        try {
          // The address, not the name: that may lead elsewhere by now.
          server = serveAt(bound, port);
          return keepServing();
        } catch { /* No files yet, or the port is not free yet: said once, above. */ }
      }
    });
  }

  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls ? "https" : "http"}://${host}:${port}`,
    port,
    async close() {
      closing.abort();
      // Open streams and sockets would keep a gentle end waiting for ever.
      const gently = server.shutdown();
      const timer = setTimeout(() => abort.abort(), CLOSE_WITHIN_MS);
      const abort = new AbortController();
      await Promise.race([
        gently,
        new Promise<void>((resolve) => abort.signal.addEventListener("abort", () => resolve(), { once: true })),
      ]);
      clearTimeout(timer);
    },
  };
}

const CLOSE_WITHIN_MS = 1_000;
const LISTEN_AGAIN_MS = 250;

/**
 * Sockets that are open at a time, those counted whose other end does not answer a close: each takes some 40 KiB. A cluster
 * takes two a node. A server's plain connections cannot be counted: Deno.serve shows requests only.
 */
const SOCKETS_MAX = 12_000;
let sockets = 0;

/** Throws Refusal: 503 when there are too many, 400 when the request's headers make no WebSocket. */
export function upgrade(request: Request, socketsMax = SOCKETS_MAX): { response: Response; link: Link } {
  if (sockets >= socketsMax) throw unavailable(`${socketsMax} sockets are open already; try again later`);
  const { socket, response } = handshake(request);
  sockets++;
  socket.addEventListener("close", () => sockets--, { once: true });
  return { response, link: linkOf(socket, FRAME_BYTES_MAX) };
}

function handshake(request: Request): Deno.WebSocketUpgrade {
  try {
    // Signs of life are the session's own business.
    return Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  } catch (error) {
    throw new Refusal(400, "badRequest", `no WebSocket can be made of this request: ${(error as Error).message}`);
  }
}

/** What a listener asks of its callers, read again when its file changes. */
export function operatorTokens(
  options: Pick<ListenOptions, "tokens">,
  logger: Logger,
  clock: Clock,
): (() => readonly string[]) | null {
  return options.tokens && currentTokens(options.tokens, logger, () => clock.monoMs());
}

/** Presents the token that is valid at the time of each dial. `tokenFor` is asked for a `host:port`. */
export function dialerWithTokens(dialer: Dialer, tokenFor: (host: string) => string | undefined): Dialer {
  return {
    dial(url, options) {
      const token = tokenFor(hostOf(url));
      return dialer.dial(url, { ...options, ...(token === undefined ? {} : { token }) });
    },
  };
}

/** `host:port` as it was written: URL would leave out a usual port. */
function hostOf(url: string): string {
  return url.replace(/^\w+:\/\//, "").replace(/[/?#].*$/, "");
}
