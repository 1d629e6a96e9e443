/** What the commands that ask about runs and workflows have in common. */
import type { RunView } from "../../messages/run_api.ts";
import { CommandFailure, wrongUsage } from "../failure.ts";

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

/** The failure that names the step that was probably meant, and those that there are. `whose` such as `run deploy-7f3a`. */
export async function unknownStep(whose: string, step: string, names: readonly string[]): Promise<CommandFailure> {
  const { didYouMean } = await import("../../core/documents/issues.ts");
  const meant = didYouMean(step, names);
  const suggestion = meant === undefined ? "" : `; did you mean "${meant}"?`;
  const shown = names.slice(0, STEPS_SHOWN).join(", ");
  return new CommandFailure(`${whose} has no step "${step}"${suggestion}`, [
    `its steps are ${shown}${names.length > STEPS_SHOWN ? " ..." : ""}`,
  ]);
}

const STEPS_SHOWN = 20;

export async function requireStep(run: RunView, step: string): Promise<void> {
  if (!Object.hasOwn(run.steps, step)) throw await unknownStep(`run ${run.id}`, step, Object.keys(run.steps));
}
