/** What is not yet as it should be of services, once faults have stopped. */
import { isRolloutFinal, rolloutId } from "../../../lib/core/service/records.ts";
import type { Phase, Unsettled } from "../convergence.ts";
import type { World } from "../world.ts";
import { isStaying, replicas, wantedSlots } from "./invariants.ts";

/** `run`: every rollout has ended, and what is not held has one replica of its revision in each slot. Later: nothing is left. */
export function unsettledServices({ truth }: World, phase: Phase): Unsettled[] {
  const left: Unsettled[] = [];
  for (const service of truth.services.services.values()) {
    const { name } = service;
    const about = [name, ...replicas(truth, name).map(({ id }) => id)];
    if (phase !== "run") {
      left.push({ what: `service ${name} is not gone`, about });
      continue;
    }
    if (service.removing) {
      left.push({ what: `service ${name} is being removed`, about });
      continue;
    }
    const rollout = truth.services.rollouts.get(rolloutId(name, service.rollout));
    if (rollout && !isRolloutFinal(rollout.state)) {
      left.push({
        what: `rollout ${rollout.id} is ${rollout.state} (${rollout.stage})`,
        about: [rollout.id, ...about],
      });
      continue;
    }
    if (service.held !== null) continue;
    for (const slot of wantedSlots(truth, service)) {
      const staying = replicas(truth, name).filter((sail) => sail.replica!.slot === slot && isStaying(sail));
      // One that finds no node leaves what was there before where it is.
      if (staying.some(({ state }) => state === "pending")) continue;
      const isOne = staying.length === 1 && staying[0].replica!.revision === service.revision;
      if (isOne || staying.some((sail) => isDisplaced(truth, sail.currentAttemptId))) continue;
      const seen = staying.map(({ id, state }) => `${id} ${state}`).join(", ") || "nothing";
      left.push({ what: `slot ${slot} of ${name}, revision ${service.revision}, has ${seen}`, about });
    }
  }
  return left;
}

function isDisplaced({ attempts, masts }: World["truth"], attemptId: string | null): boolean {
  const attempt = attempts.get(attemptId ?? "");
  return attempt !== undefined && masts.get(attempt.nodeId)?.eligibility !== "eligible";
}
