/** Whether the steps fit together: their ids, whom they need and in what condition, what they fan out to, their secrets. */
import { suggestion, valueAt } from "./problems.ts";
import type { Report } from "./problems.ts";
import { INSTANCES_MAX } from "../documents/workflow.ts";
import type { MatrixSpec, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import type { SecretUse } from "../documents/task.ts";
import { parseDuration } from "../documents/units.ts";
import { findCycle } from "./graph.ts";
import { expandMatrix, matrixSize } from "./matrix.ts";
import { hasExpression } from "./template.ts";
import type { Path } from "./texts.ts";

export interface PlacedStep {
  readonly step: StepSpec;
  readonly phase: "steps" | "onFailure" | "finally";
  /** From the document. */
  readonly path: Path;
}

export function placedSteps(spec: WorkflowSpec): PlacedStep[] {
  return [
    ...spec.steps.map((step): PlacedStep => ({ step, phase: "steps", path: ["steps", step.id] })),
    ...(["onFailure", "finally"] as const).flatMap((phase) =>
      spec[phase].map((step, index): PlacedStep => ({ step, phase, path: [phase, index] }))
    ),
  ];
}

export function checkIds(placed: readonly PlacedStep[], document: unknown, report: Report): void {
  const owners = new Map<string, PlacedStep>();
  for (const each of placed) {
    const { step: { id }, path } = each;
    const owner = owners.get(id);
    if (!owner) {
      owners.set(id, each);
      continue;
    }
    const named = typeof valueAt(document, [...path, "id"]) === "string";
    const detail = `two steps are named \`${id}\`: ${placeOf(owner)} and ${placeOf(each)}`;
    const generated = named ? "" : `; a step of \`${each.phase}\` without \`id\` is named by its place`;
    report({ path: named ? [...path, "id"] : path, rule: "duplicateId", detail: `${detail}${generated}` });
  }
}

function placeOf({ path }: PlacedStep): string {
  return path[0] === "steps" ? `steps.${path[1]}` : `${path[0]}[${path[1]}]`;
}

/** Answers whether the steps can be put into an order. */
export function checkNeeds(
  { steps }: WorkflowSpec,
  closing: ReadonlySet<string>,
  isJudged: (step: string) => boolean,
  report: Report,
): boolean {
  const byId = new Map(steps.map((step) => [step.id, step]));
  let isWhole = true;
  for (const step of steps) {
    const seen = new Set<string>();
    for (const [index, need] of step.needs.entries()) {
      const path = ["steps", step.id, "needs", index];
      const needed = byId.get(need.step);
      const key = `${need.step} ${need.condition}`;
      if (!needed) {
        isWhole = false;
        const detail = closing.has(need.step)
          ? `step \`${need.step}\` runs after all others and cannot be needed`
          : `unknown step \`${need.step}\`${suggestion(need.step, byId.keys())}`;
        report({ path, rule: "danglingNeed", detail });
      } else if (seen.has(key)) {
        report({ path, rule: "duplicateNeed", detail: `step \`${need.step}\` is needed twice` });
      } else if (need.condition === "healthy" && isJudged(need.step)) {
        const why = whyNeverHealthy(needed);
        if (why !== undefined) {
          report({ path, rule: "neverHealthy", detail: `step ${need.step} is never healthy: ${why}` });
        }
      }
      seen.add(key);
    }
  }
  const cycle = findCycle(steps);
  if (!cycle) return isWhole;
  // At the need that closes the circle: the first step of the cycle needs the one before its end.
  const [first] = cycle;
  const index = byId.get(first)!.needs.findIndex(({ step }) => step === cycle[cycle.length - 2]);
  report({ path: ["steps", first, "needs", index], rule: "cycle", detail: `cycle: ${cycle.join(" -> ")}` });
  return false;
}

function whyNeverHealthy({ action }: StepSpec): string | undefined {
  if (action.kind === "rollout") return undefined;
  if (action.kind !== "task") return "only a task or a rollout can be";
  const { health } = action.task;
  return health === undefined || health === null ? "its task has no `health`" : undefined;
}

// A product above it is not even counted out: what excludes could still take away is not worth the time.
const COMBINATIONS_MAX = 20_000;

export function checkMatrix(matrix: MatrixSpec, at: Path, report: Report): void {
  const path = [...at, "matrix"];
  const axes = Object.keys(matrix.axes);
  for (const [index, rule] of matrix.exclude.entries()) {
    for (const key of Object.keys(rule)) {
      if (Object.hasOwn(matrix.axes, key)) continue;
      const detail = `\`exclude\` names \`${key}\`, which is no axis of the matrix${suggestion(key, axes)}`;
      report({ path: [...path, "exclude", index, key], rule: "badReference", detail });
    }
  }
  const size = matrixSize(matrix);
  const count = size > COMBINATIONS_MAX ? size : expandMatrix(matrix).length;
  if (count > INSTANCES_MAX) {
    report({ path, rule: "tooLarge", detail: `${count} combinations; at most ${INSTANCES_MAX}` });
  } else if (count === 0) report({ path, rule: "emptyMatrix", detail: "no combination is left" });
}

/** `handed`: what the workflow hands to all steps. */
export function checkSecrets(
  uses: readonly SecretUse[],
  env: Readonly<Record<string, string>>,
  at: Path,
  handed: readonly SecretUse[],
  report: Report,
): void {
  const seen = new Set<string>();
  const files = new Map<string, string>();
  const isList = uses.every(({ file }) => file === null);
  for (const [index, { name, file }] of uses.entries()) {
    const path = [...at, "secrets", isList ? index : name];
    const say = (rule: string, detail: string) => report({ path, rule, detail });
    if (seen.has(name)) say("duplicateSecret", `secret ${name} is named twice`);
    else if (handed.some((other) => other.name === name && other.file === file)) {
      say("duplicateSecret", `secret ${name} is handed to every step already, by the workflow's \`secrets\``);
    }
    if (file === null && Object.hasOwn(env, name)) {
      say("duplicateSecret", `${name} is a variable of \`env\` too; which of the two should the step see?`);
    }
    const other = file === null ? undefined : files.get(file);
    if (other !== undefined) say("duplicateSecret", `${file} is the file of secret ${other} too`);
    if (file !== null) files.set(file, name);
    seen.add(name);
  }
}

/** What a step's action alone makes wrong. */
export function checkAction({ action, retry, timeoutMs }: StepSpec, at: Path, report: Report): void {
  if (action.kind === "sleep" && !hasExpression(action.duration) && parseDuration(action.duration) === undefined) {
    const detail = `not a duration: "${action.duration}"; write it with a unit, such as 5s or 1m30s`;
    report({ path: [...at, "sleep"], rule: "wrongValue", detail });
  }
  if (action.kind === "http" && !hasExpression(action.url) && !/^https?:\/\/[^\s/]+/.test(action.url)) {
    report({
      path: [...at, "http", "url"],
      rule: "wrongValue",
      detail: "must begin with http:// or https:// and a host",
    });
  }
  if (retry.maxDelayMs < retry.delayMs) {
    const detail = "`maxDelay` is shorter than `delay`";
    report({ path: [...at, "retry"], rule: "wrongValue", detail });
  }
  if (timeoutMs === 0) report({ path: [...at, "timeout"], rule: "wrongValue", detail: "must be longer than 0" });
}
