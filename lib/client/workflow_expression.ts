/**
 * Expressions of workflows as values of TypeScript: written with `cel`, or taken from handles such as
 * `build.outputs.digest`. In a text they stand as `${{ }}`, in a key that is an expression itself as they are.
 * Owns how they are written down; what they mean is judged where the document is checked.
 */

/** An expression over what a run knows. In a template literal, and in JSON, it is `${{ source }}`. */
export class Expression {
  constructor(readonly source: string) {}

  /** A field of a map, or an item of a list. */
  at(key: string | number): Expression {
    return new Expression(`${operand(this)}${typeof key === "number" ? `[${key}]` : field(key)}`);
  }

  toString(): string {
    return `\${{ ${this.source} }}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A text of a document, which may be an expression or have some in it. */
export type Text = string | Expression;

/** What can stand in a `cel` template: an expression, a step (its name), or a value (itself). */
export type CelValue = Expression | { readonly id: string } | string | number | boolean | null | readonly Json[];
type Json = string | number | boolean | null | readonly Json[];

/**
 * An expression: ``cel`${w.params.env} == ${"prod"} && failed(${build})` ``.
 * Values come in as CEL's literals, so that no text can change what the expression says.
 */
export function cel(texts: TemplateStringsArray, ...values: readonly CelValue[]): Expression {
  return new Expression(
    texts.map((text, i) => i < values.length ? text + literal(values[i]) : text).join("").trim(),
  );
}

/** As it stands in `when`, `retry.when` and `expect`. */
export function sourceOf(expression: Text): string {
  return typeof expression === "string" ? expression : expression.source;
}

/** `params.env`, `steps["build-image"].outputs`: a name and the keys below it. */
export function reference(root: string, ...keys: readonly string[]): Expression {
  return new Expression(root + keys.map(field).join(""));
}

function literal(value: CelValue): string {
  if (value instanceof Expression) return operand(value);
  if (typeof value === "object" && value !== null && "id" in value) return JSON.stringify(value.id);
  return JSON.stringify(value);
}

const NAME_OR_NUMBER = /^(?:\d+|[A-Za-z_][\w.]*(?:\["[^"\\]*"\][\w.]*|\[\d+\][\w.]*)*)$/;

/** What is more than a name or a number stays one operand wherever it is put. */
function operand({ source }: Expression): string {
  return NAME_OR_NUMBER.test(source) ? source : `(${source})`;
}

// CEL's own words, which cannot stand after a dot.
const RESERVED: ReadonlySet<string> = new Set(
  ("as break const continue else false for function if import in let loop package namespace null return true var void " +
    "while").split(" "),
);

function field(key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) && !RESERVED.has(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
