/** The task that is an attempt of a step: the document it wrote, filled in, with what every attempt has. */
import { describeIssues } from "../documents/issues.ts";
import type { SecretUse, TaskSpec } from "../documents/task.ts";
import { byteLength, SPEC_BYTES_MAX, taskDocument } from "../documents/task.ts";
import type { StepAction, StepFile } from "../documents/workflow.ts";
import { textOf } from "./expression.ts";
import type { PlannedStep } from "./plan.ts";
import { stepTaskId } from "./records.ts";
import { hasExpression } from "./template.ts";
import type { Scene } from "./values.ts";
import { environmentOf, fill, FillError, fillText } from "./values.ts";

/** Throws FillError with what is wrong with the document once it is filled in. */
export function taskOfStep(scene: Scene, planned: PlannedStep): TaskSpec {
  const { spec: { action } } = planned;
  switch (action.kind) {
    case "http":
      return fitting(requestTask(scene, planned, action));
    case "task":
      return fitting(containerTask(scene, planned, action));
    default:
      throw new Error(`step ${planned.id} is no task`);
  }
}

/** What was filled in may be as large as outputs are: the store would not take it, nor a sailor read it. */
function fitting(task: TaskSpec): TaskSpec {
  const text = JSON.stringify(task);
  // No UTF-16 unit takes more than three bytes.
  if (text.length * 3 <= SPEC_BYTES_MAX) return task;
  const bytes = byteLength(text);
  if (bytes <= SPEC_BYTES_MAX) return task;
  throw new FillError(
    `its task takes ${bytes} bytes once it is filled in; at most ${SPEC_BYTES_MAX} can be kept: pass large data on in a file or a volume`,
  );
}

function containerTask(
  scene: Scene,
  planned: PlannedStep,
  action: Extract<StepAction, { kind: "task" }>,
): TaskSpec {
  const step = scene.step!;
  const spec = parsed(scene, action);
  const secrets = secretsOf(scene, planned, spec);
  return {
    ...spec,
    name: stepTaskId(step.runId, step.step, step.instance, step.attempts),
    env: { ...environmentOf(scene), ...spec.env, ...ownVariables(scene) },
    labels: { ...spec.labels, "ormen.run": scene.run.id, "ormen.step": step.step },
    // The workflow's own retries say what follows a failure; two ways of retrying would multiply.
    restart: { kind: "no" },
    maxRestarts: 0,
    reschedule: false,
    ...(secrets.length > 0 ? { secrets } : {}),
    step: { script: action.script, capture: planned.captures },
  };
}

const parsedOnce = new WeakMap<StepAction, TaskSpec>();

function parsed(scene: Scene, action: Extract<StepAction, { kind: "task" }>): TaskSpec {
  const known = parsedOnce.get(action);
  if (known) return known;
  const isFixed = !hasExpression(JSON.stringify(action.task));
  const filled = isFixed ? action.task : fill(scene, action.task, "task") as Record<string, unknown>;
  const { script, files } = action;
  const document: Record<string, unknown> = { ...filled, name: "step" };
  if (script !== null && document.runtime === "process") document.entrypoint = script.shell;
  if (Object.keys(files).length > 0) document.files = { ...document.files as object, ...filesOf(files) };
  const result = taskDocument.safeParse(document);
  if (!result.success) {
    const { path, detail } = describeIssues(taskDocument, result.error.issues)[0];
    throw new FillError(`task.${path.join(".")}: ${detail}`);
  }
  if (isFixed) parsedOnce.set(action, result.data);
  return result.data;
}

function filesOf(files: Readonly<Record<string, StepFile>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(files).map(([path, file]) => {
      if ("from" in file) throw new FillError(`files: ${file.from} was not read into the document`);
      return [path, file];
    }),
  );
}

function secretsOf(scene: Scene, planned: PlannedStep, spec: TaskSpec): SecretUse[] {
  const uses = new Map<string, SecretUse>();
  for (const use of [...scene.plan.spec.secrets, ...planned.spec.secrets, ...spec.secrets ?? []]) {
    uses.set(use.name, use);
  }
  return [...uses.values()];
}

function ownVariables({ run, step }: Scene): Record<string, string> {
  return {
    ORMEN_RUN_ID: run.id,
    ORMEN_STEP: step!.step,
    ORMEN_ATTEMPT: String(step!.attempts),
    ...(step!.instance === null ? {} : { ORMEN_INSTANCE: String(step!.instance) }),
    ...(run.phase === "steps" ? {} : { ORMEN_FAILED_STEP: run.failedStep ?? "" }),
  };
}

const BARE = taskDocument.parse({ name: "step", image: "none" });

function requestTask(scene: Scene, planned: PlannedStep, action: Extract<StepAction, { kind: "http" }>): TaskSpec {
  const step = scene.step!;
  const headers = Object.entries(action.headers)
    .map(([name, text]) => [name, textOf(fillText(scene, text, `http.headers.${name}`))]);
  const url = textOf(fillText(scene, action.url, "http.url"));
  if (!/^https?:\/\/[^\s]+$/.test(url)) {
    throw new FillError(`http.url: ${JSON.stringify(url)} is no address that begins with http:// or https://`);
  }
  return {
    ...BARE,
    name: stepTaskId(step.runId, step.step, step.instance, step.attempts),
    image: "",
    runtime: "http",
    reschedule: false,
    labels: { "ormen.run": scene.run.id, "ormen.step": step.step },
    http: {
      url,
      method: action.method,
      headers: Object.fromEntries(headers),
      body: action.body === null ? null : textOf(fillText(scene, action.body, "http.body")),
      timeoutMs: planned.spec.timeoutMs,
    },
    step: { script: null, capture: true },
  };
}
