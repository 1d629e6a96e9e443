/**
 * Sailors of the program itself in one process, each on an engine in memory: an image named "ends" makes containers that end at
 * once, one named "none" such that run on.
 *
 *   deno run -A tests/bench/fleet_sailor.ts DECK FIRST COUNT
 *
 * Orders: "ready" waits until all have begun; "seen" gives, for each attempt since the last time, when its assignment came and when
 * its end was told, in milliseconds of this process's clock; "acknowledged" as light_sailors.ts does.
 */
import { createFakeEngine, createFakeRuntime } from "../../lib/adapters/fake_runtime.ts";
import { openMemoryStore } from "../../lib/adapters/memory_store.ts";
import { makePrivateKey, signerOf } from "../../lib/adapters/node_keys.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { createSystemRandom } from "../../lib/adapters/system_random.ts";
import { createDialer } from "../../lib/adapters/web_socket_link.ts";
import type { Dialer, Link } from "../../lib/contracts/link.ts";
import { FRAME_BYTES_MAX } from "../../lib/messages/session.ts";
import type { AttemptReport } from "../../lib/messages/session.ts";
import { createSailor } from "../../lib/sailor/sailor.ts";
import type { Sailor } from "../../lib/sailor/sailor.ts";
import { answerOrders, nowMs } from "./orders.ts";

const CAPACITY = { cpuCores: 1e5, memoryBytes: 2 ** 50, diskBytes: 2 ** 50 };
const [deck, first, count] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const clock = createSystemClock();
const quiet = { debug() {}, info() {}, warn: console.error, error: console.error };
const times = new Map<string, { assignedMs: number; endedMs: number | null }>();

export type Times = Record<string, { readonly assignedMs: number; readonly endedMs: number | null }>;

/** By attempt: the task of which running was told. */
const told = new Map<string, string>();
const acknowledged = new Map<string, number>();

function watched(link: Link): Link {
  return {
    ...link,
    send(frame) {
      link.send(frame);
      if (typeof frame !== "string" || !frame.includes('"reports"')) return;
      const { reports = [] } = JSON.parse(frame) as { reports?: AttemptReport[] };
      const endedMs = performance.now();
      for (const { attemptId, sailId, state } of reports) {
        if (state === "running") told.set(attemptId, sailId);
        const known = times.get(attemptId);
        if (known && known.endedMs === null && state === "completed") known.endedMs = endedMs;
      }
    },
    onFrame: (handler) =>
      link.onFrame((frame) => {
        if (typeof frame === "string" && frame.includes('"assign"')) {
          const { assignments = [] } = JSON.parse(frame) as { assignments?: { attemptId: string }[] };
          const assignedMs = performance.now();
          for (const { attemptId } of assignments) {
            if (!times.has(attemptId)) times.set(attemptId, { assignedMs, endedMs: null });
          }
        }
        if (typeof frame === "string" && frame.includes('"acknowledge"')) {
          const { reports = [] } = JSON.parse(frame) as { reports?: { attemptId: string }[] };
          const atMs = nowMs();
          for (const { attemptId } of reports) {
            if (told.has(attemptId)) acknowledged.set(told.get(attemptId)!, atMs);
            told.delete(attemptId);
          }
        }
        handler(frame);
      }),
  };
}

const real = createDialer(FRAME_BYTES_MAX);
const dialer: Dialer = {
  async dial(url, options) {
    const link = await real.dial(url, options);
    return url.endsWith("/v1/session") ? watched(link) : link;
  },
};

async function start(number: number): Promise<Sailor> {
  const nodeId = crypto.randomUUID();
  const engine = createFakeEngine({
    clock,
    about: { engineId: `bench-${number}`, version: "fake", capacity: CAPACITY },
    script: ({ image }, run) => run === 0 || image !== "ends" ? {} : { exit: { afterMs: 0, code: 0 } },
  });
  for (const image of ["none", "ends"]) engine.images.add(image);
  const sailor = await createSailor({
    clock,
    random: createSystemRandom(),
    logger: quiet,
    store: openMemoryStore({ clock }),
    runtimes: [createFakeRuntime({ nodeId, engine, clock })],
    prober: { probe: () => Promise.resolve({ healthy: true, output: "" }) },
    machine: {
      hostname: () => `bench-${number}`,
      capacity: () => Promise.resolve(CAPACITY),
      stats: () =>
        Promise.resolve({
          ...{ memory: {}, cpu: {}, load: {}, taskCount: 0 },
          disk: { all: 1, used: 0, free: 1, freeInodes: 1 },
        }),
    },
    identity: { nodeId, name: `bench-${number}`, signer: signerOf(makePrivateKey()) },
    version: "bench",
    labels: {},
    reserve: { cpuCores: 0, memoryBytes: 0 },
    address: null,
    adopt: false,
  });
  sailor.join(dialer, deck);
  return sailor;
}

const sailors = await Promise.all(Array.from({ length: count }, (_, i) => start(first + i)));
await answerOrders((order: "ready" | "seen" | "acknowledged") => {
  if (order === "ready") return null;
  if (order === "acknowledged") {
    const since = Object.fromEntries(acknowledged);
    acknowledged.clear();
    return since;
  }
  const seen: Times = Object.fromEntries(times);
  for (const [id, { endedMs }] of times) if (endedMs !== null) times.delete(id);
  return seen;
});
await Promise.all(sailors.map((sailor) => sailor.stop()));
Deno.exit(0);
