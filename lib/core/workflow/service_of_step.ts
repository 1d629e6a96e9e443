/** The service that a `rollout:` step applies: a service document that says `service` in the place of `name`. */
import { describeIssues } from "../documents/issues.ts";
import { serviceDocument } from "../documents/service.ts";
import type { ServiceSpec } from "../documents/service.ts";
import { fillMeasured, kindOfRolloutText } from "./rollout_texts.ts";
import { mapTexts } from "./template.ts";
import type { Scene } from "./values.ts";
import { fillText } from "./values.ts";

export type ServiceOfStep =
  | { readonly kind: "service"; readonly spec: ServiceSpec }
  | { readonly kind: "problem"; readonly detail: string };

/** With its expressions in place, but for those that wait for a measurement. Throws FillError. */
export function fillRollout(scene: Scene, written: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return mapTexts(written, (text, path) => {
    const where = ["rollout", ...path].join(".");
    switch (kindOfRolloutText(path)) {
      case "filled":
        return fillText(scene, text, where);
      case "measured":
        return fillMeasured(text, (source) => fillText(scene, `\${{ ${source} }}`, where));
      case "expected":
        return text;
    }
  }) as Record<string, unknown>;
}

/** `filled`: its texts have no expressions any more, but for those that wait for a measurement. */
export function serviceOfStep(filled: Readonly<Record<string, unknown>>): ServiceOfStep {
  const { service, ...rest } = filled;
  if (Object.hasOwn(rest, "name")) {
    return { kind: "problem", detail: "rollout.name: write `service`, the name of the service" };
  }
  const parsed = serviceDocument.safeParse({ ...rest, name: service });
  if (parsed.success) return { kind: "service", spec: parsed.data };
  const [{ path, detail }] = describeIssues(serviceDocument, parsed.error.issues);
  const where = path[0] === "name" ? ["service", ...path.slice(1)] : path;
  return { kind: "problem", detail: `${["rollout", ...where].map(String).join(".")}: ${detail}` };
}
