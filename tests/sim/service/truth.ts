/** Services, revisions and rollouts as they are durable on the deck's disk. */
import type { RevisionRecord, RolloutRecord, ServiceRecord } from "../../../lib/core/service/records.ts";

export class ServiceTruth {
  readonly services = new Map<string, ServiceRecord>();
  readonly revisions = new Map<string, RevisionRecord>();
  readonly rollouts = new Map<string, RolloutRecord>();
  onRollout: (before: RolloutRecord | undefined, after: RolloutRecord | undefined) => void = () => {};

  /** True when the kind is one of these. */
  take(kind: string, id: string, value: unknown): boolean {
    switch (kind) {
      case "service":
        put(this.services, id, value as ServiceRecord | undefined);
        return true;
      case "revision":
        put(this.revisions, id, value as RevisionRecord | undefined);
        return true;
      case "rollout": {
        const before = this.rollouts.get(id);
        put(this.rollouts, id, value as RolloutRecord | undefined);
        this.onRollout(before, this.rollouts.get(id));
        return true;
      }
      default:
        return false;
    }
  }
}

function put<T>(map: Map<string, T>, id: string, value: T | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}
