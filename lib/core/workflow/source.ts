/**
 * A workflow's source: its document and those that it includes by name, as plain data; and what judging it gives.
 * `checkSource` of validate.ts turns one into the other.
 */
import type { WorkflowSpec } from "../documents/workflow.ts";

/** As it came out of YAML or JSON. Files that steps name with `from` have been read into it. */
export interface Source {
  readonly workflow: unknown;
  /** By the text that stands after `workflow:` in a step. */
  readonly included?: Readonly<Record<string, unknown>>;
}

export interface SourceProblem {
  /** Null: the main document. */
  readonly included: string | null;
  /** From that document's root. */
  readonly path: readonly PropertyKey[];
  /** Where in the text at `path` it is, in UTF-16 units, when the text is an expression or holds one. */
  readonly offset: number | null;
  /** Stable name of the rule that is broken, such as `unknownKey`, `cycle`, `danglingNeed`. */
  readonly rule: string;
  readonly detail: string;
}

export type CheckedSource =
  | { readonly kind: "valid"; readonly spec: WorkflowSpec; readonly included: ReadonlyMap<string, WorkflowSpec> }
  | { readonly kind: "invalid"; readonly problems: readonly SourceProblem[] };

/** Whether the text after `workflow:` names a document beside this one, not a workflow that a deck knows by its name. */
export function isFileName(target: string): boolean {
  return /[/\\]|\.(ya?ml|json)$/i.test(target);
}
