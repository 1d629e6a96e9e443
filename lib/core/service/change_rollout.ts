/** How rollouts begin and end, and what people ask of them. */
import type { World } from "../decide.ts";
import type { UpdateSpec } from "../documents/service.ts";
import type { Draft } from "../draft.ts";
import type { EventKind } from "../event.ts";
import type { Input } from "../input.ts";
import { stageAfterPromotion } from "./plan_service.ts";
import type { RolloutRecord, RolloutState, ServiceRecord } from "./records.ts";
import { isRolloutFinal, revisionId, rolloutId } from "./records.ts";
import { activeRollout, newestStable, replicasOf, rolloutNowMs, wakingMonoMs } from "./scene.ts";

/** States that may follow; a final state is final (I6). */
const TRANSITIONS: Readonly<Record<RolloutState, readonly RolloutState[]>> = {
  running: ["waiting", "paused", "succeeded", "failed", "aborted", "superseded"],
  waiting: ["running", "paused", "failed", "aborted", "superseded"],
  paused: ["running", "waiting", "failed", "aborted", "superseded"],
  succeeded: [],
  failed: [],
  aborted: [],
  superseded: [],
};

/** Changes a rollout, and notes how far its clock is. A step that the table does not know is a defect and throws. */
export function putRollout(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  change: Partial<RolloutRecord>,
): RolloutRecord {
  const { monoMs, wallMs } = draft.context;
  const activeMs = rolloutNowMs(world, rollout, monoMs);
  const next: RolloutRecord = { ...rollout, ...change, activeMs, clockAtMs: wallMs };
  if (next.state !== rollout.state && !TRANSITIONS[rollout.state].includes(next.state)) {
    throw new Error(`rollout ${rollout.id} cannot go from ${rollout.state} to ${next.state}`);
  }
  const isOver = isRolloutFinal(next.state);
  if (isOver) world.memory.rolloutClocks.delete(rollout.id);
  else world.memory.rolloutClocks.set(rollout.id, wakingMonoMs(world, monoMs));
  draft.put("rollout", rollout.id, isOver && next.endedMs === null ? { ...next, endedMs: wallMs } : next);
  return world.state.rollouts.get(rollout.id)!;
}

export interface NewRollout {
  readonly to: number;
  readonly cause: RolloutRecord["cause"];
  readonly reverts?: number;
  readonly stepIds?: readonly string[];
}

/** Begins to bring a service to a revision; what rolls now is superseded. `service` as it is on record. */
export function startRollout(world: World, draft: Draft, service: ServiceRecord, given: NewRollout): RolloutRecord {
  const { state } = world;
  const number = service.rollout + 1;
  const id = rolloutId(service.name, number);
  const active = activeRollout(state, service);
  if (active) {
    endRollout(world, draft, active, "superseded", `rollout ${number} took its place`);
  }
  const update = given.cause === "revert" ? updateOfRevert(service.update) : service.update;
  const isStaged = update.strategy === "canary" || update.strategy === "blueGreen";
  const hasOthers = replicasOf(state, service.name).some(({ desired, replica }) =>
    desired === "run" && replica!.retireAtMs === null && replica!.revision !== given.to
  );
  const staged = isStaged && hasOthers;
  const rollout: RolloutRecord = {
    id,
    service: service.name,
    number,
    from: service.rollout === 0 ? null : service.revision,
    to: given.to,
    cause: given.cause,
    reverts: given.reverts ?? null,
    stepIds: given.stepIds ?? [],
    byRun: (given.stepIds ?? []).length > 0,
    update,
    state: "running",
    stage: staged ? "canaries" : "replacing",
    promoted: !staged,
    analysis: null,
    why: null,
    failedTask: null,
    activeMs: 0,
    clockAtMs: draft.context.wallMs,
    progressAtMs: 0,
    stageAtMs: 0,
    setbacks: 0,
    createdMs: draft.context.wallMs,
    endedMs: null,
  };
  draft.put("rollout", id, rollout);
  world.memory.rolloutClocks.set(id, wakingMonoMs(world, draft.context.monoMs));
  draft.put("service", service.name, {
    ...service,
    revision: given.to,
    rollout: number,
    held: null,
    updatedMs: draft.context.wallMs,
  });
  const from = rollout.from === null || rollout.from === rollout.to ? "" : `${rollout.from} -> `;
  const what = given.cause === "apply" ? update.strategy : given.cause;
  draft.event("rolloutStarted", `${service.name} revision ${from}${rollout.to}: rollout ${number} (${what})`, {
    service: service.name,
  });
  draft.follow.push({ kind: "lookAtService", name: service.name });
  return rollout;
}

/** Back to what is known to be good: nothing of it is tried out first. */
function updateOfRevert(update: UpdateSpec): UpdateSpec {
  return { ...update, strategy: "rolling", analysis: null };
}

const END_EVENTS: Readonly<Record<"succeeded" | "failed" | "aborted" | "superseded", EventKind>> = {
  succeeded: "rolloutSucceeded",
  failed: "rolloutFailed",
  aborted: "rolloutAborted",
  superseded: "rolloutSuperseded",
};

/** Ends it, and tells those who wait. What follows a failure is `failRollout`'s. */
export function endRollout(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  state: "succeeded" | "failed" | "aborted" | "superseded",
  why: string,
  failedTask: string | null = null,
): void {
  putRollout(world, draft, rollout, { state, why, failedTask });
  draft.event(
    END_EVENTS[state],
    `${rollout.service} revision ${rollout.to}: rollout ${rollout.number} ${state}: ${why}`,
    {
      service: rollout.service,
      ...(failedTask === null ? {} : { sailId: failedTask }),
    },
  );
  const measuring = world.state.sails.get(rollout.analysis?.taskId ?? "");
  if (measuring) draft.follow.push({ kind: "stop", sailId: measuring.id, graceMs: 0 });
  for (const stepId of rollout.stepIds) draft.follow.push({ kind: "rolloutEnded", stepId, rolloutId: rollout.id });
}

export function succeedRollout(world: World, draft: Draft, rollout: RolloutRecord, why: string): void {
  const { state } = world;
  endRollout(world, draft, rollout, "succeeded", why);
  const revision = state.revisions.get(revisionId(rollout.service, rollout.to));
  // Without a replica nothing was shown.
  const shown = replicasOf(state, rollout.service).some(({ replica }) =>
    replica!.revision === rollout.to && replica!.wasHealthy
  );
  if (revision && shown) draft.put("revision", revision.id, { ...revision, stableMs: draft.context.wallMs });
  draft.follow.push({ kind: "lookAtService", name: rollout.service });
}

/** Back to the newest stable revision, or held as it is. A revert is never reverted. */
export function failRollout(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  state: "failed" | "aborted",
  why: string,
  failedTask: string | null = null,
): void {
  endRollout(world, draft, rollout, state, why, failedTask);
  const service = world.state.services.get(rollout.service)!;
  const stable = newestStable(world.state, service.name, rollout.to);
  if (rollout.update.autoRevert && rollout.cause !== "revert" && stable) {
    startRollout(world, draft, service, { to: stable.number, cause: "revert", reverts: rollout.number });
    return;
  }
  const because = !rollout.update.autoRevert
    ? "autoRevert is off"
    : rollout.cause === "revert"
    ? "it was a revert itself"
    : "there is no stable revision to go back to";
  const held = `rollout ${rollout.number} ${state} (${why}); ${because}`;
  draft.put("service", service.name, { ...service, held, updatedMs: draft.context.wallMs });
  draft.event("rolloutPaused", `${service.name} is kept as it is: ${held}`, { service: service.name });
}

export type RolloutDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string };

export function decideChangeRollout(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "changeRollout" }>,
): void {
  draft.reply = changeAsked(world, draft, input);
}

function changeAsked(
  world: World,
  draft: Draft,
  { service: name, verb }: Extract<Input, { kind: "changeRollout" }>,
): RolloutDecision {
  const { state } = world;
  const service = state.services.get(name);
  if (!service) return { kind: "notFound", message: `no service ${name}` };
  const rollout = activeRollout(state, service);
  if (!rollout) return changeHeld(world, draft, service, verb);
  const about = { service: name };
  const what = `rollout ${rollout.number} of ${name}`;
  switch (verb) {
    case "pause":
      if (rollout.state === "paused") return { kind: "done", message: `${what} was paused already` };
      putRollout(world, draft, rollout, { state: "paused" });
      draft.event("rolloutPaused", `${what} is paused`, about);
      return { kind: "done", message: `${what} is paused` };
    case "resume":
      if (rollout.state !== "paused") return { kind: "done", message: `${what} goes on already` };
      putRollout(world, draft, rollout, { state: rollout.stage === "promotion" ? "waiting" : "running" });
      draft.event("rolloutResumed", `${what} goes on`, about);
      draft.follow.push({ kind: "lookAtService", name });
      return { kind: "done", message: `${what} goes on` };
    case "promote":
      return promote(world, draft, rollout, what);
    case "abort":
      failRollout(world, draft, rollout, "aborted", "somebody asked");
      return { kind: "done", message: `${what} is aborted` };
    default:
      return verb satisfies never;
  }
}

function promote(world: World, draft: Draft, rollout: RolloutRecord, what: string): RolloutDecision {
  if (rollout.stage !== "promotion") {
    const why = rollout.promoted
      ? "there is nothing to promote (any more)"
      : "its canaries are not healthy, or not measured, yet";
    return { kind: "conflict", message: `${what}: ${why}` };
  }
  const step = stageAfterPromotion(rollout);
  if (step.kind !== "stage") throw new Error(`rollout ${rollout.id} has no stage after its promotion`);
  enterStage(world, draft, rollout, { state: "running", stage: step.stage, promoted: true });
  draft.event("rolloutPromoted", `${what} is promoted`, { service: rollout.service });
  draft.follow.push({ kind: "lookAtService", name: rollout.service });
  return { kind: "done", message: `${what} is promoted` };
}

/** Whatever is waited for next has its whole time. */
export function enterStage(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  change: Pick<RolloutRecord, "stage"> & Partial<RolloutRecord>,
): RolloutRecord {
  const nowMs = rolloutNowMs(world, rollout, draft.context.monoMs);
  return putRollout(world, draft, rollout, { ...change, stageAtMs: nowMs, progressAtMs: nowMs });
}

function changeHeld(
  world: World,
  draft: Draft,
  service: ServiceRecord,
  verb: Extract<Input, { kind: "changeRollout" }>["verb"],
): RolloutDecision {
  if (service.rollout === 0) return { kind: "conflict", message: `${service.name} has had no rollout yet` };
  if (verb === "resume" && service.held !== null) {
    const { number } = startRollout(world, draft, service, { to: service.revision, cause: "resume" });
    return { kind: "done", message: `rollout ${number} of ${service.name} tries revision ${service.revision} again` };
  }
  const last = world.state.rollouts.get(rolloutId(service.name, service.rollout));
  const how = last ? ` (rollout ${last.number} ${last.state})` : "";
  return { kind: "conflict", message: `no rollout of ${service.name} is under way${how}` };
}
