/** Where a service answers: of each replica that may be asked, the address under which others reach it. */
import type { BoundPort } from "../attempt.ts";
import type { MastRecord } from "../mast.ts";
import type { SailRecord } from "../sail.ts";
import type { State } from "../state.ts";
import type { RolloutRecord } from "./records.ts";
import { rolloutId } from "./records.ts";
import { phaseOf, replicasOf } from "./scene.ts";

export interface ReplicaAddress {
  /** `host:port` of the task's first port. */
  readonly address: string;
  readonly taskId: string;
  readonly slot: number;
  readonly revision: number;
  readonly node: string;
  readonly ports: readonly { readonly container: number; readonly protocol: "tcp" | "udp"; readonly address: string }[];
}

/**
 * Healthy replicas that stay, in the order of slots; of a blueGreen rollout the side that has the traffic. Where none is
 * left of them, those that were healthy when their node fell silent: it may be the deck that is cut off, not they.
 */
export function addressesOf(state: State, service: string): ReplicaAddress[] {
  const record = state.services.get(service);
  if (!record || record.removing) return [];
  const staying = replicasOf(state, service).filter(({ desired, replica }) =>
    desired === "run" && replica!.retireAtMs === null
  );
  const serving = servingSide(staying, state.rollouts.get(rolloutId(service, record.rollout)), record.held !== null);
  const healthy = serving.filter((sail) => phaseOf(state, sail) === "healthy");
  const chosen = healthy.length > 0 ? healthy : serving.filter((sail) => wasHealthyWhenLost(state, sail));
  return chosen.flatMap((sail) => addressOf(state, sail) ?? [])
    .sort((a, b) => a.slot - b.slot || a.revision - b.revision || (a.taskId < b.taskId ? -1 : 1));
}

function servingSide(
  staying: readonly SailRecord[],
  rollout: RolloutRecord | undefined,
  held: boolean,
): readonly SailRecord[] {
  if (rollout?.update.strategy !== "blueGreen" || rollout.state === "succeeded") return staying;
  if (rollout.endedMs !== null && !held) return staying;
  const isGreen = ({ replica }: SailRecord) => replica!.rollout === rollout.number;
  if (!rollout.promoted) return staying.filter((sail) => !isGreen(sail));
  const green = staying.filter(({ replica }) => replica!.revision === rollout.to);
  return green.length > 0 ? green : staying;
}

function wasHealthyWhenLost(state: State, sail: SailRecord): boolean {
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  return attempt?.state === "unknown" && attempt.settledStartMs !== undefined;
}

/** Undefined while it has none: no port, or no node. */
export function addressOf(state: State, sail: SailRecord): ReplicaAddress | undefined {
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  const mast = attempt && state.masts.get(attempt.nodeId);
  const spec = state.specs.get(sail.specId)?.spec;
  if (!attempt || !mast || !spec) return undefined;
  const host = hostOf(mast);
  const ports = spec.ports.flatMap(({ container, protocol }) => {
    const port = boundTo(attempt.observed.ports, container, protocol) ??
      (spec.runtime === "process" ? container : undefined);
    return port === undefined ? [] : [{ container, protocol, address: `${host}:${port}` }];
  });
  if (ports.length === 0) return undefined;
  const { slot, revision } = sail.replica!;
  return { address: ports[0].address, taskId: sail.id, slot, revision, node: mast.name, ports };
}

/** One that is published for both families is taken for IPv4. */
function boundTo(ports: readonly BoundPort[], container: number, protocol: "tcp" | "udp"): number | undefined {
  const bound = ports.filter((port) => port.container === container && port.protocol === protocol);
  return (bound.find(({ hostIp }) => !hostIp.includes(":")) ?? bound[0])?.host;
}

/** As the deck reaches the node: by the address that it was given, else by where its sailor dialled from. */
export function hostOf({ api, ip, name }: MastRecord): string {
  const given = /^https?:\/\/(\[[^\]]+\]|[^/:]+)/.exec(api)?.[1];
  const isNowhere = given === undefined || given === "0.0.0.0" || given === "[::]";
  if (!isNowhere) return given;
  return ip === "" ? name : ip.includes(":") ? `[${ip}]` : ip;
}
