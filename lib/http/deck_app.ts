/**
 * The deck's listener: all of its routes over one DeckApi. Owns nothing but the list; what a request means stands in the
 * route modules, what it does in the deck.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { DeckApi } from "../deck/api.ts";
import { originalDeckRoutes } from "./compat/deck_routes.ts";
import { createEdge } from "./edge.ts";
import type { Edge, RemoteInfo, Route, Upgrade } from "./edge.ts";
import { eventRoutes } from "./event_routes.ts";
import { createAccess } from "./access.ts";
import type { Access } from "./access.ts";
import { createGuard, operatorTokens } from "./guards.ts";
import type { AuthOptions } from "./guards.ts";
import { nodeRoutes } from "./node_routes.ts";
import { openApiDocument } from "./openapi.ts";
import type { MetricsRegistry } from "./prometheus.ts";
import { backupRoute, healthRoutes, infoRoutes, sessionRoutes } from "./system_routes.ts";
import { runRoutes } from "./run_routes.ts";
import { serviceRoutes } from "./service_routes.ts";
import { taskRoutes } from "./task_routes.ts";
import { secretRoutes } from "./secret_routes.ts";
import { tokenRoutes } from "./token_routes.ts";
import { workflowRoutes } from "./workflow_routes.ts";

export interface DeckAppOptions {
  readonly deck: DeckApi;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly auth: AuthOptions;
  /** Of the program, for the OpenAPI document. */
  readonly version: string;
  readonly upgrade: Upgrade;
}

export interface HttpApp {
  /** Fits Deno.serve. Never rejects. */
  fetch(request: Request, info: RemoteInfo): Response | Promise<Response>;
  /** HTTP's own figures; /metrics shows the deck's before them. */
  readonly metrics: MetricsRegistry;
  readonly routes: Edge["routes"];
}

export function createDeckApp(options: DeckAppOptions): HttpApp {
  const { deck, clock, logger, version, upgrade } = options;
  const routes: Route[] = [
    ...originalDeckRoutes(deck, clock),
    ...taskRoutes({ deck, clock, logger, upgrade }),
    ...workflowRoutes(deck),
    ...runRoutes(deck),
    ...serviceRoutes(deck, clock),
    ...nodeRoutes(deck),
    ...eventRoutes(deck, clock),
    backupRoute(deck),
    ...infoRoutes(deck, () => openApiDocument(routes, version)),
    ...healthRoutes(() => deck.notReady(), () => deck.metrics().expose() + edge.metrics.expose()),
    ...secretRoutes(deck),
    ...tokenRoutes({ deck, clock, onRevoked: () => access.revoked() }),
    ...sessionRoutes(upgrade, deck),
  ];
  let access: Access;
  const operator = operatorTokens(options.auth.token);
  const edge = createEdge({
    routes,
    guard: createGuard(options.auth),
    access: (onFailure) =>
      access = createAccess({ operator, findMade: (digest) => deck.findToken(digest), clock, logger, onFailure }),
    clock,
    logger,
  });
  return edge;
}
