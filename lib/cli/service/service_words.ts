/** Services, replicas and rollouts in words and colours. Pure. */
import type { ReplicaView, RolloutView, ServiceDetailView, ServiceView } from "../../messages/service_api.ts";
import { clean, type Colour } from "../render.ts";
import { span } from "../times.ts";

export function serviceColour(state: ServiceView["state"]): Colour {
  switch (state) {
    case "healthy":
      return "green";
    case "rolling":
    case "waiting":
    case "paused":
    case "degraded":
      return "yellow";
    case "removing":
      return "grey";
    default:
      return state satisfies never;
  }
}

export function rolloutColour(state: RolloutView["state"]): Colour {
  switch (state) {
    case "succeeded":
      return "green";
    case "running":
    case "waiting":
    case "paused":
      return "yellow";
    case "failed":
    case "aborted":
      return "red";
    case "superseded":
      return "grey";
    default:
      return state satisfies never;
  }
}

export function replicaColour(state: ReplicaView["state"]): Colour {
  switch (state) {
    case "healthy":
      return "green";
    case "unhealthy":
      return "red";
    case "stopping":
      return "grey";
    case "pending":
    case "starting":
    case "running":
    case "unknown":
      return "yellow";
    default:
      return state satisfies never;
  }
}

/** `2/3`, and `2/3 (3 running)` where more run than are healthy. */
export function replicasText({ replicas: { desired, running, healthy } }: ServiceView): string {
  const more = running === healthy ? "" : ` (${running} running)`;
  return `${healthy}/${desired}${more}`;
}

/** What a slot is at in a rollout: `healthy 1.0 s`, `not healthy after 6 s: GET /up -> 500`, `no node yet: ...`. */
export function replicaText(replica: ReplicaView, nowMs: number): string {
  const age = span(nowMs - Date.parse(replica.createdAt));
  const why = replica.why === null ? "" : `: ${clean(replica.why)}`;
  switch (replica.state) {
    case "pending":
      return `no node yet${why}`;
    case "starting":
      return `starting${replica.node === null ? "" : ` on ${clean(replica.node)}`}${why}`;
    case "running":
      return `not healthy yet, after ${age}${why}`;
    case "unhealthy":
      return `not healthy after ${age}${why}`;
    case "healthy":
      return "healthy";
    case "unknown":
      return `its node ${clean(replica.node ?? "")} does not answer`;
    case "stopping":
      return "stopping";
    default:
      return replica.state satisfies never;
  }
}

/** `running`, `waits to be promoted`, `failed: slot 1 ...`. */
export function rolloutText(rollout: RolloutView): string {
  const why = rollout.why === null ? "" : `: ${clean(rollout.why)}`;
  switch (rollout.state) {
    case "waiting":
      return "waits to be promoted";
    case "paused":
      return "paused";
    case "running":
      return stageText(rollout);
    case "succeeded":
    case "failed":
    case "aborted":
    case "superseded":
      return `${rollout.state}${why}`;
    default:
      return rollout.state satisfies never;
  }
}

function stageText({ stage, strategy, updated, desired, analysis }: RolloutView): string {
  switch (stage) {
    case "canaries":
      return strategy === "blueGreen" ? `the new side starts, ${updated} of ${desired} healthy` : "canaries start";
    case "analysis":
      return `measuring, ${analysis?.done ?? 0} of ${analysis?.count ?? 0}` +
        (analysis?.failed ? ` (${analysis.failed} failed)` : "");
    case "promotion":
      return "about to be promoted";
    case "replacing":
      return `${updated} of ${desired} replaced`;
    case "monitor":
      return `all ${desired} healthy, watched for a while`;
    default:
      return stage satisfies never;
  }
}

/** Each slot with what is in it; a slot that is being replaced in one line: the new replica, and what the old one does. */
export function slotLines(service: ServiceDetailView, nowMs: number): { slot: number; text: string; colour: Colour }[] {
  const slots = new Map<number, ReplicaView[]>();
  for (const replica of service.slots) slots.set(replica.slot, [...slots.get(replica.slot) ?? [], replica]);
  return [...slots].map(([slot, replicas]) => {
    const fresh = replicas.filter((each) => each.revision === service.revision);
    const newest = (fresh.filter(({ state }) => state !== "stopping").at(-1) ?? fresh.at(-1) ?? replicas.at(-1))!;
    const others = replicas.filter((each) => each !== newest);
    const old = others.length === 0
      ? ""
      : `      old ${others.map((each) => `@${each.revision} ${each.state}`).join(", ")}`;
    const which = newest.revision === service.revision ? "" : `@${newest.revision} `;
    return { slot, text: `${which}${replicaText(newest, nowMs)}${old}`, colour: replicaColour(newest.state) };
  });
}

/** What a person may want to do next. */
export function nextSteps(service: ServiceView): string[] {
  const name = clean(service.name);
  switch (service.state) {
    case "waiting":
      return [`rollout promote ${name}`, `rollout abort ${name}`];
    case "paused":
      return [`rollout resume ${name}`, `service rollback ${name}`];
    case "rolling":
      return [`rollout status ${name} --watch`];
    case "degraded":
      return [`service status ${name}`];
    case "healthy":
    case "removing":
      return [];
    default:
      return service.state satisfies never;
  }
}
