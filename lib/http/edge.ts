/**
 * What deck and sailor listeners have in common around their routes: guard, dispatch, metrics, and the last catch for
 * errors. Owns the shape of a route: handler and description stand together, so that the OpenAPI document cannot miss one.
 */
import { Hono } from "hono";
import type { Context } from "hono";
import type { z } from "zod";
import type { Clock } from "../contracts/clock.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Access, AccessOptions, Grant, RouteRole } from "./access.ts";
import { roleRefusal } from "./access.ts";
import { timeBody } from "./body.ts";
import { plainError, plainNotFound } from "./compat/answers.ts";
import { linkWithGrant, responseWithGrant } from "./ending.ts";
import type { Guard } from "./guards.ts";
import { notFound, problemResponse, Refusal } from "./problems.ts";
import { createMetricsRegistry } from "./prometheus.ts";
import type { MetricsRegistry } from "./prometheus.ts";
import { headProblem } from "./request_head.ts";

/** What Deno.serve tells of the connection; a Unix socket has no host name. */
export interface RemoteInfo {
  readonly remoteAddr: { readonly hostname?: string };
}

/** Turns a WebSocket request into a link. Injected: sockets are the adapters' business. */
export type Upgrade = (request: Request) => { readonly response: Response; readonly link: Link };

export type EdgeEnv = { Bindings: RemoteInfo; Variables: { route: string; grant: Grant } };
export type EdgeContext = Context<EdgeEnv>;
export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** `path` has `{name}` for one segment. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  /** Who may use it. */
  readonly role: RouteRole;
  /** Its answers go on for long, and end when their token does. */
  readonly long?: true;
  readonly handle: (context: EdgeContext) => Response | Promise<Response>;
  /** Absent: the route is not part of /v1 and not described. */
  readonly description?: RouteDescription;
}

/** Schemas by their names in openapi_schemas.ts. */
export interface RouteDescription {
  readonly summary: string;
  readonly query?: z.ZodType;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: string; readonly types: readonly string[]; readonly required: boolean };
  readonly answers: readonly {
    readonly status: number;
    readonly text: string;
    readonly schema?: string;
    readonly types?: readonly string[];
  }[];
  readonly problems: readonly number[];
}

/** The edge counts the failures of who it lets in. */
export type AccessFactory = (onFailure: NonNullable<AccessOptions["onFailure"]>) => Access;

export interface Edge {
  fetch(request: Request, info: RemoteInfo): Response | Promise<Response>;
  readonly metrics: MetricsRegistry;
  /** All that it answers, for tests that have to reach every one. */
  readonly routes: readonly Pick<Route, "method" | "path">[];
}

const UNMATCHED = "unmatched";
const INTERNAL_ERROR = "the request could not be carried out; the log of this process says why";
const LATENCY_BOUNDS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** /v1 answers problem documents; all other paths answer as the original does. */
export function createEdge(options: {
  readonly routes: readonly Route[];
  readonly guard: Guard;
  readonly access: AccessFactory;
  readonly clock: Clock;
  readonly logger: Logger;
}): Edge {
  const { guard, clock, logger } = options;
  const metrics = createMetricsRegistry();
  const requests = metrics.counter("ormen_http_requests_total", "HTTP requests by route and status code.");
  const seconds = metrics.histogram(
    "ormen_http_request_seconds",
    "Time to the answer's head by route, seconds.",
    LATENCY_BOUNDS_SECONDS,
  );
  const failures = metrics.counter("ormen_auth_failures_total", "Requests without a right token, by what was wrong.");
  const access = options.access((kind) => failures.add({ kind }));
  const openPaths = new Set(options.routes.filter(({ role }) => role === "open").map(({ path }) => path));
  const app = mountRoutes(options.routes);
  app.notFound((context) => {
    const path = pathOf(context.req.raw.url);
    return isV1(path) ? problemResponse(notFound(`there is nothing at ${path.slice(0, 255)}`)) : plainNotFound();
  });
  app.onError((error, context) => {
    if (error instanceof Refusal) return answerRefusal(error, pathOf(context.req.raw.url));
    // The message may hold a user's data; it goes to the log and not to others.
    logger.error("request failed", { route: context.get("route") ?? UNMATCHED, error: String(error) });
    return answerRefusal(new Refusal(500, "internal", INTERNAL_ERROR), pathOf(context.req.raw.url));
  });

  const record = (startMs: number, method: string, route: string, status: number) => {
    requests.add({ method: METHODS.has(method) ? method : "OTHER", route, code: String(status) });
    seconds.observe({ route }, (clock.monoMs() - startMs) / 1000);
  };
  return {
    metrics,
    routes: options.routes,
    async fetch(request, info) {
      const startMs = clock.monoMs();
      const path = pathOf(request.url);
      const refusal = headProblem(request) ?? guard(request);
      const entered = refusal ??
        (openPaths.has(path) ? OPEN : access.check(request.headers, info.remoteAddr.hostname ?? ""));
      if (entered instanceof Refusal) {
        record(startMs, request.method, UNMATCHED, entered.status);
        return answerRefusal(entered, path);
      }
      if (request.body !== null) timeBody(request, clock);
      const context: RouteSeen = { remoteAddr: info.remoteAddr, route: UNMATCHED, grant: entered };
      const response = await app.fetch(request, context);
      record(startMs, request.method, context.route, response.status);
      return response;
    },
  };
}

/** Handlers leave their route's name on the bindings, which outlive hono's context. */
interface RouteSeen extends RemoteInfo {
  route: string;
  readonly grant: Grant;
}

/** Of routes that ask nobody. */
const OPEN: Grant = { role: "read" };

function mountRoutes(routes: readonly Route[]): Hono<EdgeEnv> {
  const app = new Hono<EdgeEnv>();
  const methodsOf = new Map<string, Method[]>();
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    methodsOf.set(path, [...methodsOf.get(path) ?? [], route.method]);
    app.on(route.method, path, async (context) => {
      const seen = context.env as RouteSeen;
      seen.route = route.path;
      context.set("route", route.path);
      context.set("grant", seen.grant);
      const refusal = roleRefusal(seen.grant.role, route.role);
      if (refusal) throw refusal;
      const response = await route.handle(context);
      return route.long ? responseWithGrant(response, seen.grant) : response;
    });
  }
  // After all routes: hono takes the first that fits.
  for (const [path, methods] of methodsOf) {
    app.all(path, (context) => {
      if (!isV1(path)) return new Response(null, { status: 405 });
      const allow = methods.includes("GET") ? [...methods, "HEAD"] : methods;
      return problemResponse(
        new Refusal(405, "methodNotAllowed", `${context.req.method} is not possible here; ${allow.join(", ")} is`, [], {
          allow: allow.join(", "),
        }),
      );
    });
  }
  return app;
}

function answerRefusal(refusal: Refusal, path: string): Response {
  return isV1(path) ? problemResponse(refusal) : plainError(refusal.status, refusal.detail, refusal.headers);
}

export function isV1(path: string): boolean {
  return path === "/v1" || path.startsWith("/v1/");
}

/** Answers a WebSocket request through `accept`, and anything else with 426. */
export function upgradeWith(context: EdgeContext, upgrade: Upgrade, accept: (link: Link) => void): Response {
  const request = context.req.raw;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new Refusal(426, "upgradeRequired", "this is a WebSocket; ask for an upgrade", undefined, {
      upgrade: "websocket",
      connection: "Upgrade",
    });
  }
  const { response, link } = upgrade(request);
  accept(linkWithGrant(link, context.get("grant")));
  return response;
}

/** The path of an absolute URL without query; cheaper than parsing all of it. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  for (let at = start; at < url.length; at++) {
    const code = url.charCodeAt(at);
    if (code === 0x3f || code === 0x23) return url.slice(start, at);
  }
  return url.slice(start);
}
