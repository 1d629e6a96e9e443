/**
 * A workflow's file: its document with all that lies beside it read in, files that steps name with `from` and the
 * documents that it includes. Knows where in which file a problem stands. Nothing outside the file's own directory is read.
 */
import { dirname, join, relative, resolve } from "node:path";
import type { Document, LineCounter } from "../yaml.ts";
import { FILES_BYTES_MAX } from "../../core/documents/task.ts";
import type { WorkflowSpec } from "../../core/documents/workflow.ts";
import { valueAt } from "../../core/workflow/problems.ts";
import { isFileName } from "../../core/workflow/source.ts";
import type { SourceProblem } from "../../core/workflow/source.ts";
import type { WorkflowSource } from "../../messages/run_api.ts";
import { CommandFailure } from "../failure.ts";
import { clean } from "../render.ts";
import { readTextFile } from "../text_file.ts";
import { positionOf } from "./yaml_place.ts";

export interface PlacedProblem {
  readonly file: string;
  /** Both counted from 1. */
  readonly line: number;
  readonly column: number;
  readonly rule: string;
  readonly detail: string;
}

export interface SourceFile {
  /** As it is to be sent to a deck: `from` replaced by what it names, `workflow` by the key in `included`. */
  readonly source: WorkflowSource;
  /** What could not be read: syntax, files, included documents. With any of them `source` is not whole. */
  readonly problems: readonly PlacedProblem[];
  /** Where a problem that was found in `source`, here or by a deck, stands in the files. */
  place(problem: SourceProblem): PlacedProblem;
}

export interface CheckedSourceFile extends SourceFile {
  readonly spec: WorkflowSpec;
  readonly included: ReadonlyMap<string, WorkflowSpec>;
}

const DOCUMENT_BYTES_MAX = 16 * 2 ** 20;

/**
 * Reads the workflow at `path` (YAML or JSON); of `-`, the text that `readText` gives, whose directory is the current
 * one. Throws CommandFailure when there is no such file; all else that is wrong lies in `problems`.
 */
export async function readSource(path: string, readText?: () => Promise<string>): Promise<SourceFile> {
  const { LineCounter, parseDocument } = await import("../yaml.ts");
  const name = path === "-" ? "stdin" : path;
  const text = path === "-" ? await readText!() : readTextFile(path, "the workflow");
  if (text.length > DOCUMENT_BYTES_MAX) throw new CommandFailure(`${name} is larger than 16 MiB`);
  const root = path === "-" ? Deno.cwd() : dirname(Deno.realPathSync(path));
  const opened = new Map<string | null, OpenDocument>();
  const problems: PlacedProblem[] = [];

  const open = (key: string | null, file: string, text: string): OpenDocument => {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const here: OpenDocument = { file, text, document, lines, value: {} };
    opened.set(key, here);
    for (const error of document.errors) {
      problems.push({ ...placeAt(here, error.pos[0]), rule: "syntax", detail: clean(error.message) });
    }
    if (document.errors.length > 0) return here;
    const value = plainValue(document);
    if (value.kind === "problem") problems.push({ ...placeAt(here, 0), rule: "syntax", detail: value.detail });
    return value.kind === "problem" ? here : { ...here, value: value.value };
  };

  const main = open(null, name, text);
  const included: Record<string, Record<string, unknown>> = {};
  const queue: { readonly document: OpenDocument; readonly folder: string }[] = [{ document: main, folder: root }];
  for (const { document, folder } of queue) {
    const say = (at: readonly PropertyKey[], rule: string, detail: string) =>
      problems.push(placed(document, at, null, rule, detail));
    for (const { at, step } of stepsOf(document.value)) {
      readFiles(step, folder, root, (path, detail) => say([...at, ...path], "file", detail));
      const target = step.workflow;
      if (typeof target !== "string" || !isFileName(target)) continue;
      const inside = readInside(folder, target, root, DOCUMENT_BYTES_MAX);
      if (inside.kind === "problem") {
        say([...at, "workflow"], "missingWorkflow", inside.detail);
        continue;
      }
      step.workflow = inside.key;
      if (Object.hasOwn(included, inside.key)) continue;
      const next = open(inside.key, join(dirname(name), inside.key), inside.text);
      included[inside.key] = next.value;
      queue.push({ document: next, folder: dirname(inside.path) });
    }
  }
  return {
    source: { workflow: main.value, ...(Object.keys(included).length > 0 && { included }) },
    problems,
    place: ({ included, path, offset, rule, detail }) =>
      placed(opened.get(included) ?? main, path, offset, rule, detail),
  };
}

/** A workflow that may be sent to a deck. Throws CommandFailure with each problem and its place. */
export async function readCheckedSource(
  path: string,
  readText?: () => Promise<string>,
): Promise<CheckedSourceFile> {
  const file = await readSource(path, readText);
  const checked = await checkFile(file);
  if (checked.kind === "invalid") throw refusalOf(path === "-" ? "stdin" : path, checked.problems);
  return { ...file, spec: checked.spec, included: checked.included };
}

export type CheckedFile =
  | { readonly kind: "valid"; readonly spec: WorkflowSpec; readonly included: ReadonlyMap<string, WorkflowSpec> }
  | { readonly kind: "invalid"; readonly problems: readonly PlacedProblem[] };

/** Problems of reading and of what was read, in the order of the files. */
export async function checkFile(file: SourceFile): Promise<CheckedFile> {
  const [{ checkSource }, { cronProblem }] = await Promise.all([
    import("../../core/workflow/validate.ts"),
    import("../../adapters/cron.ts"),
  ]);
  const checked = checkSource(file.source, { cronProblem });
  if (checked.kind === "valid" && file.problems.length === 0) return checked;
  // What could not be read is missing from what is judged: only the first of the two is told then.
  const judged = checked.kind === "invalid" ? checked.problems.map((problem) => file.place(problem)) : [];
  const unread = new Set(file.problems.map(({ file, line }) => `${file}:${line}`));
  const isSyntax = file.problems.some(({ rule }) => rule === "syntax");
  const rest = isSyntax ? [] : judged.filter(({ file, line }) => !unread.has(`${file}:${line}`));
  return { kind: "invalid", problems: inOrder([...file.problems, ...rest]) };
}

/** `bad.yaml:7:5  unknown key ...` */
export function describeProblem({ file, line, column, detail }: PlacedProblem): string {
  return `${file}:${line}:${column}  ${clean(detail)}`;
}

/** The failure that tells a person all problems of `file`; also for those that a deck has found. */
export function refusalOf(file: string, problems: readonly PlacedProblem[]): CommandFailure {
  return new CommandFailure(countProblems(file, problems.length), inOrder(problems).map(describeProblem));
}

export function countProblems(file: string, count: number): string {
  return `${count === 1 ? "1 problem" : `${count} problems`} in ${file}`;
}

function inOrder(problems: readonly PlacedProblem[]): PlacedProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return [...problems].sort((a, b) =>
    files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
  );
}

interface OpenDocument {
  readonly file: string;
  readonly text: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly value: Record<string, unknown>;
}

type PlainValue =
  | { readonly kind: "value"; readonly value: Record<string, unknown> }
  | { readonly kind: "problem"; readonly detail: string };

/** As JSON would have it: aliases become copies, so that what is read into one place does not appear in another. */
function plainValue(document: Document.Parsed): PlainValue {
  try {
    const value = JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 }) ?? null));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { kind: "value", value };
    return { kind: "problem", detail: "holds no workflow: begin with `name:` and `steps:`" };
  } catch (error) {
    return { kind: "problem", detail: (error as Error).message };
  }
}

type RawStep = Record<string, unknown>;

function* stepsOf(document: Record<string, unknown>): Generator<{ at: readonly PropertyKey[]; step: RawStep }> {
  for (const list of ["steps", "onFailure", "finally"]) {
    const steps = document[list];
    if (typeof steps !== "object" || steps === null) continue;
    for (const [key, step] of Object.entries(steps)) {
      if (typeof step === "object" && step !== null) yield { at: [list, key], step: step as RawStep };
    }
  }
}

/** Puts the content of each `from` in its place; `files` keeps the ones that cannot be read. */
function readFiles(
  step: RawStep,
  folder: string,
  root: string,
  say: (path: readonly PropertyKey[], detail: string) => void,
): void {
  const { files } = step;
  if (typeof files !== "object" || files === null) return;
  let bytes = 0;
  for (const [path, file] of Object.entries(files)) {
    const from = valueAt(file, ["from"]);
    if (typeof from !== "string") continue;
    const found = readInside(folder, from, root, FILES_BYTES_MAX);
    if (found.kind === "problem") {
      say(["files", path, "from"], found.detail);
      continue;
    }
    bytes += found.bytes;
    if (bytes > FILES_BYTES_MAX) {
      say(["files", path, "from"], `${bytes} bytes with those before; at most 48 KiB a step`);
    }
    const mode = found.isExecutable ? { mode: "0755" } : {};
    (files as Record<string, unknown>)[path] = { content: found.text, ...mode };
  }
}

type Inside =
  | {
    readonly kind: "file";
    readonly text: string;
    readonly bytes: number;
    readonly isExecutable: boolean;
    /** Where it lies, and that below the root. */
    readonly path: string;
    readonly key: string;
  }
  | { readonly kind: "problem"; readonly detail: string };

/** Reads a file that must lie below `root`, links followed. */
function readInside(folder: string, name: string, root: string, bytesMax: number): Inside {
  const path = resolve(folder, name);
  const no = (detail: string): Inside => ({ kind: "problem", detail });
  if (!isBelow(root, path)) return no(`${name} lies outside ${root}; only what lies beside the workflow is read`);
  try {
    const real = Deno.realPathSync(path);
    if (!isBelow(root, real)) return no(`${name} is a link that leads outside ${root}`);
    const { isFile, size, mode } = Deno.statSync(real);
    if (!isFile) return no(`${name} is no file`);
    if (size > bytesMax) return no(`${name} has ${size} bytes; at most ${bytesMax} are read`);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Deno.readFileSync(real));
    const isExecutable = ((mode ?? 0) & 0o111) !== 0;
    return { kind: "file", text, bytes: size, isExecutable, path, key: relative(root, path) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return no(`cannot read ${name}: no such file in ${folder}`);
    if (error instanceof TypeError) return no(`${name} is no text in UTF-8`);
    return no(`cannot read ${name}: ${(error as Error).message}`);
  }
}

function isBelow(root: string, path: string): boolean {
  return path.startsWith(root.endsWith("/") ? root : `${root}/`);
}

function placed(
  from: OpenDocument,
  path: readonly PropertyKey[],
  offset: number | null,
  rule: string,
  detail: string,
): PlacedProblem {
  return { ...placeAt(from, positionOf(from.document, from.text, path, offset)), rule, detail: wordsOf(path, detail) };
}

/** A sentence that does not name its subject is given it: `steps.a.sleep: must be a string`. */
function wordsOf(path: readonly PropertyKey[], detail: string): string {
  if (!/^(must|is|at most|not|gives)\b/.test(detail) || path.length === 0) return detail;
  return `${path.map(String).join(".")}: ${detail}`;
}

function placeAt({ file, lines }: OpenDocument, position: number) {
  const { line, col } = lines.linePos(position);
  return { file, line: line || 1, column: col || 1 };
}
