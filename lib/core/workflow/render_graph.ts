/** A workflow's steps and who waits for whom, as text for people, and for what draws Mermaid or Graphviz. */
import type { Need, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import { formatDuration } from "../documents/units.ts";
import { buildGraph } from "./graph.ts";
import { expandMatrix } from "./matrix.ts";

export const GRAPH_FORMATS = ["text", "mermaid", "dot"] as const;
export type GraphFormat = typeof GRAPH_FORMATS[number];

/** By step: what stands beside it, such as the state of a run's step. */
export type StepNotes = ReadonlyMap<string, string>;

/** The steps must be free of cycles. Ends with a line end. */
export function renderGraph(spec: WorkflowSpec, format: GraphFormat, notes: StepNotes = new Map()): string {
  const lines = format === "text"
    ? textOf(spec, notes)
    : format === "mermaid"
    ? mermaidOf(spec, notes)
    : dotOf(spec, notes);
  return lines.map((line) => line.trimEnd() + "\n").join("");
}

export interface GraphStep {
  readonly step: StepSpec;
  readonly phase: "steps" | "onFailure" | "finally";
  readonly needs: readonly Need[];
  /** Steps of one stage wait for those before it; counted from 1. */
  readonly stage: number;
}

/** In an order in which every step stands after those it waits for. */
export function graphSteps(spec: WorkflowSpec): GraphStep[] {
  const byId = new Map(spec.steps.map((step) => [step.id, step]));
  const stages = new Map<string, number>();
  const steps = buildGraph(spec.steps).order.map((id): GraphStep => {
    const step = byId.get(id)!;
    let stage = 1;
    for (const need of step.needs) stage = Math.max(stage, stages.get(need.step)! + 1);
    stages.set(id, stage);
    return { step, phase: "steps", needs: step.needs, stage };
  });
  // Within a stage as in the document, so that neighbours there are neighbours here.
  const places = new Map(spec.steps.map(({ id }, index) => [id, index]));
  steps.sort((a, b) => a.stage - b.stage || places.get(a.step.id)! - places.get(b.step.id)!);
  const closing = (phase: "onFailure" | "finally") =>
    spec[phase].map((step, index, all): GraphStep => ({
      step,
      phase,
      needs: index === 0 ? [] : [{ step: all[index - 1].id, condition: "finished" }],
      stage: index + 1,
    }));
  return [...steps, ...closing("onFailure"), ...closing("finally")];
}

function textOf(spec: WorkflowSpec, notes: StepNotes): string[] {
  const rows = graphSteps(spec).map((each) => ({
    phase: each.phase,
    cells: [
      String(each.stage),
      each.step.id,
      ...(notes.size > 0 ? [notes.get(each.step.id) ?? ""] : []),
      describeAction(each.step),
      [
        each.phase === "steps" ? describeNeeds(each.needs) : "",
        each.step.when === null ? "" : `when ${each.step.when.replace(/\s+/g, " ").trim()}`,
      ].filter((part) => part !== "").join("   "),
    ],
  }));
  const widths = rows[0].cells.map((_, column) => Math.max(...rows.map(({ cells }) => cells[column].length)));
  const lineOf = (cells: readonly string[]) =>
    `  ${
      cells.map((cell, column) => column === 0 ? cell.padStart(widths[0]) : cell.padEnd(widths[column])).join("  ")
    }`;
  const part = (phase: GraphStep["phase"]) =>
    rows.filter((row) => row.phase === phase).map(({ cells }) => lineOf(cells));
  const closing = (["onFailure", "finally"] as const).flatMap((phase) =>
    spec[phase].length === 0 ? [] : [phase, ...part(phase)]
  );
  return [spec.name, ...part("steps"), ...closing];
}

function describeNeeds(needs: readonly Need[]): string {
  if (needs.length === 0) return "";
  return `after ${
    needs.map((need) => need.step + (need.condition === "succeeded" ? "" : ` (${need.condition})`)).join(", ")
  }`;
}

function describeAction({ action, matrix, forEach }: StepSpec): string {
  const times = matrix ? ` x ${expandMatrix(matrix).length}` : forEach === null ? "" : " x each";
  switch (action.kind) {
    case "task":
      return `${typeof action.task.image === "string" ? `task ${action.task.image}` : "task on the host"}${times}`;
    case "http":
      return `http ${action.method} ${action.url}${times}`;
    case "approval":
      return `approval${times}`;
    case "sleep":
      return `sleep ${action.duration}${times}`;
    case "workflow":
      return `workflow ${action.workflow}${times}`;
    case "rollout":
      return `rollout${typeof action.rollout.service === "string" ? ` ${action.rollout.service}` : ""}${times}`;
    default:
      return action satisfies never;
  }
}

/** Names in a drawing: ids may hold what Mermaid or Graphviz would read as its own. */
function namesOf(steps: readonly GraphStep[]): ReadonlyMap<string, string> {
  return new Map(steps.map(({ step }, index) => [step.id, `s${index}`]));
}

function labelLines({ step }: GraphStep, notes: StepNotes): string[] {
  const note = notes.get(step.id);
  const limits = [
    step.timeoutMs === null ? "" : `at most ${formatDuration(step.timeoutMs)}`,
    step.when === null ? "" : `when ${step.when.replace(/\s+/g, " ").trim()}`,
  ].filter((line) => line !== "");
  return [step.id, describeAction(step), ...limits, ...(note === undefined ? [] : [note])];
}

const PHASES = ["steps", "onFailure", "finally"] as const;

function mermaidOf(spec: WorkflowSpec, notes: StepNotes): string[] {
  const steps = graphSteps(spec);
  const names = namesOf(steps);
  const escape = (text: string) => text.replace(/[^A-Za-z0-9 .,:/_=+-]/g, (char) => `#${char.codePointAt(0)};`);
  const node = (each: GraphStep) => {
    const label = `"${labelLines(each, notes).map((line) => escape(line)).join("<br>")}"`;
    const [open, close] = each.step.action.kind === "approval"
      ? ["{{", "}}"]
      : each.step.when === null
      ? ["[", "]"]
      : ["(", ")"];
    return `${names.get(each.step.id)}${open}${label}${close}`;
  };
  const edges = steps.flatMap((each) =>
    each.needs.map(({ step, condition }) => {
      const said = condition === "succeeded" || each.phase !== "steps" ? "-->" : `-->|${condition}|`;
      return `  ${names.get(step)} ${said} ${names.get(each.step.id)}`;
    })
  );
  const parts = PHASES.flatMap((phase) => {
    const nodes = steps.filter((each) => each.phase === phase).map(node);
    if (phase === "steps" || nodes.length === 0) return nodes.map((line) => `  ${line}`);
    return [`  subgraph ${phase}`, ...nodes.map((line) => `    ${line}`), "  end"];
  });
  return ["flowchart TD", ...parts, ...edges];
}

function dotOf(spec: WorkflowSpec, notes: StepNotes): string[] {
  const steps = graphSteps(spec);
  const names = namesOf(steps);
  const quote = (text: string) => `"${text.replace(/["\\]/g, "\\$&").replace(/[\r\n]+/g, " ")}"`;
  const node = (each: GraphStep) => {
    const label = labelLines(each, notes).map((line) => quote(line).slice(1, -1)).join("\\n");
    const shape = each.step.action.kind === "approval" ? "diamond" : "box";
    return `${names.get(each.step.id)} [label="${label}", shape=${shape}${
      each.step.when === null ? "" : ", style=rounded"
    }];`;
  };
  const edges = steps.flatMap((each) =>
    each.needs.map(({ step, condition }) => {
      const label = condition === "succeeded" || each.phase !== "steps" ? "" : ` [label="${condition}"]`;
      return `  ${names.get(step)} -> ${names.get(each.step.id)}${label};`;
    })
  );
  const parts = PHASES.flatMap((phase) => {
    const nodes = steps.filter((each) => each.phase === phase).map(node);
    if (phase === "steps" || nodes.length === 0) return nodes.map((line) => `  ${line}`);
    return [`  subgraph cluster_${phase} {`, `    label="${phase}";`, ...nodes.map((line) => `    ${line}`), "  }"];
  });
  return [`digraph ${quote(spec.name)} {`, ...parts, ...edges, "}"];
}
