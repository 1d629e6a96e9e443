/**
 * Which requests a listener looks at at all, before any token and any route, and the same for deck and sailor.
 *
 * 1. Host: without a token on loopback, only names of this machine are answered. A page whose name was re-bound to
 *    127.0.0.1 sends its own name and is refused.
 * 2. Origin: a browser says which page a request comes from; other pages than our own are refused, whatever the route
 *    does. Programs send neither header and pass.
 *
 * Who is behind a request is access.ts's.
 */
import { Refusal } from "./problems.ts";

export interface AuthOptions {
  /** The operator's, or a function that tells those that are valid now; null: no token is asked for. */
  readonly token: string | (() => readonly string[]) | null;
  /** The host that the server listens on: a name or an address. */
  readonly listenHost: string;
  /** Names under which others reach it. */
  readonly advertiseHosts?: readonly string[];
}

/** Undefined: the request may pass. */
export type Guard = (request: Request) => Refusal | undefined;

export function createGuard(auth: AuthOptions): Guard {
  const anyHost = auth.token !== null || !isLoopback(auth.listenHost);
  const hosts = new Set([auth.listenHost, ...auth.advertiseHosts ?? []].map((host) => hostname(host)));
  return (request) => {
    const host = request.headers.get("host") ?? authorityOf(request.url);
    // A request may bear a whole address in place of a path (RFC 9112, 3.2.2), and name another host there.
    const named = anyHost ? [] : [host, authorityOf(request.url)];
    const foreign = named.find((name) => !isLoopback(name) && !hosts.has(hostname(name)));
    if (foreign !== undefined) {
      return new Refusal(
        403,
        "hostRefused",
        `"${foreign.slice(0, 255)}" is not a name of this server; use localhost, or start it with a token`,
      );
    }
    const origin = foreignOrigin(request.headers, host);
    if (origin !== undefined) {
      return new Refusal(403, "originRefused", `requests from ${origin.slice(0, 255)} are refused`);
    }
    return undefined;
  };
}

/** 127.0.0.0/8, ::1 and localhost; nothing that a name server could be asked about. */
export function isLoopback(host: string): boolean {
  const name = hostname(host);
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** `example.com` of `Example.com:80`, `::1` of `[::1]:80` and of `::1`. */
function hostname(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host);
  if (bracketed) return bracketed[1].toLowerCase();
  const name = host.indexOf(":") === host.lastIndexOf(":") ? host.replace(/:\d*$/, "") : host;
  return name.toLowerCase().replace(/\.$/, "");
}

function authorityOf(url: string): string {
  return URL.parse(url)?.host ?? "";
}

/** The page a browser sent the request from, if that page is not served by us. */
function foreignOrigin(headers: Headers, host: string): string | undefined {
  const origin = headers.get("origin");
  if (origin !== null) {
    const page = URL.parse(origin);
    const own = page && URL.parse(`${page.protocol}//${host}`);
    if (!page || !own || page.host !== own.host || page.host === "") return `the page ${origin}`;
  }
  const site = headers.get("sec-fetch-site");
  return site === null || site === "same-origin" || site === "none" ? undefined : `another page (${site})`;
}

/** The tokens of an operator as access.ts asks for them. */
export function operatorTokens(token: AuthOptions["token"]): (() => readonly string[]) | null {
  if (typeof token !== "string") return token;
  const only = [token];
  return () => only;
}
