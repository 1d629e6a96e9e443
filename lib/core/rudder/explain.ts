/** The sentence that tells why a task is pending: `3 nodes: 2 lack memory (need 512 MiB, largest free 300 MiB), 1 is draining`. */
import { describeSize } from "../documents/units.ts";
import type { Refusal, RefusalReason } from "./filters.ts";
import type { Demand } from "./rudder.ts";

export function describeRefusals(refusals: readonly Refusal[], demand: Demand): string {
  if (refusals.length === 0) return "no node has joined";
  const groups = new Map<RefusalReason, Refusal[]>();
  for (const refusal of refusals) {
    const group = groups.get(refusal.reason);
    if (group) group.push(refusal);
    else groups.set(refusal.reason, [refusal]);
  }
  const parts = [...groups].sort((a, b) => b[1].length - a[1].length)
    .map(([reason, group]) => `${group.length} ${describe(reason, group, demand)}`);
  return `${refusals.length} ${refusals.length === 1 ? "node" : "nodes"}: ${parts.join(", ")}`;
}

function describe(reason: RefusalReason, group: readonly Refusal[], demand: Demand): string {
  const one = group.length === 1;
  const largest = Math.max(...group.map((r) => r.amount));
  const details = [...new Set(group.map((r) => r.detail))].join(", ");
  switch (reason) {
    case "down":
      return one ? "is down" : "are down";
    case "disconnected":
      return one ? "is not connected" : "are not connected";
    case "draining":
      return one ? "is draining" : "are draining";
    case "runtime":
      return `${one ? "has" : "have"} no ${details} runtime`;
    case "runtimeAway": {
      const what = details === "docker" ? "container engine" : `${details} runtime`;
      return one ? `has a ${what} that does not answer` : `have a ${what} that does not answer`;
    }
    case "steps":
      return `${one ? "is" : "are"} too old for workflow steps`;
    case "secrets":
      return `${one ? "is" : "are"} too old for secrets`;
    case "services":
      return `${one ? "is" : "are"} too old for services`;
    case "http":
      return `${one ? "does" : "do"} not make http requests (--no-http)`;
    case "constraint":
      return `${one ? "does" : "do"} not meet ${details}`;
    case "bind":
      return `${one ? "does" : "do"} not allow the bind ${details} (--allow-binds)`;
    case "hostNetwork":
      return `${one ? "does" : "do"} not allow the host's network (--allow-host-network)`;
    case "hostPort":
      return `${one ? "has" : "have"} host port ${details} taken`;
    case "memory":
      return `${one ? "lacks" : "lack"} memory (need ${describeSize(demand.memoryBytes)}, largest free ${
        describeSize(largest)
      })`;
    case "cpu":
      return `${one ? "lacks" : "lack"} cpu (need ${demand.cpuMillis / 1000} cores, largest free ${largest / 1000})`;
    case "disk":
      return `${one ? "lacks" : "lack"} disk (need ${describeSize(demand.diskBytes)}, largest free ${
        describeSize(largest)
      })`;
    default:
      return reason satisfies never;
  }
}
