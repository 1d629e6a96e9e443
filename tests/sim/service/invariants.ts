/**
 * I8, judged by durable records: a rollout takes no healthy replica away whose slot has no healthy successor, unless its
 * settings allow it; one rollout of a service is active; what has ended stays so; a slot has one replica of a kind.
 */
import { amountOf } from "../../../lib/core/documents/service.ts";
import type { SailRecord } from "../../../lib/core/sail.ts";
import { isSailFinal } from "../../../lib/core/sail.ts";
import type { RolloutRecord, ServiceRecord } from "../../../lib/core/service/records.ts";
import { isRolloutFinal, rolloutId } from "../../../lib/core/service/records.ts";
import type { Truth } from "../truth.ts";

/** A deck that is away, or whose store is, is back within this. */
const TWINS_FOR_MS = 120_000;

export class ServiceInvariants {
  /** How many there were. */
  rollouts = 0;
  readonly #touched = new Set<string>();
  readonly #twinsSinceMs = new Map<string, number>();

  constructor(
    readonly o: {
      readonly truth: Truth;
      readonly nowMs: () => number;
      readonly fail: (rule: "I6" | "I8", what: string, about: readonly string[]) => void;
    },
  ) {
    o.truth.services.onRollout = (before, after) => this.#onRollout(before, after);
  }

  /** Called when the change is durable, and nothing that follows it yet. */
  onSail(before: SailRecord | undefined, after: SailRecord | undefined): void {
    const mark = (after ?? before)?.replica;
    if (!mark) return;
    this.#touched.add(mark.service);
    if (before && after && isStaying(before) && !isStaying(after)) this.#retired(after);
  }

  afterEvent(): void {
    const names = [...this.#touched];
    this.#touched.clear();
    for (const name of names) this.#oneOfAKind(name);
  }

  #retired(sail: SailRecord): void {
    const { truth } = this.o;
    const { service: name, slot } = sail.replica!;
    const service = truth.services.services.get(name);
    if (!service || service.removing || !this.isHealthy(sail)) return;
    const wanted = wantedSlots(truth, service);
    if (!wanted.includes(slot)) return;
    const up = this.#healthySlots(name);
    if (up.has(slot)) return;
    const rollout = truth.services.rollouts.get(rolloutId(name, service.rollout));
    const least = wanted.length - allowance(rollout, wanted.length);
    const healthy = wanted.filter((each) => up.has(each)).length;
    if (healthy >= least) return;
    this.o.fail(
      "I8",
      `${sail.name} (${sail.id}) was healthy and is retired without a successor: ${healthy} of ${wanted.length} ` +
        `are healthy then, and at least ${least} are to be`,
      [sail.id, name],
    );
  }

  isHealthy(sail: SailRecord): boolean {
    const attempt = this.o.truth.attempts.get(sail.currentAttemptId ?? "");
    return attempt?.state === "running" && attempt.settledStartMs !== undefined;
  }

  #healthySlots(name: string): Set<number> {
    return new Set(
      replicas(this.o.truth, name).filter((sail) => isStaying(sail) && this.isHealthy(sail)).map((s) =>
        s.replica!.slot
      ),
    );
  }

  #oneOfAKind(name: string): void {
    const seen = new Map<string, string>();
    for (const sail of replicas(this.o.truth, name)) {
      if (!isStaying(sail)) continue;
      const { slot, revision, rollout, nodeId } = sail.replica!;
      // One that is to leave its node has a twin that takes its place.
      const node = nodeId ?? this.o.truth.attempts.get(sail.currentAttemptId ?? "")?.nodeId;
      if (node !== undefined && this.o.truth.masts.get(node)?.eligibility !== "eligible") continue;
      const key = `${slot}@${revision} of rollout ${rollout}`;
      const other = seen.get(key);
      if (other !== undefined) this.#twins(name, key, [other, sail.id]);
      else seen.set(key, sail.id);
    }
  }

  /** A node that takes tasks again has a twin of one that was to leave it, until the deck has looked at them. */
  #twins(name: string, key: string, ids: readonly string[]): void {
    this.#touched.add(name);
    const since = this.#twinsSinceMs.get(ids.join()) ?? this.o.nowMs();
    this.#twinsSinceMs.set(ids.join(), since);
    if (this.o.nowMs() - since < TWINS_FOR_MS) return;
    this.o.fail("I8", `${name} has two replicas of slot ${key}: ${ids.join(" and ")}`, ids);
  }

  #onRollout(before: RolloutRecord | undefined, after: RolloutRecord | undefined): void {
    if (before && after && isRolloutFinal(before.state) && after.state !== before.state) {
      this.o.fail("I6", `rollout ${after.id} went from ${before.state} to ${after.state}`, [after.id]);
    }
    if (!before && after) this.rollouts++;
    if (!after || isRolloutFinal(after.state)) return;
    for (const other of this.o.truth.services.rollouts.values()) {
      // The one that takes its place becomes durable with its end.
      const isOlder = other.service === after.service && other.number < after.number - 1;
      if (isOlder && !isRolloutFinal(other.state)) {
        this.o.fail("I8", `rollouts ${other.id} and ${after.id} are both active`, [other.id, after.id]);
      }
    }
  }
}

export function isStaying(sail: SailRecord): boolean {
  return sail.desired === "run" && sail.replica!.retireAtMs === null && !isSailFinal(sail.state);
}

export function replicas(truth: Truth, name: string): SailRecord[] {
  return [...truth.sails.values()].filter(({ replica, state }) => replica?.service === name && !isSailFinal(state));
}

export function wantedSlots(truth: Truth, service: ServiceRecord): number[] {
  if (service.mode === "replicated") return Array.from({ length: service.replicas }, (_, slot) => slot);
  return Object.entries(service.nodeSlots).filter(([id]) => {
    const mast = truth.masts.get(id);
    return mast?.status === "ready" && mast.eligibility === "eligible";
  }).map(([, slot]) => slot);
}

/** How many healthy ones a rollout itself may take away. */
function allowance(rollout: RolloutRecord | undefined, wanted: number): number {
  if (!rollout || isRolloutFinal(rollout.state)) return 0;
  const { strategy, order, maxUnavailable } = rollout.update;
  if (strategy === "recreate") return wanted;
  return order === "start-first" ? 0 : Math.max(1, amountOf(maxUnavailable, wanted, "down"));
}
