/**
 * Whether the task document inside a step is one. It is judged as far as it is fixed: what `${{ }}` stands in is judged
 * when it is filled in.
 */
import { describeIssues } from "../documents/issues.ts";
import { byteLength, SPEC_BYTES_MAX, taskDocument } from "../documents/task.ts";
import type { TaskSpec } from "../documents/task.ts";
import type { StepAction } from "../documents/workflow.ts";
import type { Report } from "./problems.ts";
import { valueAt } from "./problems.ts";
import type { Path } from "./texts.ts";
import { hasExpression, parseTemplate } from "./template.ts";

type TaskAction = Extract<StepAction, { readonly kind: "task" }>;

export function checkTask(action: TaskAction, at: Path, report: Report): void {
  const { task, script, files } = action;
  const own = (typeof task.files === "object" ? task.files ?? {} : {}) as Record<string, unknown>;
  for (const path of Object.keys(files)) {
    if (!Object.hasOwn(own, path)) continue;
    report({ path: [...at, "files", path], rule: "duplicateFile", detail: `${path} stands in \`task.files\` too` });
  }
  for (const [path, file] of Object.entries(files)) {
    if (!("from" in file)) continue;
    const detail = `${file.from} was not read into the document; the command line does that for files beside it`;
    report({ path: [...at, "files", path], rule: "unreadFile", detail });
  }
  checkTakenOver(action, at, report);
  const whole: Record<string, unknown> = { ...task, name: "step" };
  const carried = Object.entries(files).filter(([, file]) => !("from" in file));
  if (carried.length > 0) whole.files = { ...own, ...Object.fromEntries(carried) };
  if (script !== null && whole.runtime === "process") whole.entrypoint = script.shell;
  const spec = judge(whole, task, (path, detail) => {
    const inFiles = path[0] === "files" && (path.length === 1 ? carried.length > 0 : Object.hasOwn(files, path[1]));
    const isMissing = path.length === 1 && path[0] === "image" && !Object.hasOwn(task, "image");
    report({
      path: [...at, ...(inFiles ? [] : ["task"]), ...(isMissing ? [] : path)],
      rule: detail.startsWith("unknown key") ? "unknownKey" : "task",
      detail: /^unknown key/.test(detail) || path.length === 0 ? detail : `${path.map(String).join(".")}: ${detail}`,
    });
  });
  if (!spec || script === null) return;
  const bytes = byteLength(JSON.stringify(spec)) + byteLength(JSON.stringify(script));
  if (bytes <= SPEC_BYTES_MAX) return;
  const detail = `the step takes ${bytes} bytes with its script and files; at most ${SPEC_BYTES_MAX} can be kept`;
  report({ path: [...at, "run"], rule: "tooLarge", detail });
}

/** Keys of a task that mean nothing in a step, since the workflow itself sees to what they say. */
function checkTakenOver({ task, script }: TaskAction, at: Path, report: Report): void {
  const say = (key: string, detail: string) => report({ path: [...at, "task", key], rule: "takenOver", detail });
  if (task.restart !== undefined && task.restart !== "no") {
    say("restart", "a step's container is not restarted; write `retry` on the step");
  }
  if (task.maxRestarts !== undefined && task.maxRestarts !== 0) {
    say("maxRestarts", "a step's container is not restarted when it is unhealthy; write `retry` on the step");
  }
  if (task.reschedule !== undefined && task.reschedule !== false) {
    say("reschedule", "a step is not placed anew by its task; write `onNodeLost: retry` on the step");
  }
  if (script === null) return;
  for (const key of ["cmd", "entrypoint"]) {
    if (task[key] !== undefined) say(key, `\`run\` stands in its place: leave \`${key}\` or \`run\` out`);
  }
}

/** The parsed task, if all of it can be judged; problems of parts that are filled in later are passed over. */
function judge(
  whole: Readonly<Record<string, unknown>>,
  task: Readonly<Record<string, unknown>>,
  problem: (path: readonly PropertyKey[], detail: string) => void,
): TaskSpec | undefined {
  const sample = withSamples(whole) as Record<string, unknown>;
  const result = taskDocument.safeParse(sample);
  if (result.success) return isFixed(whole) ? result.data : undefined;
  const later = new Set<string>();
  let isFaulty = false;
  for (const { path, detail } of describeIssues(taskDocument, result.error.issues)) {
    const holds = !isFixed(valueAt(task, path) ?? (path.length === 0 ? task : null));
    if (holds && path.length > 0) later.add(String(path[0]));
    else if (!holds) {
      isFaulty = true;
      problem(path, detail);
    }
  }
  if (isFaulty || later.size === 0) return undefined;
  // The rest, which a part that cannot be judged yet kept from being looked at.
  const rest = Object.fromEntries(Object.entries(sample).filter(([key]) => !later.has(key)));
  const again = taskDocument.safeParse(rest);
  if (again.success) return undefined;
  for (const { path, detail } of describeIssues(taskDocument, again.error.issues)) {
    if (!later.has(String(path[0])) && isFixed(valueAt(task, path) ?? null)) problem(path, detail);
  }
  return undefined;
}

function isFixed(value: unknown): boolean {
  if (typeof value === "string") return !hasExpression(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isFixed);
}

/** Each `${{ }}` as `1`, which most texts, names, numbers and sizes may hold. */
function withSamples(value: unknown): unknown {
  if (typeof value === "string") {
    const template = hasExpression(value) ? parseTemplate(value) : undefined;
    if (template?.kind !== "template") return value;
    return template.parts.map((part) => part.kind === "text" ? part.text : "1").join("");
  }
  if (Array.isArray(value)) return value.map(withSamples);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withSamples(each)]));
}
