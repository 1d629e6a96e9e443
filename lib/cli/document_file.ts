/**
 * A file with one task: reading it, telling the original's SailEvent from a task document, and saying where in it
 * something is wrong. The deck is the judge of a task document; yaml is loaded when JSON does not do.
 */
import type { Document, LineCounter } from "./yaml.ts";
import type { TaskDocument } from "../core/documents/task.ts";
import type { Problem } from "../messages/api.ts";
import { CommandFailure } from "./failure.ts";
import { clean } from "./render.ts";

export type FileDocument =
  | { readonly kind: "original"; readonly event: Record<string, unknown> }
  | { readonly kind: "task"; readonly task: TaskDocument };

const FILE_CHARACTERS_MAX = 16 * 2 ** 20;
const ORIGINAL_KEYS = ["Sail", "State", "ID"];

/** Throws `CommandFailure` with `file:line:column` for each thing that is wrong. */
export async function parseFile(text: string, name: string): Promise<FileDocument> {
  const value = await parseMapping(text, name, "task", "begin with  name:  and  image:");
  return ORIGINAL_KEYS.some((key) => key in value)
    ? { kind: "original", event: value as Record<string, unknown> }
    : { kind: "task", task: value as TaskDocument };
}

/** `what` such as `task`. Throws `CommandFailure` as `parseFile` does. */
export async function parseMapping(
  text: string,
  name: string,
  what: string,
  hint: string,
): Promise<Record<string, unknown>> {
  if (text.length > FILE_CHARACTERS_MAX) throw new CommandFailure(`${name} is larger than 16 MiB`);
  const value = parseJson(text) ?? await parseYaml(text, name);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CommandFailure(`${name} holds no ${what}: it must be a mapping of keys`, [hint]);
  }
  return value as Record<string, unknown>;
}

/** What the deck did not like of a document, with the place of each thing in the file. */
export async function explainRefusal(text: string, name: string, problem: Problem): Promise<CommandFailure> {
  const { document, lines } = await readYaml(text);
  const problems = (problem.errors ?? []).map(({ pointer, detail }) => {
    const path = pathOf(pointer);
    const where = path.length === 0 || /^unknown key/.test(detail) ? "" : `${path.join(".")}: `;
    const offset = offsetOf(document, path);
    return { offset, line: `${placeOf(lines, offset, name)}  ${clean(where + detail)}` };
  });
  return problemsIn(name, problems.sort((a, b) => a.offset - b.offset).map(({ line }) => line));
}

function problemsIn(name: string, problems: readonly string[]): CommandFailure {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new CommandFailure(`${count} in ${name}`, problems);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function parseYaml(text: string, name: string): Promise<unknown> {
  const { document, lines } = await readYaml(text);
  if (document.errors.length > 0) {
    throw problemsIn(
      name,
      document.errors.map((error) => `${placeOf(lines, error.pos[0], name)}  ${clean(error.message)}`),
    );
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new CommandFailure(`cannot read ${name}: ${(error as Error).message}`);
  }
}

async function readYaml(text: string): Promise<{ document: Document.Parsed; lines: LineCounter }> {
  const { LineCounter, parseDocument } = await import("./yaml.ts");
  const lines = new LineCounter();
  return { document: parseDocument(text, { lineCounter: lines, prettyErrors: false }), lines };
}

/** Where the key that `path` names stands, or the nearest thing around it. */
function offsetOf(document: Document.Parsed, path: readonly string[]): number {
  let offset = 0;
  let node: unknown = document.contents;
  for (const step of path) {
    const items = (node as { items?: unknown[] } | null)?.items;
    if (!items) break;
    const pair = items.find((item) => String((item as { key?: unknown })?.key) === step) as
      | { key: { range?: number[] }; value: unknown }
      | undefined;
    const child = pair ?? items[Number(step)];
    if (child === undefined) break;
    node = pair ? pair.value : child;
    offset = (pair ? pair.key.range : (child as { range?: number[] }).range)?.[0] ?? offset;
  }
  return offset;
}

function placeOf(lines: LineCounter, offset: number, name: string): string {
  const { line, col } = lines.linePos(offset);
  return `${name}:${line || 1}:${col || 1}`;
}

/** RFC 6901. */
function pathOf(pointer: string): string[] {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
