/**
 * A sailor in a process of its own: the real one, on an engine in memory whose containers end at once.
 * deno run -A tests/bench/fake_sailor.ts DECK. Each line on stdin is answered by one of JSON: for each attempt since the
 * last, when its assignment came and when its end was told, in milliseconds of this process's clock.
 */
import { createInterface } from "node:readline";
import process from "node:process";
import { createFakeEngine, createFakeRuntime } from "../../lib/adapters/fake_runtime.ts";
import { openMemoryStore } from "../../lib/adapters/memory_store.ts";
import { makePrivateKey, signerOf } from "../../lib/adapters/node_keys.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { createSystemRandom } from "../../lib/adapters/system_random.ts";
import { createDialer } from "../../lib/adapters/web_socket_link.ts";
import type { Dialer, Link } from "../../lib/contracts/link.ts";
import { FRAME_BYTES_MAX } from "../../lib/messages/session.ts";
import { createSailor } from "../../lib/sailor/sailor.ts";

const CAPACITY = { cpuCores: 1e5, memoryBytes: 2 ** 50, diskBytes: 2 ** 50 };
const [deck] = Deno.args;
const clock = createSystemClock();
const quiet = { debug() {}, info() {}, warn: console.error, error: console.error };
const times = new Map<string, { assignedMs: number; endedMs: number | null }>();

const engine = createFakeEngine({
  clock,
  about: {
    engineId: "bench",
    version: "fake",
    capacity: CAPACITY,
  },
  script: (_spec, run) => run === 0 ? {} : { exit: { afterMs: 0, code: 0 } },
});

engine.images.add("none");

function watched(link: Link): Link {
  return {
    ...link,
    send(frame) {
      link.send(frame);
      if (typeof frame !== "string" || !frame.includes('"reports"')) return;
      const { reports = [] } = JSON.parse(frame) as { reports?: { attemptId: string; state: string }[] };
      const endedMs = performance.now();
      for (const { attemptId, state } of reports) {
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

const nodeId = crypto.randomUUID();
const sailor = await createSailor({
  clock,
  random: createSystemRandom(),
  logger: quiet,
  store: openMemoryStore({ clock }),
  runtimes: [createFakeRuntime({ nodeId, engine, clock })],
  prober: { probe: () => Promise.resolve({ healthy: true, output: "" }) },
  machine: {
    hostname: () => "bench",
    capacity: () => Promise.resolve(CAPACITY),
    stats: () =>
      Promise.resolve({
        ...{ memory: {}, cpu: {}, load: {}, taskCount: 0 },
        disk: { all: 1, used: 0, free: 1, freeInodes: 1 },
      }),
  },
  identity: { nodeId, name: "bench", signer: signerOf(makePrivateKey()) },
  version: "bench",
  labels: {},
  reserve: { cpuCores: 0, memoryBytes: 0 },
  address: null,
  adopt: false,
});
sailor.join(dialer, deck);

for await (const _line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(Object.fromEntries(times)));
  for (const [id, { endedMs }] of times) if (endedMs !== null) times.delete(id);
}
await sailor.stop();
Deno.exit(0);
