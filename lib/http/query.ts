/**
 * Query strings as zod schemas: what the routes read and what the OpenAPI document says of their parameters is one thing.
 * A parameter is given once, unless its schema is an array; unknown ones are refused as unknown keys are.
 */
import { z } from "zod";
import { SAIL_STATES } from "../core/sail.ts";
import { RUN_STATES } from "../core/workflow/records.ts";
import { parseDuration } from "../core/documents/units.ts";
import { parseWith } from "./issues.ts";
import { Refusal } from "./problems.ts";

const digits = (max: number) =>
  z.string().regex(/^\d{1,15}$/, "must be a whole number").transform(Number).pipe(z.number().int().min(0).max(max));
const count = (max: number) => digits(max).refine((n) => n >= 1, "must be at least 1");
const flag = z.enum(["true", "false", "1", "0", ""]).transform((value) => value !== "false" && value !== "0")
  .pipe(z.boolean());
const cursor = z.string().min(1).max(1024).describe("`next` of the page before");

const label = z.string().max(1300).regex(/^[^=]+=/, "write it as key=value");

export const taskListQuery = z.strictObject({
  limit: count(1000).default(100),
  cursor: cursor.optional(),
  state: z.array(z.enum(SAIL_STATES)).optional().describe("one of these states; may be repeated"),
  node: z.string().min(1).max(255).optional().describe("name or id of a node"),
  label: z.array(label).optional().describe("key=value; may be repeated, then all must fit"),
  live: flag.optional().describe("only tasks that have not ended"),
});

export const nodeListQuery = z.strictObject({ limit: count(1000).default(100), cursor: cursor.optional() });

export const runListQuery = z.strictObject({
  limit: count(1000).default(100),
  cursor: cursor.optional(),
  workflow: z.string().min(1).max(128).optional().describe("name of a workflow"),
  state: z.array(z.enum(RUN_STATES)).optional().describe("one of these states; may be repeated"),
});

export const workflowSourceQuery = z.strictObject({
  version: count(1_000_000_000).optional().describe("the newest by default"),
});

export const rolloutListQuery = z.strictObject({
  service: z.string().min(1).max(128).optional().describe("name of a service; its rollouts, newest first"),
});

const since = z.string().min(1).max(64);

export const eventsQuery = z.strictObject({
  after: digits(Number.MAX_SAFE_INTEGER).optional().describe("only events with a greater id"),
  limit: count(1000).default(100).describe("of a list; a stream has none"),
  run: z.string().min(1).max(128).optional().describe("only events of the run with this id"),
  since: since.optional().describe("an event's id, an RFC 3339 time, or a duration such as 10m"),
});

export const logsQuery = z.strictObject({
  follow: flag.default(false),
  tail: z.union([z.literal("all").transform(() => null).pipe(z.null()), digits(10_000_000)]).optional()
    .describe("number of last lines, or all"),
  since: since.optional().describe("an RFC 3339 time, or a duration such as 10m"),
  timestamps: flag.default(false),
  attempt: count(1_000_000).optional().describe("number of an attempt; the current or last one by default"),
});

/** Throws Refusal 400. */
export function readQuery<T extends z.ZodObject>(url: string, schema: T): z.output<T> {
  const start = url.indexOf("?");
  const given: Record<string, unknown> = {};
  if (start >= 0) {
    const parameters = new URLSearchParams(url.slice(start + 1));
    for (const key of new Set(parameters.keys())) {
      const values = parameters.getAll(key);
      if (isArray(schema.shape[key])) given[key] = values;
      else if (values.length === 1) given[key] = values[0];
      else {throw new Refusal(
          400,
          "invalidQuery",
          `the parameter \`${key.slice(0, 64)}\` is given ${values.length} times`,
        );}
    }
  }
  return parseWith(schema, given, { status: 400, code: "invalidQuery" });
}

/** Wall time of an RFC 3339 time or of a duration before `nowMs`. Throws Refusal 400. */
export function parseSince(text: string, nowMs: number): number {
  const duration = parseDuration(text);
  if (duration !== undefined) return nowMs - duration;
  const ms = RFC_3339.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new Refusal(
    400,
    "invalidQuery",
    `since: not a time: "${text}"; write it as 2026-01-31T08:00:00Z, or as a duration such as 10m`,
    [{ pointer: "/since", detail: "not a time" }],
  );
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function isArray(schema: unknown): boolean {
  const def = (schema as { _zod?: { def: { type: string; innerType?: unknown } } } | undefined)?._zod?.def;
  return def !== undefined && (def.type === "array" || isArray(def.innerType));
}
