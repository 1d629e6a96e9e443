/** What people ask of services: to be there in a revision, in a number, again as before, or not at all. */
import type { World } from "../decide.ts";
import type { ServiceSpec } from "../documents/service.ts";
import type { TaskSpec } from "../documents/task.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { missingSecret } from "../secret.ts";
import type { State } from "../state.ts";
import { endRollout, startRollout } from "./change_rollout.ts";
import type { RevisionRecord, ServiceRecord } from "./records.ts";
import { revisionId, REVISIONS_KEPT, rolloutId, ROLLOUTS_KEPT } from "./records.ts";
import { activeRollout, newestStable, replicasOf } from "./scene.ts";

export type ServiceChange = "created" | "updated" | "scaled" | "settings" | "unchanged";

export type ServiceDecision =
  | { readonly kind: "applied"; readonly change: ServiceChange; readonly rollout: number | null }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string };

export const SERVICES_MAX = 1_000;

export function decideApplyService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "applyService" }>,
): void {
  draft.reply = applyService(world, draft, input.spec);
}

/** `stepId`: the step of a workflow that waits for what comes of it. */
export function applyService(
  world: World,
  draft: Draft,
  spec: ServiceSpec,
  stepId: string | null = null,
): ServiceDecision {
  const { state } = world;
  const before = state.services.get(spec.name);
  const refusal = whyNotApplied(state, before, spec);
  if (refusal !== null) return { kind: "conflict", message: refusal };
  const stepIds = stepId === null ? [] : [stepId];
  if (!before) {
    const made = create(draft, spec);
    return rolled(world, draft, made, spec, "created", stepIds);
  }
  const change = changeOf(state, before, spec);
  if (change === "unchanged" && before.held === null) {
    return { kind: "applied", change, rollout: awaited(world, draft, before, stepId) };
  }
  const service: ServiceRecord = {
    ...before,
    replicas: spec.replicas,
    update: spec.update,
    notes: spec.notes,
    updatedMs: draft.context.wallMs,
  };
  draft.put("service", service.name, service);
  if (change === "updated") return rolled(world, draft, service, spec, change, stepIds);
  tellScaled(draft, before, service);
  draft.follow.push({ kind: "lookAtService", name: service.name });
  if (before.held !== null) {
    const { number } = startRollout(world, draft, service, { to: service.revision, cause: "resume", stepIds });
    return { kind: "applied", change, rollout: number };
  }
  return { kind: "applied", change, rollout: awaited(world, draft, service, stepId) };
}

function whyNotApplied(state: State, before: ServiceRecord | undefined, spec: ServiceSpec): string | null {
  if (before?.removing) return `service ${spec.name} is being removed; apply it again once it is gone`;
  if (before && before.mode !== spec.mode) {
    return `service ${spec.name} is ${before.mode}; remove it first, or give the ${spec.mode} one another name`;
  }
  if (!before && state.services.size >= SERVICES_MAX) return `there are ${SERVICES_MAX} services already; remove some`;
  return missingSecret(state, spec.task) ?? null;
}

/** What is under way already is waited for, where somebody waits. */
function awaited(world: World, draft: Draft, service: ServiceRecord, stepId: string | null): number | null {
  const active = activeRollout(world.state, service);
  if (!active) return null;
  if (stepId !== null) draft.put("rollout", active.id, { ...active, stepIds: [...active.stepIds, stepId] });
  return active.number;
}

function create(draft: Draft, spec: ServiceSpec): ServiceRecord {
  const { wallMs } = draft.context;
  const service: ServiceRecord = {
    name: spec.name,
    mode: spec.mode,
    replicas: spec.replicas,
    update: spec.update,
    revision: 0,
    newestRevision: 0,
    rollout: 0,
    held: null,
    serial: 0,
    nodeSlots: {},
    removing: false,
    notes: spec.notes,
    createdMs: wallMs,
    updatedMs: wallMs,
  };
  draft.put("service", service.name, service);
  return service;
}

function rolled(
  world: World,
  draft: Draft,
  service: ServiceRecord,
  spec: Pick<ServiceSpec, "task" | "spread">,
  change: ServiceChange,
  stepIds: readonly string[],
): ServiceDecision {
  const next = addRevision(world.state, draft, service, spec, "apply");
  draft.event("serviceApplied", `service ${service.name} ${change}: revision ${next.newestRevision}`, {
    service: service.name,
  });
  const { number } = startRollout(world, draft, next, { to: next.newestRevision, cause: "apply", stepIds });
  return { kind: "applied", change, rollout: number };
}

function addRevision(
  state: State,
  draft: Draft,
  service: ServiceRecord,
  { task, spread }: Pick<ServiceSpec, "task" | "spread">,
  cause: string,
): ServiceRecord {
  const number = service.newestRevision + 1;
  const id = revisionId(service.name, number);
  // What a sailor measures stands in what it is given.
  const spec: TaskSpec = { ...task, minHealthyMs: service.update.minHealthyMs };
  const { wallMs } = draft.context;
  draft.put("spec", id, { id, spec, original: null });
  draft.put("revision", id, { id, service: service.name, number, spread, stableMs: null, cause, createdMs: wallMs });
  const next = { ...service, newestRevision: number };
  draft.put("service", service.name, next);
  forgetOld(state, draft, next);
  return next;
}

/** Keeps the newest ones, the one that is stable, and whatever replicas have. */
function forgetOld(state: State, draft: Draft, service: ServiceRecord): void {
  const stable = newestStable(state, service.name)?.number;
  const inUse = new Set(replicasOf(state, service.name).map(({ replica }) => replica!.revision));
  const revisions = [...state.revisionsByService.get(service.name) ?? []]
    .map((id) => state.revisions.get(id)!)
    .sort((a, b) => b.number - a.number);
  for (const { id, number } of revisions.slice(REVISIONS_KEPT)) {
    if (number === stable || number === service.revision || inUse.has(number)) continue;
    draft.delete("revision", id);
    if (!state.specUses.has(id)) draft.delete("spec", id);
  }
  for (const id of [...state.rolloutsByService.get(service.name) ?? []]) {
    if (state.rollouts.get(id)!.number <= service.rollout + 1 - ROLLOUTS_KEPT) draft.delete("rollout", id);
  }
}

/** What applying `spec` would change of `before`. */
export function changeOf(state: State, before: ServiceRecord | undefined, spec: ServiceSpec): ServiceChange {
  if (!before) return "created";
  const current = revisionSpec(state, before.name, before.revision);
  if (!current || !sameRevision(current, spec)) return "updated";
  if (before.replicas !== spec.replicas) return "scaled";
  return JSON.stringify(before.update) === JSON.stringify(spec.update) ? "unchanged" : "settings";
}

/** What a revision is made of, as it was given. */
export function revisionSpec(
  state: State,
  service: string,
  number: number,
): Pick<ServiceSpec, "task" | "spread"> | undefined {
  const id = revisionId(service, number);
  const stored = state.specs.get(id)?.spec;
  const revision = state.revisions.get(id);
  if (!stored || !revision) return undefined;
  const { minHealthyMs: _measured, ...task } = stored;
  return { task, spread: revision.spread };
}

function sameRevision(a: Pick<ServiceSpec, "task" | "spread">, b: Pick<ServiceSpec, "task" | "spread">): boolean {
  const text = ({ task, spread }: Pick<ServiceSpec, "task" | "spread">) => JSON.stringify([sorted(task), spread]);
  return text(a) === text(b);
}

/** Keys in one order: the same document may have been read from files that write them in another one. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, v]) => [key, sorted(v)]),
  );
}

function tellScaled(draft: Draft, before: ServiceRecord, after: ServiceRecord): void {
  if (before.replicas === after.replicas) return;
  draft.event("serviceScaled", `service ${after.name} scaled from ${before.replicas} to ${after.replicas}`, {
    service: after.name,
  });
}

export function decideScaleService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "scaleService" }>,
): void {
  draft.reply = withService(world.state, input.name, (service) => {
    if (service.mode === "global") {
      return conflict(`service ${service.name} is global: it has one replica on each node that fits its constraints`);
    }
    const rollout = activeRollout(world.state, service)?.number ?? null;
    if (service.replicas === input.replicas) return { kind: "applied", change: "unchanged", rollout };
    const next = { ...service, replicas: input.replicas, updatedMs: draft.context.wallMs };
    draft.put("service", service.name, next);
    tellScaled(draft, service, next);
    draft.follow.push({ kind: "lookAtService", name: service.name });
    return { kind: "applied", change: "scaled", rollout };
  });
}

export function decideRollbackService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "rollbackService" }>,
): void {
  const { state } = world;
  draft.reply = withService(state, input.name, (service) => {
    const to = input.to ?? newestStable(state, service.name, service.revision)?.number;
    if (to === undefined) return conflict(`service ${service.name} has no other stable revision to go back to`);
    if (!state.revisions.has(revisionId(service.name, to))) {
      const kept = revisionsOf(state, service.name).map(({ number }) => number).join(", ");
      return { kind: "notFound", message: `service ${service.name} has no revision ${to} (any more); it has ${kept}` };
    }
    if (to === service.revision && service.held === null) {
      return conflict(`service ${service.name} is at revision ${to} already, or on its way there`);
    }
    const { number } = startRollout(world, draft, service, { to, cause: "rollback" });
    return { kind: "applied", change: "updated", rollout: number };
  });
}

/** Newest first. */
export function revisionsOf(state: State, service: string): RevisionRecord[] {
  return [...state.revisionsByService.get(service) ?? []].map((id) => state.revisions.get(id)!)
    .sort((a, b) => b.number - a.number);
}

export function decideRestartService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "restartService" }>,
): void {
  const { state } = world;
  draft.reply = withService(state, input.name, (service) => {
    const spec = revisionSpec(state, service.name, service.revision);
    if (!spec) throw new Error(`service ${service.name} has lost its revision ${service.revision}`);
    const next = addRevision(state, draft, service, spec, `restart of ${service.revision}`);
    const { number } = startRollout(world, draft, next, { to: next.newestRevision, cause: "restart" });
    return { kind: "applied", change: "updated", rollout: number };
  });
}

export type RemoveServiceDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string };

export function decideRemoveService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "removeService" }>,
): void {
  const { state } = world;
  const service = state.services.get(input.name);
  if (!service) {
    draft.reply = { kind: "notFound", message: `no service ${input.name}` } satisfies RemoveServiceDecision;
    return;
  }
  draft.reply = { kind: "done", message: `service ${service.name} is being removed` } satisfies RemoveServiceDecision;
  if (service.removing) return;
  const active = activeRollout(state, service);
  if (active) endRollout(world, draft, active, "aborted", "the service is removed");
  draft.put("service", service.name, { ...service, removing: true, held: null, updatedMs: draft.context.wallMs });
  draft.follow.push({ kind: "lookAtService", name: service.name });
}

function conflict(message: string): ServiceDecision {
  return { kind: "conflict", message };
}

function withService(
  state: State,
  name: string,
  decide: (service: ServiceRecord) => ServiceDecision,
): ServiceDecision {
  const service = state.services.get(name);
  if (!service) return { kind: "notFound", message: `no service ${name}` };
  if (service.removing) return conflict(`service ${name} is being removed`);
  return decide(service);
}

export function rolloutOf(state: State, service: ServiceRecord) {
  return state.rollouts.get(rolloutId(service.name, service.rollout));
}
