/** Outputs of steps: as they are kept in pieces, and the lines that scripts append to ORMEN_OUTPUT. */
import { byteLength } from "../documents/task.ts";
import type { Draft } from "../draft.ts";
import type { State } from "../state.ts";
import type { Value } from "./expression.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import { OUTPUT_PIECE_CHARS, stepRecordId } from "./records.ts";

export type Outputs = Readonly<Record<string, Value>>;

const NONE: Outputs = {};
const known = new WeakMap<object, Outputs>();

/** Of a step that was fanned out: of each name the list of its instances' values, in their order, null where one has none. */
export function outputsOf(state: State, step: StepRecord): Outputs {
  return step.fan ? gathered(state, step, step.fan.total) : read(state, step.id, step.outputPieces);
}

export function outputsOfRun(state: State, run: RunRecord): Outputs {
  return read(state, run.id, run.outputPieces);
}

function read(state: State, owner: string, pieces: number): Outputs {
  if (pieces === 0) return NONE;
  const first = state.outputs.get(pieceId(owner, 0))!;
  let outputs = known.get(first);
  if (!outputs) {
    let text = "";
    for (let piece = 0; piece < pieces; piece++) text += state.outputs.get(pieceId(owner, piece))!.text;
    known.set(first, outputs = JSON.parse(text) as Outputs);
  }
  return outputs;
}

function gathered(state: State, step: StepRecord, total: number): Outputs {
  let outputs = known.get(step);
  if (!outputs) {
    const each = Array.from({ length: total }, (_, instance) => {
      const record = state.steps.get(stepRecordId(step.runId, step.step, instance));
      return record ? outputsOf(state, record) : NONE;
    });
    const names = new Set(each.flatMap((one) => Object.keys(one)));
    outputs = Object.fromEntries([...names].map((name) => [name, each.map((one) => one[name] ?? null)]));
    known.set(step, outputs);
  }
  return outputs;
}

/** Bytes that `outputs` take of a run's allowance. */
export function outputsBytes(outputs: Outputs): number {
  return Object.keys(outputs).length === 0 ? 0 : byteLength(JSON.stringify(outputs));
}

/** `owner` is the id of a step's record or of a run. Answers the number of pieces. */
export function putOutputs(draft: Draft, owner: string, runId: string, outputs: Outputs): number {
  if (Object.keys(outputs).length === 0) return 0;
  const text = JSON.stringify(outputs);
  let piece = 0;
  for (let from = 0; from < text.length; from += OUTPUT_PIECE_CHARS, piece++) {
    const id = pieceId(owner, piece);
    draft.put("output", id, { id, runId, text: text.slice(from, from + OUTPUT_PIECE_CHARS) });
  }
  return piece;
}

export function deleteOutputs(draft: Draft, { id, outputPieces }: StepRecord | RunRecord): void {
  for (let piece = 0; piece < outputPieces; piece++) draft.delete("output", pieceId(id, piece));
}

function pieceId(owner: string, piece: number): string {
  return `${owner}#${piece}`;
}

const KEY = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const OUTPUTS_MAX = 256;

export type OutputLines =
  | { readonly kind: "outputs"; readonly outputs: Readonly<Record<string, string>> }
  | { readonly kind: "problem"; readonly detail: string };

/**
 * `KEY=value` a line; the last one of a key counts. A value of several lines stands as `KEY<<WORD`, its lines, `WORD`, as
 * GitHub Actions has it ("Workflow commands", multiline strings).
 */
export function parseOutputLines(text: string): OutputLines {
  const outputs = new Map<string, string>();
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at].replace(/\r$/, "");
    if (line === "") continue;
    const found = /^([^=<]*)(=|<<)(.*)$/s.exec(line);
    const problem = (what: string): OutputLines => ({
      kind: "problem",
      detail: `line ${at + 1} of $ORMEN_OUTPUT ${what}: ${JSON.stringify(line.slice(0, 80))}`,
    });
    if (!found) return problem("is not KEY=value");
    const [, key, sign, rest] = found;
    if (!KEY.test(key)) return problem("has no key of letters, digits and _");
    if (sign === "=") {
      outputs.set(key, rest);
      continue;
    }
    const end = lines.indexOf(rest, at + 1);
    if (rest === "" || end < 0) return problem("begins a value that does not end");
    outputs.set(key, lines.slice(at + 1, end).join("\n"));
    at = end;
  }
  if (outputs.size > OUTPUTS_MAX) {
    return { kind: "problem", detail: `$ORMEN_OUTPUT has ${outputs.size} keys; at most ${OUTPUTS_MAX}` };
  }
  return { kind: "outputs", outputs: Object.fromEntries(outputs) };
}
