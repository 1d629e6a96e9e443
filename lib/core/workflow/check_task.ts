/**
 * Whether the task document inside a step is one. It is judged as far as it is fixed: what `${{ }}` stands in is judged
 * when it is filled in.
 */
import { byteLength, SPEC_BYTES_MAX, taskDocument } from "../documents/task.ts";
import type { StepAction } from "../documents/workflow.ts";
import { judgeUnfilled, sampleOf } from "./judge_unfilled.ts";
import type { Report } from "./problems.ts";
import { mapTexts } from "./template.ts";
import type { Path } from "./texts.ts";

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
  const spec = judgeUnfilled(
    taskDocument,
    mapTexts(whole, sampleOf) as Record<string, unknown>,
    whole,
    (path, detail) => {
      const inFiles = path[0] === "files" && (path.length === 1 ? carried.length > 0 : Object.hasOwn(files, path[1]));
      const isMissing = path.length === 1 && path[0] === "image" && !Object.hasOwn(task, "image");
      report({
        path: [...at, ...(inFiles ? [] : ["task"]), ...(isMissing ? [] : path)],
        rule: detail.startsWith("unknown key") ? "unknownKey" : "task",
        detail: /^unknown key/.test(detail) || path.length === 0 ? detail : `${path.map(String).join(".")}: ${detail}`,
      });
    },
  );
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
