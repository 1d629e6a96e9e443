/** The `rollout:` step: an apply of a service, and the wait for what comes of it. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { addressesOf } from "../service/addresses.ts";
import { applyService } from "../service/decide_service.ts";
import type { RolloutRecord } from "../service/records.ts";
import { isRolloutFinal, rolloutId } from "../service/records.ts";
import { endAttempt } from "./attempt_end.ts";
import { putStep } from "./changes.ts";
import type { Value } from "./expression.ts";
import { fillRollout, serviceOfStep } from "./service_of_step.ts";
import type { StepRecord } from "./records.ts";
import type { Scene } from "./values.ts";
import { FillError } from "./values.ts";

/** Throws FillError when the document, once it is filled in, is none of a service, or cannot be applied. */
export function startRolloutOf(
  world: World,
  draft: Draft,
  scene: Scene,
  step: StepRecord,
  written: Readonly<Record<string, unknown>>,
): void {
  const { timeoutMs } = scene.plan.byId.get(step.step)!.spec;
  const made = serviceOfStep(fillRollout(scene, written));
  if (made.kind === "problem") throw new FillError(made.detail);
  const { spec } = made;
  const applied = applyService(world, draft, spec, step.id);
  if (applied.kind !== "applied") throw new FillError(`rollout: ${applied.message}`);
  const id = applied.rollout === null ? undefined : rolloutId(spec.name, applied.rollout);
  const { rolloutId: _before, ...rest } = step;
  const begun = putStep(draft, { ...rest, ...(id === undefined ? {} : { rolloutId: id }) }, {
    state: "running",
    started: true,
    deadlineMs: timeoutMs === null ? null : draft.context.wallMs + timeoutMs,
  });
  // It is as it should be, and nothing rolls.
  if (id === undefined) succeed(world, draft, begun, spec.name);
}

export function decideRolloutEnded(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "rolloutEnded" }>,
): void {
  const step = world.state.steps.get(input.stepId);
  const rollout = world.state.rollouts.get(input.rolloutId);
  if (!step || !rollout || step.rolloutId !== rollout.id || step.state !== "running") return;
  if (!isRolloutFinal(rollout.state)) return;
  if (rollout.state === "succeeded") return succeed(world, draft, step, rollout.service);
  endAttempt(world, draft, step, {
    outcome: "failed",
    error: describeEnd(rollout),
    exitCode: null,
    result: null,
    retry: rollout.state === "failed",
  });
}

function describeEnd({ id, to, state, why }: RolloutRecord): string {
  return `rollout ${id} to revision ${to} ${state}${why === null ? "" : `: ${why}`}`;
}

function succeed(world: World, draft: Draft, step: StepRecord, service: string): void {
  const { state } = world;
  const addresses = addressesOf(state, service).map(({ address }) => address);
  const outputs: Record<string, Value> = {
    revision: state.services.get(service)?.revision ?? 0,
    addresses,
    address: addresses[0] ?? "",
  };
  const healthy = putStep(draft, step, { healthy: true });
  endAttempt(world, draft, healthy, {
    ...{ outcome: "succeeded", error: null, exitCode: null, result: null, retry: false },
    outputs,
  });
}
