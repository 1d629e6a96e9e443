/** The service that a `rollout:` step applies: a service document that says `service` in the place of `name`. */
import { describeIssues } from "../documents/issues.ts";
import { serviceDocument } from "../documents/service.ts";
import type { ServiceSpec } from "../documents/service.ts";

export type ServiceOfStep =
  | { readonly kind: "service"; readonly spec: ServiceSpec }
  | { readonly kind: "problem"; readonly detail: string };

/** `filled`: its texts have no expressions any more. */
export function serviceOfStep(filled: Readonly<Record<string, unknown>>): ServiceOfStep {
  const { service, ...rest } = filled;
  if ("name" in rest) return { kind: "problem", detail: "rollout.name: write `service`, the name of the service" };
  const parsed = serviceDocument.safeParse({ ...rest, name: service });
  if (parsed.success) return { kind: "service", spec: parsed.data };
  const [{ path, detail }] = describeIssues(serviceDocument, parsed.error.issues);
  const where = path[0] === "name" ? ["service", ...path.slice(1)] : path;
  return { kind: "problem", detail: `rollout.${where.join(".")}: ${detail}` };
}
