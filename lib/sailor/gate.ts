/**
 * What stands between a task, whoever gave it, and this machine: asked right before a container is made. The spec that comes
 * out is the one to make: its binds name the places that were judged, so that a link that is turned afterwards leads nowhere else.
 */
import type { Bounds } from "../core/bounds.ts";
import { describeOverstep, isBind, isUnder, missingFlag, overstepOf } from "../core/bounds.ts";
import type { TaskSpec } from "../core/documents/task.ts";

export interface GateOptions {
  readonly node: string;
  readonly bounds: Bounds;
  /** Of Engines, by any name. */
  readonly sockets: readonly string[];
  /** Where a path leads on this machine; throws with a reason when that cannot be told. */
  readonly realPathOf: (path: string) => Promise<string>;
}

export type Admission =
  | { readonly kind: "admitted"; readonly spec: TaskSpec }
  /** For people: names the node and the flag. */
  | { readonly kind: "refused"; readonly message: string };

export type Gate = (spec: TaskSpec) => Promise<Admission>;

export function createGate({ node, bounds, sockets, realPathOf }: GateOptions): Gate {
  /** One that cannot be looked at is known by its name at least. */
  const realSocketOf = (socket: string) => realPathOf(socket).catch(() => socket);
  const refused = (what: string, why: string): Admission => ({
    kind: "refused",
    message: `node ${node} does not allow ${what}: ${why}`,
  });

  return async (spec) => {
    const real = new Map<string, string>();
    for (const { source } of spec.runtime === "docker" ? spec.volumes : []) {
      if (typeof source !== "string" || !isBind(source)) continue;
      try {
        real.set(source, await realPathOf(source));
      } catch (error) {
        if (bounds.binds.some((b) => isUnder(source, b))) {
          return refused(`the bind ${source}`, (error as Error).message);
        }
        // Nothing is told of places that are none of a task's business: the rule below refuses it by its name.
      }
    }
    const realSockets = real.size === 0 ? [] : await Promise.all(sockets.map(realSocketOf));
    const realOf = (path: string) => real.get(path) ?? path;
    const overstep = overstepOf(spec, bounds, { realOf, sockets: realSockets, isReal: true });
    if (overstep) return refused(describeOverstep(overstep), missingFlag(overstep));
    return {
      kind: "admitted",
      spec: real.size === 0
        ? spec
        : { ...spec, volumes: spec.volumes.map((v) => ({ ...v, source: realOf(v.source) })) },
    };
  };
}
