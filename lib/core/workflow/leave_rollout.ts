/** A step lets go of the rollout that it waits for. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import { failRollout } from "../service/change_rollout.ts";
import { isRolloutFinal } from "../service/records.ts";
import type { StepRecord } from "./records.ts";
import { isStepFinal } from "./records.ts";

/** Its run goes on without it: a rollout that nobody else waits for is aborted, and reverts where it says so. */
export function leaveRollout(world: World, draft: Draft, step: StepRecord): void {
  const rollout = world.state.rollouts.get(step.rolloutId ?? "");
  if (!rollout || isRolloutFinal(rollout.state) || isStepFinal(step.state)) return;
  const stepIds = rollout.stepIds.filter((id) => id !== step.id);
  draft.put("rollout", rollout.id, { ...rollout, stepIds });
  if (stepIds.length > 0 || !rollout.byRun) return;
  failRollout(world, draft, world.state.rollouts.get(rollout.id)!, "aborted", `run ${step.runId} was ended`);
}
