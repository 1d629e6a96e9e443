/**
 * Texts with `${{ expression }}` in them. Owns where an expression begins and ends; what it means is expression.ts's.
 * A closing `}}` inside a string literal of the expression does not end it.
 */
import type { Path } from "./texts.ts";

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  /** `offset` is where the expression stands in the template, in UTF-16 units. */
  | { readonly kind: "expression"; readonly source: string; readonly offset: number };

export type ParsedTemplate =
  | { readonly kind: "template"; readonly parts: readonly TemplatePart[] }
  | { readonly kind: "problem"; readonly detail: string; readonly offset: number };

const OPEN = "${{";

export function hasExpression(text: string): boolean {
  return text.includes(OPEN);
}

export function parseTemplate(text: string): ParsedTemplate {
  const parts: TemplatePart[] = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf(OPEN, at);
    if (open !== at) parts.push({ kind: "text", text: text.slice(at, open < 0 ? undefined : open) });
    if (open < 0) break;
    const from = open + OPEN.length;
    const close = closingOf(text, from);
    if (close < 0) return { kind: "problem", detail: "`${{` without its `}}`", offset: open };
    const inside = text.slice(from, close);
    const source = inside.trim();
    if (source === "") return { kind: "problem", detail: "`${{ }}` without an expression in it", offset: open };
    parts.push({ kind: "expression", source, offset: from + inside.indexOf(source[0]) });
    at = close + 2;
  }
  return { kind: "template", parts };
}

/** Position of the `}}` that ends an expression begun at `from`; braces of its own and strings are passed over. */
function closingOf(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '"' || char === "'") {
      at = endOfString(text, at);
      if (at < 0) return -1;
    } else if (char === "{") depth++;
    else if (char === "}") {
      if (depth === 0) return text[at + 1] === "}" ? at : -1;
      depth--;
    }
  }
  return -1;
}

function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === text[open]) return at;
  }
  return -1;
}

/** A value with each of its texts as `change` makes it. */
export function mapTexts(value: unknown, change: (text: string, path: Path) => unknown, path: Path = []): unknown {
  if (typeof value === "string") return change(value, path);
  if (Array.isArray(value)) return value.map((each, index) => mapTexts(each, change, [...path, index]));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, mapTexts(each, change, [...path, key])]),
  );
}
