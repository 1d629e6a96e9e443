/** Refusals of documents: what a schema did not like, with JSON pointers and places in the text. */
import type { z } from "zod";
import { describeIssues } from "../core/documents/issues.ts";
import type { Path } from "../core/documents/issues.ts";
import { Refusal } from "./problems.ts";
import type { ProblemCode, ProblemError } from "./problems.ts";
import type { Document } from "./plain_data.ts";

/** A document with thousands of mistakes has one cause; the answer need not be as long. */
const ERRORS_MAX = 100;

/** Parses or throws Refusal 422 (or the status given). `prefix` is where the value stands in its document. */
export function parseWith<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: {
    readonly document?: Document;
    readonly prefix?: Path;
    readonly status?: number;
    readonly code?: ProblemCode;
  } = {},
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refuseDocument(describeErrors(schema, result.error.issues, where.document, where.prefix), where);
}

export function refuseDocument(
  errors: readonly ProblemError[],
  answer: { readonly status?: number; readonly code?: ProblemCode } = {},
): Refusal {
  const first = errors[0];
  const rest = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  const detail = `${first.pointer === "" ? "" : `${first.pointer}: `}${first.detail}${rest}`;
  return new Refusal(answer.status ?? 422, answer.code ?? "invalid", detail, errors.slice(0, ERRORS_MAX));
}

/** As `describeIssues` of the documents says it, with pointers and, where the text is known, places in it. */
export function describeErrors(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  document?: Document,
  prefix: Path = [],
): ProblemError[] {
  return describeIssues(schema, issues, prefix).map(({ path, detail }) => {
    const place = document?.locate?.(path);
    return { pointer: pointerOf(path), detail: place ? `${place} ${detail}` : detail };
  });
}

/** RFC 6901. */
export function pointerOf(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
