/**
 * What is to be done for a service now: which replicas are started and retired, and how its rollout goes on. Pure, over one
 * look at it (scene.ts), and level-triggered: once what it says is done, it says nothing more until something happens.
 *
 * 1. A healthy replica is retired only when its slot has a healthy successor, or when `maxUnavailable` allows it (I8).
 * 2. Only replicas that the rollout itself started can make it fail.
 * 3. Whatever is waited for has a deadline.
 */
import type { UpdateSpec } from "../documents/service.ts";
import { amountOf } from "../documents/service.ts";
import { formatDuration } from "../documents/units.ts";
import type { RolloutRecord, RolloutStage } from "./records.ts";
import { replicaName } from "./records.ts";
import { replaceIn, slotsOf } from "./replace.ts";
import type { SlotView } from "./replace.ts";
import type { Replica, ServiceScene } from "./scene.ts";

export interface StartReplica {
  readonly slot: number;
  readonly revision: number;
  /** The rollout that it is of; 0: none. */
  readonly rollout: number;
}

export type RolloutStep =
  | { readonly kind: "stage"; readonly stage: RolloutStage; readonly promoted?: boolean }
  /** The next measurement is due. */
  | { readonly kind: "measure" }
  | { readonly kind: "succeed"; readonly why: string }
  | { readonly kind: "fail"; readonly why: string; readonly taskId: string | null };

export interface ServicePlan {
  readonly start: readonly StartReplica[];
  readonly retire: readonly string[];
  /** Null: the rollout stays where it is, or there is none. */
  readonly step: RolloutStep | null;
}

/** How often all replicas may be healthy and one of them not for long. */
const SETBACKS_MAX = 10;

const NOTHING: ServicePlan = { start: [], retire: [], step: null };

export function planService(scene: ServiceScene): ServicePlan {
  const staying = scene.replicas.filter(({ leaving }) => !leaving);
  if (scene.removing) return { ...NOTHING, retire: staying.map(({ taskId }) => taskId) };
  const wanted = new Set(scene.slots);
  const surplus = staying.filter(({ slot }) => !wanted.has(slot)).map(({ taskId }) => taskId);
  const plan = planSlots(scene);
  return { ...plan, retire: [...surplus, ...plan.retire] };
}

function planSlots(scene: ServiceScene): ServicePlan {
  const { rollout } = scene;
  if (!rollout) return scene.held ? keepAsIs(scene, scene.stable ?? scene.revision) : converge(scene);
  const failure = failureOf(scene, rollout);
  if (failure) return { ...NOTHING, step: failure };
  if (rollout.state === "paused") return keepAsIs(scene, rollout.from ?? rollout.to);
  return carryOn(scene, rollout);
}

/** Between rollouts: every slot has one replica of the wanted revision. */
function converge(scene: ServiceScene): ServicePlan {
  const slots = slotsOf(scene, scene.revision, (replica) => replica.revision === scene.revision);
  const { start, retire } = replaceIn(slots, {
    ...FIRM,
    maxParallel: amountOf(scene.update.maxParallel, slots.length, "up"),
  });
  return { start: start.map((slot) => ({ slot, revision: scene.revision, rollout: 0 })), retire, step: null };
}

/** What is left over, or whose node is to be free, is replaced before it goes. */
const FIRM = { order: "start-first", maxUnavailable: 0 } as const;

/** Nothing is replaced by another revision; an empty slot is filled, and what has to leave its node gets a successor first. */
function keepAsIs(scene: ServiceScene, revision: number): ServicePlan {
  const start: StartReplica[] = [];
  const retire: string[] = [];
  for (const slot of slotsOf(scene, revision, () => true)) {
    const all = [...slot.current, ...slot.old];
    const home = all.filter(({ displaced }) => !displaced);
    if (all.length === 0) start.push({ slot: slot.slot, revision, rollout: 0 });
    else if (home.length === 0) start.push({ slot: slot.slot, revision: all[0].revision, rollout: 0 });
    else if (home.some(isHealthy)) {
      for (const replica of all) if (replica.displaced) retire.push(replica.taskId);
    }
  }
  return { start, retire, step: null };
}

export function isHealthy({ phase }: Replica): boolean {
  return phase === "healthy";
}

/** Started by the rollout itself, and wanted. */
function isJudged(rollout: RolloutRecord): (replica: Replica) => boolean {
  return (replica) => !replica.leaving && replica.rollout === rollout.number && replica.revision === rollout.to;
}

function failureOf(scene: ServiceScene, rollout: RolloutRecord): RolloutStep | null {
  const { update } = rollout;
  const { nowMs } = scene;
  const wanted = new Set(scene.slots);
  for (const replica of scene.replicas.filter(isJudged(rollout))) {
    if (!wanted.has(replica.slot)) continue;
    const fail = (why: string): RolloutStep => ({ kind: "fail", why, taskId: replica.taskId });
    const who = `slot ${replica.slot} of revision ${replica.revision}`;
    const because = replica.why === null ? "" : `: ${replica.why}`;
    if (replica.failure !== null) return fail(`${who} failed: ${replica.failure}`);
    if (rollout.state === "paused" || replica.displaced) continue;
    const late = replica.phase === "starting" && replica.placedAtMs !== null &&
      nowMs - replica.placedAtMs >= update.healthyDeadlineMs;
    if (late) return fail(`${who} was not healthy within ${formatDuration(update.healthyDeadlineMs)}${because}`);
    if (rollout.stage === "monitor" && replica.wasHealthy && replica.phase === "starting") {
      return fail(`${who} did not stay healthy${because}`);
    }
  }
  return rollout.state === "paused" ? null : overdue(scene, rollout);
}

/** Whoever waits, waits for something: a replica, an analysis, a person. */
function overdue(scene: ServiceScene, rollout: RolloutRecord): RolloutStep | null {
  const { update } = rollout;
  const { nowMs } = scene;
  const limitMs = deadlineMs(rollout);
  if (limitMs === null || nowMs < limitMs) return null;
  if (rollout.stage === "promotion") {
    return { kind: "fail", why: `nobody promoted it within ${formatDuration(update.promoteDeadlineMs)}`, taskId: null };
  }
  if (rollout.stage === "analysis") return { kind: "fail", why: "its analysis did not come to an end", taskId: null };
  const waiting = scene.replicas.find((r) => isJudged(rollout)(r) && !isHealthy(r));
  const who = waiting ? `: ${replicaName({ ...waiting, service: scene.name })} is ${waiting.phase}` : "";
  const because = waiting?.why ? ` (${waiting.why})` : "";
  return {
    kind: "fail",
    why: `no replica became healthy for ${formatDuration(update.progressDeadlineMs)}${who}${because}`,
    taskId: waiting?.taskId ?? null,
  };
}

/** On the rollout's clock, when what its stage waits for must have come; null: its end is certain without. */
export function deadlineMs({ stage, update, stageAtMs, progressAtMs }: RolloutRecord): number | null {
  switch (stage) {
    case "canaries":
    case "replacing":
      return progressAtMs + update.progressDeadlineMs;
    case "analysis": {
      const { count, intervalMs, http } = update.analysis!;
      return stageAtMs + count * (intervalMs + http.timeoutMs) + update.progressDeadlineMs;
    }
    case "promotion":
      return stageAtMs + update.promoteDeadlineMs;
    case "monitor":
      return null;
    default:
      return stage satisfies never;
  }
}

function carryOn(scene: ServiceScene, rollout: RolloutRecord): ServicePlan {
  const slots = slotsOf(scene, rollout.to, (replica) => isOf(rollout, replica));
  switch (rollout.stage) {
    case "canaries":
      return startCanaries(rollout, slots);
    case "analysis":
      return analyse(scene, rollout, slots);
    case "promotion":
      return rollout.update.autoPromote || slots.length === 0
        ? { ...NOTHING, step: promotion(rollout) }
        : { ...keepCanaries(rollout, slots), step: null };
    case "replacing":
      return replace(rollout, slots);
    case "monitor":
      return monitor(scene, rollout, slots);
    default:
      return rollout.stage satisfies never;
  }
}

/** Replicas of the revision that never came up belong to a rollout that is over: this one tries by itself. */
function isOf(rollout: RolloutRecord, replica: Replica): boolean {
  return replica.revision === rollout.to && (replica.rollout === rollout.number || replica.wasHealthy);
}

/** How many of the slots get a replica of the new revision before the others. */
export function canariesOf({ strategy, canary }: UpdateSpec, desired: number): number {
  return strategy === "blueGreen" ? desired : Math.min(amountOf(canary, desired, "up"), desired);
}

function startCanaries(rollout: RolloutRecord, slots: readonly SlotView[]): ServicePlan {
  const plan = keepCanaries(rollout, slots);
  const first = slots.slice(0, canariesOf(rollout.update, slots.length));
  if (!first.every(hasHealthy)) return plan;
  const stage = rollout.update.analysis ? "analysis" : "promotion";
  return { ...plan, step: { kind: "stage", stage } };
}

/** The first slots have the new revision beside the old one, or in its place; the others keep what they have. */
function keepCanaries(rollout: RolloutRecord, slots: readonly SlotView[]): ServicePlan {
  const { update } = rollout;
  const count = canariesOf(update, slots.length);
  const start: StartReplica[] = [];
  const retire: string[] = [];
  const own = { revision: rollout.to, rollout: rollout.number };
  const inPlace = update.order === "stop-first" && update.strategy === "canary";
  const first = slots.slice(0, count);
  if (inPlace) {
    const replaced = replaceIn(first, { ...limitsOf(update, slots.length), among: slots });
    start.push(...replaced.start.map((slot) => ({ slot, ...own })));
    retire.push(...replaced.retire);
  } else {
    for (const { slot, current, stale } of first) {
      if (current.length === 0) start.push({ slot, ...own });
      retire.push(...stale);
    }
  }
  for (const { slot, current, old, stale } of slots.slice(count)) {
    if (current.length + old.length === 0) start.push({ slot, revision: rollout.from ?? rollout.to, rollout: 0 });
    retire.push(...stale);
  }
  return { start, retire, step: null };
}

export function hasHealthy({ current }: SlotView): boolean {
  return current.some(isHealthy);
}

function promotion({ update }: RolloutRecord): RolloutStep {
  return update.strategy === "blueGreen"
    ? { kind: "stage", stage: "monitor", promoted: true }
    : { kind: "stage", stage: "replacing", promoted: true };
}

/** The stage that follows a promotion by a person. */
export const stageAfterPromotion = promotion;

function analyse(scene: ServiceScene, rollout: RolloutRecord, slots: readonly SlotView[]): ServicePlan {
  const plan = rollout.promoted ? withoutStep(replace(rollout, slots)) : keepCanaries(rollout, slots);
  const spec = rollout.update.analysis!;
  const { analysis } = rollout;
  const failed = analysis?.failed ?? 0;
  if (failed > spec.failureLimit) {
    const why = `${failed} of ${analysis!.done} measurements failed: ${analysis!.lastFailure}`;
    return { ...plan, step: { kind: "fail", why, taskId: null } };
  }
  if (analysis && analysis.done >= spec.count) {
    return { ...plan, step: { kind: "stage", stage: rollout.promoted ? "monitor" : "promotion" } };
  }
  const due = analysis === null || (analysis.taskId === null && scene.nowMs >= analysis.nextAtMs);
  const someone = slots.some(hasHealthy);
  return { ...plan, step: due && someone ? { kind: "measure" } : null };
}

function withoutStep(plan: ServicePlan): ServicePlan {
  return { ...plan, step: null };
}

function replace(rollout: RolloutRecord, slots: readonly SlotView[]): ServicePlan {
  const { update } = rollout;
  const { start, retire } = update.strategy === "blueGreen"
    ? { start: slots.filter(({ current }) => current.length === 0).map(({ slot }) => slot), retire: [] }
    : replaceIn(slots, { ...limitsOf(update, slots.length), atOnce: update.strategy === "recreate" });
  const isDone = slots.every(hasHealthy) && start.length === 0 && retire.length === 0 &&
    (update.strategy === "blueGreen" || slots.every(({ old, current }) => old.length === 0 && current.length === 1));
  return {
    start: start.map((slot) => ({ slot, revision: rollout.to, rollout: rollout.number })),
    retire,
    step: isDone ? { kind: "stage", stage: nextAfterReplacing(rollout) } : null,
  };
}

/** What was not measured before it was promoted is measured now. */
function nextAfterReplacing({ update, analysis }: RolloutRecord): RolloutStage {
  return update.analysis && (analysis?.done ?? 0) < update.analysis.count ? "analysis" : "monitor";
}

function monitor(scene: ServiceScene, rollout: RolloutRecord, slots: readonly SlotView[]): ServicePlan {
  if (!slots.every(hasHealthy)) {
    // A replica whose node is lost is none of the rollout's failures; it is waited for anew, but not for ever.
    return rollout.setbacks < SETBACKS_MAX ? { ...NOTHING, step: { kind: "stage", stage: "replacing" } } : {
      ...NOTHING,
      step: { kind: "fail", why: `it was healthy ${SETBACKS_MAX} times, and did not stay so`, taskId: null },
    };
  }
  if (scene.nowMs - rollout.stageAtMs < rollout.update.monitorMs) return NOTHING;
  const count = slots.length;
  return { ...NOTHING, step: { kind: "succeed", why: `${count} of ${count} healthy` } };
}

function limitsOf(update: UpdateSpec, desired: number) {
  return {
    order: update.order,
    maxParallel: amountOf(update.maxParallel, desired, "up"),
    maxUnavailable: Math.max(update.order === "stop-first" ? 1 : 0, amountOf(update.maxUnavailable, desired, "down")),
  };
}
