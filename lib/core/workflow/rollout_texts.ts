/**
 * The texts of a `rollout:` that are not filled in when its step starts: of its analysis, what names the replica that is
 * asked waits for the measurement, and `expect` for the answer. All others are filled in as those of any step.
 */
import { namesReplica } from "../documents/analysis.ts";
import { textOf } from "./expression.ts";
import type { Value } from "./expression.ts";
import { hasExpression, parseTemplate } from "./template.ts";
import type { TemplatePart } from "./template.ts";
import type { Path } from "./texts.ts";

/**
 * filled    when the step starts
 * measured  the same, but for expressions that name the replica
 * expected  never: it is one expression
 */
export type RolloutText = "filled" | "measured" | "expected";

/** `path` leads there from the value of `rollout`. */
export function kindOfRolloutText(path: Path): RolloutText {
  const [update, analysis, http, key] = path;
  if (update !== "update" || analysis !== "analysis" || http !== "http") return "filled";
  if (key === "url" || key === "body" || key === "headers") return "measured";
  return key === "expect" ? "expected" : "filled";
}

/** The parts of a measured text; `later`: it is filled in at each measurement. Undefined: it is no template. */
export function partsOfMeasured(text: string): readonly (TemplatePart & { readonly later: boolean })[] | undefined {
  const template = parseTemplate(text);
  if (template.kind === "problem") return undefined;
  return template.parts.map((part) => ({ ...part, later: part.kind === "expression" && namesReplica(part.source) }));
}

/** A measured text with what is known when the step starts; `value` gives the value of an expression. */
export function fillMeasured(text: string, value: (source: string) => Value): Value {
  const parts = partsOfMeasured(text);
  if (!parts) return text;
  const filled = parts.map((part) => {
    if (part.kind === "text") return part.text;
    return part.later ? `\${{ ${part.source} }}` : literally(textOf(value(part.source)));
  });
  return filled.join("");
}

/** What was filled in is data, also where it looks like an expression. */
function literally(text: string): string {
  return hasExpression(text) ? `\${{ ${JSON.stringify(text)} }}` : text;
}
