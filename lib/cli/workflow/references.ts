/** What the commands that ask about runs and workflows have in common. */
import type { RunView } from "../../messages/run_api.ts";
import { wrongUsage } from "../failure.ts";

export const RUN_ARGUMENT = "id of a run, the beginning of one, or a workflow's name: its newest run";

/** `test` or `test.1`, as events and logs name an instance. */
export interface StepReference {
  readonly step: string;
  readonly instance: number | null;
}

/** A step's own name holds no dot. */
export function stepReference(text: string): StepReference {
  const at = text.lastIndexOf(".");
  if (at < 0) return { step: text, instance: null };
  const number = text.slice(at + 1);
  if (!/^\d{1,6}$/.test(number)) {
    throw wrongUsage(`"${text}" is no step`, "write NAME, or NAME.2 for its third instance");
  }
  return { step: text.slice(0, at), instance: Number(number) };
}

/** Throws with the names that there are when `step` is none of them. */
export async function requireStep(run: RunView, step: string): Promise<void> {
  if (Object.hasOwn(run.steps, step)) return;
  const { didYouMean } = await import("../../core/documents/issues.ts");
  const { CommandFailure } = await import("../failure.ts");
  const names = Object.keys(run.steps);
  const meant = didYouMean(step, names);
  throw new CommandFailure(
    `run ${run.id} has no step "${step}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
    [
      `its steps are ${names.slice(0, 20).join(", ")}${names.length > 20 ? " ..." : ""}`,
    ],
  );
}
