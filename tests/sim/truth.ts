/**
 * What is so, seen from outside: the records that are durable on the deck's disk, and what was acknowledged to users.
 * The only place of the simulator that knows how records lie on a disk.
 */
import type { AttemptRecord } from "../../lib/core/attempt.ts";
import type { MastRecord } from "../../lib/core/mast.ts";
import type { SailRecord, SpecRecord } from "../../lib/core/sail.ts";
import { ServiceTruth } from "./service/truth.ts";
import { WorkflowTruth } from "./workflow/truth.ts";

export interface Change<T> {
  readonly id: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export class Truth {
  readonly sails = new Map<string, SailRecord>();
  readonly specs = new Map<string, SpecRecord>();
  readonly attempts = new Map<string, AttemptRecord>();
  readonly masts = new Map<string, MastRecord>();
  readonly workflows = new WorkflowTruth();
  readonly services = new ServiceTruth();
  /** Attempts on nodes that an operator has removed since: given up by his word, not by their sailor's. */
  readonly givenUp = new Set<string>();
  readonly attemptsOfSail = new Map<string, Set<string>>();
  onSail: (change: Change<SailRecord>) => void = () => {};
  onAttempt: (change: Change<AttemptRecord>) => void = () => {};

  /** A record has become durable, or was deleted. */
  take(key: string, stored: unknown): void {
    const [kind, id] = JSON.parse(key) as [string, string];
    const value = (stored as { record: unknown } | undefined)?.record;
    switch (kind) {
      case "sail":
        return this.onSail(put(this.sails, id, value as SailRecord | undefined));
      case "spec":
        return void put(this.specs, id, value as SpecRecord | undefined);
      case "mast":
        if (value === undefined) {
          for (const attempt of this.attempts.values()) if (attempt.nodeId === id) this.givenUp.add(attempt.id);
        }
        return void put(this.masts, id, value as MastRecord | undefined);
      case "attempt": {
        const change = put(this.attempts, id, value as AttemptRecord | undefined);
        const sailId = (change.after ?? change.before)!.sailId;
        const ids = this.attemptsOfSail.get(sailId) ?? new Set();
        this.attemptsOfSail.set(sailId, ids);
        if (change.after) ids.add(id);
        else ids.delete(id);
        return this.onAttempt(change);
      }
      default:
        if (!this.services.take(kind, id, value)) this.workflows.take(kind, id, value);
        return;
    }
  }

  attemptsOf(sailId: string): AttemptRecord[] {
    return [...this.attemptsOfSail.get(sailId) ?? []].map((id) => this.attempts.get(id)!);
  }
}

function put<T>(map: Map<string, T>, id: string, value: T | undefined): Change<T> {
  const before = map.get(id);
  if (value === undefined) map.delete(id);
  else map.set(id, value);
  return { id, before, after: value };
}
