/**
 * Whether a task can run on a node. Each filter refuses with what a person needs to know; the first refusal counts.
 * Order: what no amount of freed capacity would change stands first.
 */
import { isBind, overstepOf } from "../bounds.ts";
import type { Constraint, TaskSpec } from "../documents/task.ts";
import { DEFAULT_CPU_CORES, DEFAULT_MEMORY_BYTES } from "../documents/task.ts";
import type { Reservation } from "../attempt.ts";
import type { MastLive, MastRecord } from "../mast.ts";
import type { EngineBook, State } from "../state.ts";
import { cpuMillisOf } from "../state.ts";
import type { Demand } from "./rudder.ts";

/** A node that fits, and what is free on its Engine before the task. */
export interface Candidate {
  readonly kind: "candidate";
  readonly mast: MastRecord;
  readonly live: MastLive;
  readonly freeCpuMillis: number;
  readonly freeMemoryBytes: number;
  readonly freeDiskBytes: number;
  /** Attempts of this deck on the node. */
  readonly tasks: number;
}

/** Room that a task which is on its way will take. */
export interface PromisedPlace {
  readonly engineId: string;
  readonly demand: Demand;
}

export type RefusalReason =
  | "down"
  | "disconnected"
  | "draining"
  | "runtime"
  | "runtimeAway"
  | "steps"
  | "http"
  | "secrets"
  | "services"
  | "constraint"
  | "bind"
  | "hostNetwork"
  | "hostPort"
  | "memory"
  | "cpu"
  | "disk";

/** `amount` is what is free (memory, disk: bytes; cpu: thousandths); `detail` names a port, a constraint or a path. */
export interface Refusal {
  readonly kind: "refusal";
  readonly reason: RefusalReason;
  readonly amount: number;
  readonly detail: string;
}

/** A request and what comes back to it, in the sailor's own process. */
const HTTP_DEMAND: Demand = { cpuMillis: 10, memoryBytes: 4 * 2 ** 20, diskBytes: 0, hostPorts: [] };

export function demandOf(spec: TaskSpec): Demand {
  if (spec.runtime === "http") return HTTP_DEMAND;
  return {
    cpuMillis: cpuMillisOf(spec.cpuCores ?? DEFAULT_CPU_CORES),
    memoryBytes: spec.memoryBytes ?? DEFAULT_MEMORY_BYTES,
    diskBytes: spec.diskBytes,
    hostPorts: hostPortsOf(spec),
  };
}

/** A pass looks at every pending task, thousands in a large batch, and specifications never change. */
const signatures = new WeakMap<TaskSpec, string>();

/** Everything of a task that `examine` looks at: two with the same signature fit on the same nodes. */
export function signatureOfSpec(spec: TaskSpec): string {
  let signature = signatures.get(spec);
  if (signature === undefined) {
    const { cpuCores, memoryBytes, diskBytes, ports, constraints, runtime, network, volumes } = spec;
    const { step, secrets, bind, minHealthyMs } = spec;
    const abilities = [step !== undefined, secrets !== undefined, bind !== undefined || minHealthyMs !== undefined];
    const mounts = volumes.map(({ source }) => source).filter(isBind);
    const parts = [cpuCores, memoryBytes, diskBytes, ports, constraints, runtime, network, mounts, abilities];
    signatures.set(spec, signature = JSON.stringify(parts));
  }
  return signature;
}

export function reservationOf(spec: TaskSpec): Reservation {
  const demand = demandOf(spec);
  return {
    cpuCores: demand.cpuMillis / 1000,
    memoryBytes: demand.memoryBytes,
    diskBytes: demand.diskBytes,
    hostPorts: demand.hostPorts,
  };
}

/** Host ports that the document claims, as `8080/tcp`; a request claims none. A host process takes the port it listens on. */
export function hostPortsOf(spec: TaskSpec): string[] {
  const ports = spec.ports.map((p) => ({ host: p.host ?? (spec.runtime === "process" ? p.container : null), p }));
  return ports.filter(({ host }) => host !== null).map(({ host, p }) => `${host}/${p.protocol}`);
}

export function examine(
  state: State,
  mast: MastRecord,
  spec: TaskSpec,
  demand: Demand,
  unbookedUseOf: (engineId: string) => EngineBook,
): Candidate | Refusal {
  const live = state.live.get(mast.id);
  if (mast.status === "down") return refusal("down");
  if (!live || live.sessionId === null) return refusal("disconnected");
  if (mast.eligibility !== "eligible") return refusal("draining");
  const unable = lacks(mast, live, spec);
  if (unable) return unable;
  const unmet = spec.constraints.find((c) => !meets(mast, c));
  if (unmet) return refusal("constraint", 0, `${unmet.attribute} ${unmet.operator} ${unmet.value}`);
  const forbidden = forbiddenBy(mast, spec);
  if (forbidden) return forbidden;

  const book = state.books.get(mast.engineId);
  const unbooked = unbookedUseOf(mast.engineId);
  const taken = demand.hostPorts.find((port) => book?.hostPorts.has(port) || unbooked.hostPorts.has(port));
  if (taken) return refusal("hostPort", 0, taken);
  const freeMemoryBytes = mast.capacity.memoryBytes - (book?.memoryBytes ?? 0) - unbooked.memoryBytes;
  if (freeMemoryBytes < demand.memoryBytes) return refusal("memory", Math.max(0, freeMemoryBytes));
  const freeCpuMillis = cpuMillisOf(mast.capacity.cpuCores) - (book?.cpuMillis ?? 0) - unbooked.cpuMillis;
  if (freeCpuMillis < demand.cpuMillis) return refusal("cpu", Math.max(0, freeCpuMillis));
  const freeDiskBytes = mast.capacity.diskBytes - (book?.diskBytes ?? 0) - unbooked.diskBytes;
  if (demand.diskBytes > 0 && freeDiskBytes < demand.diskBytes) return refusal("disk", Math.max(0, freeDiskBytes));
  return {
    kind: "candidate",
    mast,
    live,
    freeCpuMillis,
    freeMemoryBytes,
    freeDiskBytes,
    tasks: state.attemptsByNode.get(mast.id)?.size ?? 0,
  };
}

/** What the node cannot do at all, or not now. A request needs none of its runtimes. */
function lacks(
  mast: MastRecord,
  live: MastLive,
  { runtime, step, secrets, bind, minHealthyMs }: TaskSpec,
): Refusal | undefined {
  if (runtime !== "http") {
    if (!mast.runtimes.includes(runtime)) return refusal("runtime", 0, runtime);
    if (live.runtimesAway?.includes(runtime)) return refusal("runtimeAway", 0, runtime);
  }
  const can = (ability: string) => mast.abilities?.includes(ability) === true;
  // An older sailor would run something else, or could not even read it.
  if ((step || runtime === "http") && !can("steps")) return refusal("steps");
  if (secrets && !can("secrets")) return refusal("secrets");
  if ((bind || minHealthyMs !== undefined) && !can("services")) return refusal("services");
  return runtime === "http" && !can("http") ? refusal("http") : undefined;
}

function refusal(reason: RefusalReason, amount = 0, detail = ""): Refusal {
  return { kind: "refusal", reason, amount, detail };
}

/** An older sailor does not say what it allows: it is asked to run the task, as ever. */
function forbiddenBy({ allows }: MastRecord, spec: TaskSpec): Refusal | undefined {
  const overstep = allows && overstepOf(spec, allows);
  switch (overstep?.kind) {
    case "bind":
    case "socket":
      return refusal("bind", 0, overstep.path);
    case "hostNetwork":
      return refusal("hostNetwork");
    default:
      return undefined;
  }
}

export function meetsConstraints(mast: MastRecord, { constraints }: Pick<TaskSpec, "constraints">): boolean {
  return constraints.every((constraint) => meets(mast, constraint));
}

function meets(mast: MastRecord, constraint: Constraint): boolean {
  const equal = attributeOf(mast, constraint.attribute) === constraint.value;
  return constraint.operator === "==" ? equal : !equal;
}

export function attributeOf(mast: MastRecord, attribute: string): string | undefined {
  if (attribute === "node.name") return mast.name;
  if (attribute === "node.id") return mast.id;
  if (attribute === "node.runtime") return mast.runtimes.join(",");
  const key = attribute.slice("node.labels.".length);
  return Object.hasOwn(mast.labels, key) ? mast.labels[key] : undefined;
}

const NO_USE: EngineBook = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0, hostPorts: new Map() };

/**
 * What stands in no book and yet takes room on each Engine, over all sailors that share it, summed up once: tasks that
 * were given to sailors directly, and `promised`.
 */
export function createUnbookedUses(
  state: State,
  promised: readonly PromisedPlace[] = [],
): (engineId: string) => EngineBook {
  const uses = new Map<string, EngineBook>();
  for (const nodeId of state.live.withLocalTasks) {
    const engineId = state.masts.get(nodeId)?.engineId;
    if (engineId === undefined) continue;
    const { local } = state.live.get(nodeId)!;
    addUse(uses, engineId, { ...local, cpuMillis: cpuMillisOf(local.cpuCores) }, nodeId);
  }
  for (const { engineId, demand } of promised) addUse(uses, engineId, demand, "promised");
  return (engineId) => uses.get(engineId) ?? NO_USE;
}

function addUse(uses: Map<string, EngineBook>, engineId: string, use: Demand, holder: string): void {
  const sum = uses.get(engineId) ?? { ...NO_USE, hostPorts: new Map() };
  uses.set(engineId, sum);
  sum.cpuMillis += use.cpuMillis;
  sum.memoryBytes += use.memoryBytes;
  sum.diskBytes += use.diskBytes;
  for (const port of use.hostPorts) sum.hostPorts.set(port, new Set([holder]));
}
