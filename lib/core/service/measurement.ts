/** What one measurement asks, and what its answer says. Pure; who makes the request is measure.ts's. */
import type { AnalysisSpec } from "../documents/service.ts";
import type { HttpRequestSpec } from "../documents/task.ts";
import type { StepResult } from "../outgoing.ts";
import { compileExpression, textOf } from "../workflow/expression.ts";
import type { Value } from "../workflow/expression.ts";
import { parseTemplate } from "../workflow/template.ts";

/** The replica that is measured. */
export interface Measured {
  readonly address: string;
  readonly slot: number;
  readonly revision: number;
  readonly service: string;
}

/** Thrown with what is wrong with the document once its texts are filled in. */
export class UnfitMeasurement extends Error {}

export function requestFor(http: AnalysisSpec["http"], measured: Measured): HttpRequestSpec {
  const fill = (text: string, where: string) => filled(text, { ...measured }, where);
  const url = fill(http.url, "url");
  if (!/^https?:\/\/[^\s]+$/.test(url)) {
    throw new UnfitMeasurement(
      `analysis.http.url: ${JSON.stringify(url)} is no address that begins with http:// or https://`,
    );
  }
  return {
    url,
    method: http.method,
    headers: Object.fromEntries(
      Object.entries(http.headers).map(([name, text]) => [name, fill(text, `headers.${name}`)]),
    ),
    body: http.body === null ? null : fill(http.body, "body"),
    timeoutMs: http.timeoutMs,
  };
}

/** Null: it is as expected; else why not. */
export function judgeAnswer(expect: string, result: StepResult): string | null {
  if (result.problem !== null) return result.problem;
  const status = result.answer?.status ?? 0;
  const values = { status, headers: result.answer?.headers ?? {}, body: result.stdout };
  const compiled = compileExpression(expect, "measure");
  const outcome = compiled.kind === "problem"
    ? { kind: "failed" as const, detail: compiled.detail }
    : compiled.expression.evaluate(values);
  if (outcome.kind === "failed") return `analysis.http.expect: ${outcome.detail}`;
  return outcome.value === true ? null : `answered with status ${status || "none"}; expected ${expect}`;
}

function filled(text: string, values: Readonly<Record<string, Value>>, where: string): string {
  const template = parseTemplate(text);
  const unfit = (detail: string) => new UnfitMeasurement(`analysis.http.${where}: ${detail}`);
  if (template.kind === "problem") throw unfit(template.detail);
  return template.parts.map((part) => {
    if (part.kind === "text") return part.text;
    const compiled = compileExpression(part.source, "measure");
    if (compiled.kind === "problem") throw unfit(compiled.detail);
    const outcome = compiled.expression.evaluate(values);
    if (outcome.kind === "failed") throw unfit(outcome.detail);
    return textOf(outcome.value);
  }).join("");
}
