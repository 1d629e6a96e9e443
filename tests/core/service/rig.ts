/** Services in a deck's world without a deck: nodes that do what the test's script says of each replica, in virtual time. */
import assert from "node:assert/strict";
import { isFinal } from "../../../lib/core/attempt.ts";
import { createMemory } from "../../../lib/core/decide.ts";
import type { Draft } from "../../../lib/core/draft.ts";
import { serviceDocument } from "../../../lib/core/documents/service.ts";
import type { ServiceDocument } from "../../../lib/core/documents/service.ts";
import type { AttemptReport } from "../../../lib/core/outgoing.ts";
import { addressesOf } from "../../../lib/core/service/addresses.ts";
import type { ReplicaMark, RolloutRecord, ServiceRecord } from "../../../lib/core/service/records.ts";
import { rolloutId } from "../../../lib/core/service/records.ts";
import { phaseOf, replicasOf } from "../../../lib/core/service/scene.ts";
import { State } from "../../../lib/core/state.ts";
import { MIB, reportOf, TestWorld } from "../support.ts";

/**
 * What becomes of a replica's attempt once it runs. Times in milliseconds since it runs.
 * healthyMs   when it is healthy for minHealthyTime; null: never
 * exitMs      when it exits for good; null: never
 * flapMs      it is healthy for so long, then not for so long, and so on; null: it stays healthy
 */
export interface Script {
  readonly healthyMs?: number | null;
  readonly exitMs?: number | null;
  readonly flapMs?: number | null;
  /** Until it has stopped. */
  readonly stopMs?: number;
}

interface Running {
  readonly sinceMs: number;
  readonly script: Script;
  told: "starting" | "settled" | "broken" | "stopping" | "over";
  stopSinceMs: number | null;
}

export interface Node {
  readonly id: string;
  alive: boolean;
}

export class ServiceRig extends TestWorld {
  readonly nodes: Node[] = [];
  readonly #running = new Map<string, Running>();
  /** The fewest slots with a healthy replica on the address list, since it was last set. */
  least = Infinity;
  watched = "web";

  constructor(
    readonly script: (mark: ReplicaMark, attempt: number) => Script = () => ({}),
    nodes = 3,
    memoryMiB = 64 * 1024,
  ) {
    super();
    for (let n = 1; n <= nodes; n++) this.join(`n${n}`, memoryMiB);
  }

  join(id: string, memoryMiB = 64 * 1024, labels: Record<string, string> = {}): void {
    const known = this.nodes.find((node) => node.id === id);
    if (known) known.alive = true;
    else this.nodes.push({ id, alive: true });
    this.#hello(id, memoryMiB, labels);
  }

  #hello(id: string, memoryMiB = 64 * 1024, labels: Record<string, string> = {}): void {
    this.hello(id, {
      address: `10.0.0.${id.slice(1)}:5556`,
      capacity: { cpuCores: 64, memoryBytes: memoryMiB * MIB, diskBytes: 2 ** 50 },
      abilities: ["steps", "http", "secrets", "services"],
      labels,
      attempts: [...this.state.attempts.values()]
        .filter((attempt) => attempt.nodeId === id && !isFinal(attempt.state) && attempt.reported)
        .map((attempt) =>
          reportOf(attempt.id, attempt.desired === "stop" ? "stopping" : "running", { observed: attempt.observed })
        ),
    });
  }

  apply(document: Partial<ServiceDocument> & { readonly update?: ServiceDocument["update"] } = {}): Draft {
    return this.input({ kind: "applyService", spec: specOf(document) });
  }

  get service(): ServiceRecord {
    return this.state.services.get(this.watched)!;
  }

  get rollout(): RolloutRecord {
    return this.state.rollouts.get(rolloutId(this.watched, this.service.rollout))!;
  }

  rolloutAt(number: number): RolloutRecord {
    return this.state.rollouts.get(rolloutId(this.watched, number))!;
  }

  /** `web.0@1 healthy`, those that are retired or stop with a `-` before. */
  replicas(): string[] {
    return replicasOf(this.state, this.watched).map((sail) => {
      const leaving = sail.desired === "stop" || sail.replica!.retireAtMs !== null;
      return `${leaving ? "-" : ""}${sail.name} ${phaseOf(this.state, sail)}`;
    }).sort();
  }

  addresses(): string[] {
    return addressesOf(this.state, this.watched).map(({ slot, revision }) => `${slot}@${revision}`);
  }

  /** Healthy slots among those that are wanted. */
  up(): number {
    return new Set(addressesOf(this.state, this.watched).map(({ slot }) => slot)).size;
  }

  /** Time passes in steps of 250 ms; what nodes do is told, alarms ring, ticks come each second. */
  run(ms: number): void {
    for (let left = ms; left > 0; left -= 250) {
      this.wallMs += 250;
      this.monoMs += 250;
      for (const node of this.nodes) if (node.alive) this.#act(node.id);
      this.#ring();
      if (this.monoMs % 1_000 === 0) {
        for (const { id, alive } of this.nodes) {
          if (alive && this.state.live.has(id)) {
            this.state.live.set(id, { ...this.state.live.get(id)!, heardMonoMs: this.monoMs });
          }
        }
        this.input({ kind: "tick" });
      }
      if (this.service) this.least = Math.min(this.least, this.up());
    }
  }

  /** Until it holds; fails after `ms`. */
  until(what: string, condition: () => boolean, ms = 600_000): void {
    for (let left = ms; left > 0; left -= 250) {
      if (condition()) return;
      this.run(250);
    }
    assert.fail(
      `not within ${ms / 1000} s: ${what}; ${JSON.stringify([this.service, this.rollout, this.replicas()], null, 1)}`,
    );
  }

  ended(number = this.service.rollout): string {
    this.until(`rollout ${number} ends`, () => this.rolloutAt(number).endedMs !== null, 4 * 3600_000);
    return this.rolloutAt(number).state;
  }

  #alarms: { atMs: number; topic: string }[] = [];
  #seenDrafts = 0;

  #ring(): void {
    for (; this.#seenDrafts < this.drafts.length; this.#seenDrafts++) {
      for (const { topic, delayMs } of this.drafts[this.#seenDrafts].alarms) {
        this.#alarms.push({ topic, atMs: this.wallMs + delayMs });
      }
    }
    const due = this.#alarms.filter(({ atMs }) => atMs <= this.wallMs);
    this.#alarms = this.#alarms.filter(({ atMs }) => atMs > this.wallMs);
    for (const { topic } of due) this.input({ kind: "alarm", topic });
  }

  #act(nodeId: string): void {
    for (const id of [...this.state.attemptsByNode.get(nodeId) ?? []]) {
      const attempt = this.state.attempts.get(id)!;
      const sail = this.state.sails.get(attempt.sailId)!;
      if (isFinal(attempt.state)) {
        this.#tell(nodeId, reportOf(id, "stopped", { cause: "stopped" }));
        continue;
      }
      const known = this.#running.get(id);
      if (!known) {
        const script = sail.replica ? this.script(sail.replica, attempt.number) : { exitMs: 0 };
        this.#running.set(id, { sinceMs: this.wallMs, script, told: "starting", stopSinceMs: null });
        this.#tell(nodeId, reportOf(id, "running", { observed: this.#observed(id, false) }));
        continue;
      }
      if (attempt.desired === "stop") {
        known.stopSinceMs ??= this.wallMs;
        if (this.wallMs - known.stopSinceMs < (known.script.stopMs ?? 500)) continue;
        this.#tell(nodeId, reportOf(id, "stopped", { cause: "stopped" }));
        continue;
      }
      this.#live(nodeId, id, known);
    }
  }

  #live(nodeId: string, id: string, known: Running): void {
    const ageMs = this.wallMs - known.sinceMs;
    const { healthyMs = 1_000, exitMs = null, flapMs = null } = known.script;
    if (exitMs !== null && ageMs >= exitMs) {
      this.#tell(
        nodeId,
        reportOf(id, "failed", { cause: "exited", observed: { ...this.#observed(id, false), exitCode: 1 } }),
      );
      return;
    }
    const sinceHealthy = healthyMs === null ? -1 : ageMs - healthyMs;
    const isUp = sinceHealthy >= 0 && (flapMs === null || Math.floor(sinceHealthy / flapMs) % 2 === 0);
    const told = isUp ? "settled" : known.told === "settled" ? "broken" : known.told;
    if (told === known.told) return;
    known.told = told;
    this.#tell(nodeId, reportOf(id, "running", { observed: this.#observed(id, isUp) }));
  }

  #observed(id: string, settled: boolean): AttemptReport["observed"] {
    const known = this.#running.get(id)!;
    const port = 30_000 + [...this.#running.keys()].indexOf(id);
    return {
      ...reportOf(id, "running").observed,
      settled,
      health: settled ? "healthy" : known.told === "broken" ? "unhealthy" : "starting",
      healthOutput: known.told === "broken" ? "GET /up -> 500" : null,
      startedMs: known.sinceMs,
      ports: [{ container: 80, protocol: "tcp", hostIp: "0.0.0.0", host: port }],
    };
  }

  #tell(nodeId: string, report: AttemptReport): void {
    this.input({ kind: "reports", sessionId: `s-${nodeId}`, nodeId, reports: [report], hello: null });
  }

  silence(nodeId: string): void {
    this.nodes.find(({ id }) => id === nodeId)!.alive = false;
  }

  /** It is there again, with what runs on it. */
  revive(nodeId: string): void {
    this.nodes.find(({ id }) => id === nodeId)!.alive = true;
    this.#hello(nodeId);
  }

  /** The deck ends, is away for a while, and starts again with what the store has. */
  restart(awayMs = 0): void {
    const records = [...this.state.snapshot()];
    this.wallMs += awayMs;
    const fresh = new State();
    for (const { kind, id, record } of records) {
      fresh.apply({ kind, id, value: record } as Parameters<State["apply"]>[0]);
    }
    Object.assign(this.world, { state: fresh, memory: createMemory() });
    this.monoMs = 1_000;
    this.input({ kind: "start" });
    for (const { id, alive } of this.nodes) if (alive) this.#hello(id);
  }

  /** Indexes are what the records alone give. */
  checkIndexes(): void {
    const fresh = new State();
    for (const { kind, id, record } of this.state.snapshot()) {
      fresh.apply({ kind, id, value: record } as Parameters<State["apply"]>[0]);
    }
    const sets = (map: ReadonlyMap<string, ReadonlySet<string>>) =>
      Object.fromEntries([...map].map(([key, ids]): [string, string[]] => [key, [...ids].sort()]).sort());
    assert.deepEqual(sets(this.state.replicas), sets(fresh.replicas));
    assert.deepEqual(sets(this.state.revisionsByService), sets(fresh.revisionsByService));
    assert.deepEqual(sets(this.state.rolloutsByService), sets(fresh.rolloutsByService));
    assert.deepEqual([...this.state.retiring].sort(), [...fresh.retiring].sort());
    assert.deepEqual([...this.state.activeRollouts].sort(), [...fresh.activeRollouts].sort());
    assert.deepEqual(Object.fromEntries(this.state.specUses), Object.fromEntries(fresh.specUses));
  }
}

const UPDATE = {
  minHealthyTime: "1s",
  healthyDeadline: "20s",
  progressDeadline: "60s",
  shutdownDelay: "1s",
  monitor: "2s",
};

export function specOf(document: Partial<ServiceDocument> & { readonly update?: ServiceDocument["update"] }) {
  return serviceDocument.parse({
    name: "web",
    replicas: 3,
    task: { image: "web:1", ports: [80], ...document.task },
    ...document,
    ...(document.task ? { task: { ports: [80], ...document.task } } : {}),
    update: { ...UPDATE, ...document.update },
  });
}

export const image = (version: number) => ({ task: { image: `web:${version}` } });
