/** Shares of a node that are used before and after a placement, each from 0 to 1. */
import { cpuMillisOf } from "../state.ts";
import type { Candidate } from "./filters.ts";
import type { Demand } from "./rudder.ts";

export interface Usage {
  readonly cpu: number;
  readonly memory: number;
}

export function usageBefore(candidate: Candidate): Usage {
  const { capacity } = candidate.mast;
  return {
    cpu: 1 - candidate.freeCpuMillis / cpuMillisOf(capacity.cpuCores),
    memory: 1 - candidate.freeMemoryBytes / capacity.memoryBytes,
  };
}

export function usageAfter(candidate: Candidate, demand: Demand): Usage {
  const { capacity } = candidate.mast;
  const before = usageBefore(candidate);
  return {
    cpu: before.cpu + demand.cpuMillis / cpuMillisOf(capacity.cpuCores),
    memory: before.memory + demand.memoryBytes / capacity.memoryBytes,
  };
}
