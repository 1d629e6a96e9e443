/**
 * `update.analysis` of a service document: what is measured of a rollout's own replicas. Owns its schema, and what its
 * expressions may name: those of the request the replica that is asked, `expect` the answer.
 */
import { z } from "zod";
import { compileExpression, textOf } from "../workflow/expression.ts";
import type { Value } from "../workflow/expression.ts";
import { readsIn } from "../workflow/reads.ts";
import { hasExpression, parseTemplate } from "../workflow/template.ts";
import { didYouMean } from "./issues.ts";
import { duration, mapOf } from "./task.ts";
import { formatDuration } from "./units.ts";

/** Measurements of a rollout's own replicas; each is one HTTP request that a sailor makes. */
export interface AnalysisSpec {
  readonly intervalMs: number;
  readonly count: number;
  /** This many measurements may fail. */
  readonly failureLimit: number;
  readonly http: {
    /** May hold `${{ address }}`, `${{ slot }}`, `${{ revision }}` and `${{ service }}`. */
    readonly url: string;
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
    readonly timeoutMs: number;
    /** Expression over `status`, `headers` and `body`. */
    readonly expect: string;
  };
}

/** What the texts of a request may name. */
export const NAMES_OF_REPLICA: readonly string[] = ["address", "slot", "revision", "service"];
const NAMES_OF_ANSWER: readonly string[] = ["status", "headers", "body"];

const lasting = (leastMs: number) =>
  duration.refine((ms) => ms >= leastMs && ms <= 86_400_000, {
    message: `must be from ${formatDuration(leastMs)} to 1d`,
  });

/** A text with `${{ }}` in it, over the replica that is asked. */
const request = (charsMax: number) =>
  z.string().max(charsMax).superRefine((text, context) => {
    const problem = problemOfRequestText(text);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });

const expect = z.string().min(1).max(4_096).superRefine((source, context) => {
  const problem = problemOfExpect(source);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

export const analysis = z.strictObject({
  interval: lasting(100).default(15_000),
  count: z.number().int().min(1).max(1_000).default(4),
  failureLimit: z.number().int().min(0).max(1_000).default(0),
  http: z.strictObject({
    url: request(4_096).refine((text) => isAddress(withSample(text)), {
      message: "must begin with http:// or https:// and a host, such as http://${{ address }}/health",
    }),
    method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]).default("GET"),
    headers: mapOf(z.string().regex(/^[A-Za-z0-9-]{1,128}$/, "not a header's name"), request(4_096), 64).default({}),
    body: request(16_384).optional(),
    timeout: lasting(10).default(10_000),
    expect: expect.default("status >= 200 && status < 300"),
  }),
}).superRefine(({ count, failureLimit }, context) => {
  if (failureLimit < count) return;
  const message = `${count} measurements cannot fail more often than that; it must be less than \`count\``;
  context.addIssue({ code: "custom", message, path: ["failureLimit"] });
}).transform(({ interval, count, failureLimit, http: { timeout, body, ...http } }): AnalysisSpec => ({
  intervalMs: interval,
  count,
  failureLimit,
  http: { ...http, body: body ?? null, timeoutMs: timeout },
}));

/** The same document again; what equals its default is left out. */
export function describeAnalysis({ intervalMs, count, failureLimit, http }: AnalysisSpec): z.input<typeof analysis> {
  return {
    ...(intervalMs === 15_000 ? {} : { interval: formatDuration(intervalMs) }),
    ...(count === 4 ? {} : { count }),
    ...(failureLimit === 0 ? {} : { failureLimit }),
    http: {
      url: http.url,
      ...(http.method === "GET" ? {} : { method: http.method as "POST" }),
      ...(Object.keys(http.headers).length === 0 ? {} : { headers: { ...http.headers } }),
      ...(http.body === null ? {} : { body: http.body }),
      ...(http.timeoutMs === 10_000 ? {} : { timeout: formatDuration(http.timeoutMs) }),
      ...(http.expect === "status >= 200 && status < 300" ? {} : { expect: http.expect }),
    },
  };
}

/** Whether an expression of a request's text is about the replica that is asked, and so has no value before. */
export function namesReplica(source: string): boolean {
  const compiled = compileExpression(source, "measure");
  const ast = compiled.kind === "expression" ? compiled.expression.ast : compiled.ast;
  return ast !== undefined && readsIn(ast).some(({ root }) => NAMES_OF_REPLICA.includes(root));
}

function problemOfRequestText(text: string): string | undefined {
  const template = parseTemplate(text);
  if (template.kind === "problem") return template.detail;
  for (const part of template.parts) {
    if (part.kind === "text") continue;
    const problem = problemOf(part.source, NAMES_OF_REPLICA);
    if (problem !== undefined) return `\`\${{ ${part.source} }}\`: ${problem}`;
  }
}

function problemOfExpect(source: string): string | undefined {
  if (hasExpression(source)) return "write the expression without `${{ }}`";
  const problem = problemOf(source, NAMES_OF_ANSWER);
  if (problem !== undefined) return problem;
  const compiled = compileExpression(source, "measure");
  const type = compiled.kind === "expression" ? compiled.type : "dyn";
  return type === "bool" || type === "dyn" ? undefined : `gives ${type}; it must give true or false`;
}

function problemOf(source: string, names: readonly string[]): string | undefined {
  const compiled = compileExpression(source, "measure");
  const ast = compiled.kind === "expression" ? compiled.expression.ast : compiled.ast;
  const others = [...NAMES_OF_REPLICA, ...NAMES_OF_ANSWER, "params"].filter((name) => !names.includes(name));
  for (const { root } of ast ? readsIn(ast) : []) {
    const isForeign = others.includes(root);
    // Names of CEL's own types compile by themselves.
    if (names.includes(root) || (!isForeign && compileExpression(root, "measure").kind === "expression")) continue;
    const meant = isForeign ? undefined : didYouMean(root, names);
    const what = isForeign ? `\`${root}\` is not known here` : `unknown name \`${root}\``;
    return meant === undefined ? `${what}; known are ${names.join(", ")}` : `${what}; did you mean \`${meant}\`?`;
  }
  return compiled.kind === "problem" ? compiled.detail : undefined;
}

const SAMPLE: Readonly<Record<string, Value>> = { address: "host:80", slot: 0, revision: 1, service: "web" };

/** As it may look once it is filled in; undefined: that cannot be told. */
function withSample(text: string): string | undefined {
  const template = parseTemplate(text);
  if (template.kind === "problem") return undefined;
  let filled = "";
  for (const part of template.parts) {
    const compiled = part.kind === "expression" ? compileExpression(part.source, "measure") : undefined;
    const value = compiled?.kind === "expression" ? compiled.expression.evaluate(SAMPLE) : undefined;
    if (part.kind === "text") filled += part.text;
    else if (value?.kind === "value") filled += textOf(value.value);
    else return undefined;
  }
  return filled;
}

function isAddress(url: string | undefined): boolean {
  return url === undefined || /^https?:\/\/[^\s/]+/.test(url);
}
