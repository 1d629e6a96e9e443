/** The sailor's own listener: the original worker's routes, a deck's dial-in, and what monitoring asks. */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import { originalSailorRoutes } from "./compat/sailor_routes.ts";
import type { HttpApp } from "./deck_app.ts";
import { createEdge } from "./edge.ts";
import type { Route, Upgrade } from "./edge.ts";
import { createAccess } from "./access.ts";
import { createGuard, operatorTokens } from "./guards.ts";
import type { AuthOptions } from "./guards.ts";
import type { SailorApi } from "./sailor_api.ts";
import { healthRoutes, sessionRoutes } from "./system_routes.ts";

export interface SailorAppOptions {
  readonly sailor: SailorApi;
  readonly auth: AuthOptions;
  readonly upgrade: Upgrade;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
}

export function createSailorApp(options: SailorAppOptions): HttpApp {
  const { sailor, upgrade, clock, logger, version } = options;
  const routes: Route[] = [
    ...originalSailorRoutes(sailor),
    ...healthRoutes(() => sailor.notReady(), () => edge.metrics.expose()),
    ...sessionRoutes(upgrade, sailor),
  ];
  const operator = operatorTokens(options.auth.token);
  const edge = createEdge({
    routes,
    guard: createGuard(options.auth),
    access: (onFailure) => createAccess({ operator, clock, logger, onFailure }),
    clock,
    logger,
  });
  edge.metrics.gauge("ormen_sailor_tasks", "Tasks on this sailor, ended ones that are kept among them.", () => {
    let count = 0;
    for (const _ of sailor.tasks()) count++;
    return count;
  });
  edge.metrics.info("ormen_build_info", "Version of this program.", { version });
  return edge;
}
