/** Where a replica may and should run, and what each replica is told of itself. */
import type { TaskSpec } from "../documents/task.ts";
import type { MastRecord } from "../mast.ts";
import { attributeOf } from "../rudder/filters.ts";
import type { State } from "../state.ts";
import type { ReplicaMark } from "./records.ts";
import { replicaName, revisionId } from "./records.ts";

/**
 * Replicas of a global service have one node. Others go where the fewest of their service are: by the attributes of
 * `spread`, the first before the others, then by node. Those that are leaving do not count.
 */
export function placingOf(
  state: State,
  mark: ReplicaMark,
): { readonly only?: string; readonly rank?: (mast: MastRecord) => number } {
  if (mark.nodeId !== null) return { only: mark.nodeId };
  const spread = state.revisions.get(revisionId(mark.service, mark.revision))?.spread ?? [];
  const attributes = [...spread, "node.id"];
  const counts = attributes.map(() => new Map<string | undefined, number>());
  let total = 1;
  for (const id of state.replicas.get(mark.service) ?? []) {
    const sail = state.sails.get(id)!;
    const attempt = state.attempts.get(sail.currentAttemptId ?? "");
    const mast = attempt && state.masts.get(attempt.nodeId);
    if (!mast || sail.desired === "stop" || sail.replica!.retireAtMs !== null) continue;
    total++;
    for (const [i, attribute] of attributes.entries()) {
      const value = attributeOf(mast, attribute);
      counts[i].set(value, (counts[i].get(value) ?? 0) + 1);
    }
  }
  // Each count is below `total`: the earlier attribute outweighs all later ones together.
  const rank = (mast: MastRecord) =>
    attributes.reduce((sum, attribute, i) => sum * total + (counts[i].get(attributeOf(mast, attribute)) ?? 0), 0);
  return { rank };
}

const told = new WeakMap<TaskSpec, Map<string, TaskSpec>>();

/** The revision's spec with the replica's own name and variables. The same object for the same replica. */
export function specOfReplica(spec: TaskSpec, mark: ReplicaMark): TaskSpec {
  const name = replicaName(mark);
  const known = told.get(spec) ?? new Map<string, TaskSpec>();
  told.set(spec, known);
  const own = known.get(name) ?? {
    ...spec,
    name,
    env: {
      ORMEN_SERVICE: mark.service,
      ORMEN_SLOT: String(mark.slot),
      ORMEN_REVISION: String(mark.revision),
      ...spec.env,
    },
  };
  known.set(name, own);
  return own;
}
