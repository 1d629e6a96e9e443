/** What the Go original answered, as it was recorded, and its node as a record of ours. */
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import type { MachineStats } from "../../lib/core/mast.ts";
import type { OriginalNode } from "../../lib/deck/api.ts";
import { WALL_MS } from "./records.ts";

export interface Recorded {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One file of tests/fixtures/original: the command, then the answer as it was on the wire, then one line feed. */
export function recorded(name: string): Recorded {
  const text = Deno.readTextFileSync(new URL(`../fixtures/original/${name}.http`, import.meta.url));
  const head = text.slice(text.indexOf("\n") + 1, text.indexOf("\r\n\r\n"));
  const [statusLine, ...lines] = head.split("\r\n");
  return {
    status: Number(statusLine.split(" ")[1]),
    headers: Object.fromEntries(lines.map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 2)];
    })),
    body: text.slice(text.indexOf("\r\n\r\n") + 4).replace(/\n$/, ""),
  };
}

/** The figures of the recorded node, as a sailor would report them. */
export function recordedStats(): MachineStats {
  const stats = JSON.parse(recorded("sailor-get-stats").body);
  return {
    memory: stats.MemStats,
    disk: stats.DiskStats,
    cpu: stats.CpuStats,
    load: stats.LoadStats,
    taskCount: stats.TaskCount,
  };
}

export function originalNode(name: string, stats: MachineStats, taskCount: number): OriginalNode {
  return {
    mast: {
      id: name,
      name,
      api: `http://${name}`,
      ip: "",
      labels: {},
      engineId: "engine",
      runtimes: ["docker"],
      capacity: { cpuCores: 4, memoryBytes: 24_684_096 * 1024, diskBytes: 270_553_174_016 },
      version: "0.1.0",
      status: "ready",
      eligibility: "eligible",
      createdMs: WALL_MS,
      statusSinceMs: WALL_MS,
    },
    live: { sessionId: null, instance: null, heardMonoMs: 0, stats, local: NO_LOCAL_USE },
    reservedMemoryBytes: 0,
    reservedDiskBytes: 0,
    taskCount,
  };
}
