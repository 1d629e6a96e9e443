/**
 * A mast: the deck's record of one node, the machine of one sailor.
 * Owns the durable record and the live figures beside it, which touch no store.
 */
import type { Bounds } from "./bounds.ts";
import type { HostRuntime } from "./documents/task.ts";

/** ready: heard of; down: silent for longer than the node timeout (its attempts are unknown or replaced). */
export type MastStatus = "ready" | "down";

/** eligible: takes new tasks; draining: none, and those it has move away; drained: draining is done. */
export type Eligibility = "eligible" | "draining" | "drained";

export interface Capacity {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export interface MastRecord {
  readonly id: string;
  /** The key that its sessions prove; absent: none yet, because its sailor is of a version that has none. */
  readonly publicKey?: string;
  /** The static address as given to the deck, or the sailor's own name. Unique. */
  readonly name: string;
  /** `http://host:port` of the sailor's own API; empty when it has none that the deck could reach. */
  readonly api: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly engineId: string;
  readonly runtimes: readonly HostRuntime[];
  /** Absent: its sailor is older and does not say. */
  readonly allows?: Bounds;
  /**
   * steps  scripts of workflows' steps, and results with their end
   * http   requests as tasks
   * secrets, services  values and addresses that come with a task; replicas' health measured over time
   * Words that are not known are kept. Absent: its sailor is older and has none.
   */
  readonly abilities?: readonly string[];
  readonly capacity: Capacity;
  readonly version: string;
  readonly status: MastStatus;
  readonly eligibility: Eligibility;
  readonly createdMs: number;
  readonly statusSinceMs: number;
}

/** Figures of /proc and statfs as the Go original names and scales them (goprocinfo): memory in KiB, disk in bytes. */
export interface MachineStats {
  readonly memory: Readonly<Record<string, number>>;
  readonly disk: { readonly all: number; readonly used: number; readonly free: number; readonly freeInodes: number };
  readonly cpu: Readonly<Record<string, number | string>>;
  readonly load: Readonly<Record<string, number>>;
  readonly taskCount: number;
}

/** Reserved by tasks that were given to the sailor directly. */
export interface LocalUse {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly hostPorts: readonly string[];
  readonly taskCount: number;
}

export const NO_LOCAL_USE: LocalUse = { cpuCores: 0, memoryBytes: 0, diskBytes: 0, hostPorts: [], taskCount: 0 };

/** What is known of a node right now and not kept: gone with the deck's process. */
export interface MastLive {
  readonly sessionId: string | null;
  readonly instance: string | null;
  /** The address at which the deck dialled the session; null or absent: the sailor dialled. */
  readonly dialledAt?: string | null;
  readonly heardMonoMs: number;
  readonly stats: MachineStats | null;
  readonly local: LocalUse;
  /** Runtimes that do not answer their sailor; absent: all do, or it does not tell. */
  readonly runtimesAway?: readonly HostRuntime[];
}

/**
 * What is known of nodes right now, by id. Counts what decides where tasks fit, so that what was found out about that can be
 * remembered; and knows which nodes have tasks of their own, so that nobody has to look for them.
 */
export class LiveNodes extends Map<string, MastLive> {
  readonly withLocalTasks = new Set<string>();
  #version = 0;

  /** Grows when a session comes or goes, or when a sailor tells of other local tasks or runtimes; not with each heartbeat. */
  get version(): number {
    return this.#version;
  }

  override set(id: string, live: MastLive): this {
    const before = this.get(id);
    const isSame = before && (before.sessionId === null) === (live.sessionId === null) && before.local === live.local &&
      before.runtimesAway === live.runtimesAway;
    if (!isSame) this.#version++;
    if (live.local.taskCount > 0) this.withLocalTasks.add(id);
    else this.withLocalTasks.delete(id);
    return super.set(id, live);
  }

  override delete(id: string): boolean {
    this.#version++;
    this.withLocalTasks.delete(id);
    return super.delete(id);
  }

  override clear(): void {
    this.#version++;
    this.withLocalTasks.clear();
    super.clear();
  }
}
