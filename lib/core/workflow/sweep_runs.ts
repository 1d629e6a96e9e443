/** Runs that ended go after their time, with their steps; so do definitions that nothing refers to any more. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { State } from "../state.ts";
import { deleteOutputs } from "./outputs.ts";

/** Records of ended runs deleted in one write. */
const RECORDS_PER_PIECE = 200;
const DEFINITIONS_PER_PIECE = 50;
/** Records of steps that are kept; the oldest runs go first. */
const STEPS_KEPT_MAX = 200_000;
/** One that was sent for a run which has not come. */
const UNUSED_FOR_MS = 3_600_000;

/** True when there is more to be done. */
export function sweepRuns(world: World, draft: Draft): boolean {
  return sweepEnded(world, draft) || sweepDefinitions(world, draft);
}

function sweepEnded({ state, settings }: World, draft: Draft): boolean {
  const oldestMs = draft.context.wallMs - settings.keepEndedMs;
  const needed = neededByOthers(state);
  const ended = [...state.endedRuns].sort((a, b) => state.runs.get(a)!.endedMs! - state.runs.get(b)!.endedMs!);
  let left = ended.length;
  for (const id of ended) {
    const run = state.runs.get(id)!;
    const isKept = left <= settings.keepEndedMax && run.endedMs! >= oldestMs && state.steps.size <= STEPS_KEPT_MAX;
    if (isKept) return false;
    if (needed.has(id)) continue;
    for (const stepId of [...state.stepsByRun.get(id) ?? []]) {
      if (draft.changes.length >= RECORDS_PER_PIECE) return true;
      deleteOutputs(draft, state.steps.get(stepId)!);
      draft.delete("step", stepId);
    }
    deleteOutputs(draft, run);
    draft.delete("run", id);
    left--;
    if (draft.changes.length >= RECORDS_PER_PIECE) return true;
  }
  return false;
}

/** A run that takes over what another did still reads it; a parent tells what its sub-workflow gave. */
function neededByOthers(state: State): ReadonlySet<string> {
  const needed = new Set<string>();
  for (const id of state.activeRuns) {
    const { cause } = state.runs.get(id)!;
    if (cause.kind === "resume") needed.add(cause.runId);
    for (const stepId of state.stepsByRun.get(id) ?? []) {
      const child = state.steps.get(stepId)!.childRunId;
      if (child !== null) needed.add(child);
    }
  }
  return needed;
}

function sweepDefinitions({ state }: World, draft: Draft): boolean {
  const used = new Set<string>();
  for (const run of state.runs.values()) used.add(run.definition);
  for (const { versions } of state.workflows.values()) for (const { hash } of versions) used.add(hash);
  let deleted = 0;
  for (const [id, { hash, createdMs }] of state.definitions) {
    if (used.has(hash) || draft.context.wallMs - createdMs < UNUSED_FOR_MS) continue;
    if (++deleted > DEFINITIONS_PER_PIECE) return true;
    draft.delete("definition", id);
  }
  return false;
}
