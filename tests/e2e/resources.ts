/**
 * What the processes of a fleet hold of their machine. A fault must not cost any of it for good: taken when they have just
 * started, and compared when all is over and quiet.
 *
 * Open files: connections that are kept for a while, from the test's own requests and to the Engine, come and go: fewer
 * than ten once it is quiet. One that is left behind by each task would be 20 a sailor in the shortest run of chaos.
 * Memory: what V8's heap has grown to, and records of ended tasks at a few KiB each. 12 MiB were measured after 60 tasks.
 */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import type { Fleet, Process } from "./support.ts";

const FILES_MORE_MAX = 12;
const MEMORY_MORE_MAX_KIB = 64 * 1024;

export interface Resources {
  readonly files: number;
  readonly memoryKiB: number;
}

export type FleetResources = Readonly<Record<string, Resources>>;

export function resourcesOf(fleet: Fleet): FleetResources {
  const sailors = fleet.sailors.map((sailor, i) => [`sailor ${i}`, held(sailor!)] as const);
  return Object.fromEntries([["deck", held(fleet.deck!)] as const, ...sailors]);
}

/** Also of processes that have been started anew meanwhile. */
export async function resourcesAreBack(fleet: Fleet, fresh: FleetResources): Promise<void> {
  await eventually("memory and open files are back", () => {
    for (const [who, now] of Object.entries(resourcesOf(fleet))) {
      const text = `${who}: ${JSON.stringify(now)}, fresh ${JSON.stringify(fresh[who])}`;
      assert.ok(now.files - fresh[who].files <= FILES_MORE_MAX, `open files of ${text}`);
      assert.ok(now.memoryKiB - fresh[who].memoryKiB <= MEMORY_MORE_MAX_KIB, `memory of ${text}`);
    }
    return true;
  }, 60_000);
}

function held({ pid }: Process): Resources {
  const files = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  const memoryKiB = Number(/^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]);
  return { files, memoryKiB };
}
