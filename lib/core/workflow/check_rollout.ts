/** Whether the service document inside a `rollout:` step is one, as far as that can be told before it is filled in. */
import { keysAt, unknownKey } from "../documents/issues.ts";
import { serviceDocument } from "../documents/service.ts";
import type { StepAction } from "../documents/workflow.ts";
import { judgeUnfilled, sampleOf } from "./judge_unfilled.ts";
import type { Report } from "./problems.ts";
import { kindOfRolloutText, partsOfMeasured } from "./rollout_texts.ts";
import { mapTexts } from "./template.ts";
import type { Path } from "./texts.ts";

type RolloutAction = Extract<StepAction, { readonly kind: "rollout" }>;

const KEYS = keysAt(serviceDocument, []).map((key) => key === "name" ? "service" : key);

export function checkRollout({ rollout }: RolloutAction, at: Path, report: Report): void {
  const own = (path: readonly PropertyKey[], detail: string) => {
    const [first, ...others] = path;
    const where = first === "name" ? ["service", ...others] : path;
    const isUnknown = detail.startsWith("unknown key");
    const said = isUnknown && path.length === 1 ? unknownKey(String(first), KEYS) : detail;
    report({
      path: [...at, "rollout", ...where],
      rule: isUnknown ? "unknownKey" : "rollout",
      detail: isUnknown || where.length === 0 ? said : `${where.map(String).join(".")}: ${said}`,
    });
  };
  if (Object.hasOwn(rollout, "name")) {
    const detail = "unknown key `name`; write `service`, the name of the service";
    report({ path: [...at, "rollout", "name"], rule: "unknownKey", detail });
  }
  judgeUnfilled(serviceDocument, named(mapTexts(rollout, sampled)), named(mapTexts(rollout, asJudged)), own);
}

/** As a service document: the step says `service` where that says `name`. */
function named(rollout: unknown): Record<string, unknown> {
  const { service, name: _told, ...rest } = rollout as Record<string, unknown>;
  return { name: service, ...rest };
}

function sampled(text: string, path: Path): string {
  switch (kindOfRolloutText(path)) {
    case "filled":
      return sampleOf(text);
    case "measured":
      return partsOfMeasured(text)?.map((part) =>
        part.kind === "text" ? part.text : part.later ? `\${{ ${part.source} }}` : "1"
      ).join("") ?? text;
    case "expected":
      return text;
  }
}

/** What is left for the measurement is judged now. */
function asJudged(text: string, path: Path): string {
  const kind = kindOfRolloutText(path);
  if (kind === "filled") return text;
  const isOpen = kind === "measured" &&
    partsOfMeasured(text)?.some(({ kind, later }) => kind === "expression" && !later);
  return isOpen ? text : "";
}
