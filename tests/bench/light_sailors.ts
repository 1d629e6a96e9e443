/**
 * Many sailors in one process that do what the session asks for and nothing else: no journal, no runtime. They load a deck with
 * what a thousand machines would send it, on a machine that has to run the deck, too.
 *
 *   deno run -A tests/bench/light_sailors.ts DECK FIRST COUNT
 *
 * Orders: "ready" waits until all are welcome; "acknowledged" gives, for each task whose running was acknowledged since the last
 * time, when.
 */
import { makePrivateKey, signerOf } from "../../lib/adapters/node_keys.ts";
import { createDialer } from "../../lib/adapters/web_socket_link.ts";
import type { Link } from "../../lib/contracts/link.ts";
import type { AttemptReport, DeckMessage, Hello } from "../../lib/messages/session.ts";
import { FRAME_BYTES_MAX, PROTOCOL_VERSION } from "../../lib/messages/session.ts";
import { proofText } from "../../lib/session/node_proof.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import { answerOrders, nowMs } from "./orders.ts";

const [deck, first, count] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const DIALS_AT_ONCE = 50;
const CAPACITY = { cpuCores: 10_000, memoryBytes: 2 ** 45, diskBytes: 2 ** 45 };
const NO_LOCAL_TASKS = { cpuCores: 0, memoryBytes: 0, diskBytes: 0, hostPorts: [], taskCount: 0 };
/** An image whose tasks end as soon as they are given; those of all others run on. */
const ENDS = "ends";
const dialer = createDialer(FRAME_BYTES_MAX);
const acknowledged = new Map<string, number>();

/** As a machine says them: heartbeats are read by the deck as they come from real ones. */
const STATS = {
  memory: { total: 16_384_000, available: 12_000_000, free: 8_000_000, buffers: 100_000, cached: 3_000_000 },
  disk: { all: 2 ** 38, used: 2 ** 37, free: 2 ** 37, freeInodes: 1e7 },
  cpu: { id: "cpu", user: 100_000, nice: 10, system: 50_000, idle: 9_000_000, iowait: 1_000, irq: 0, softirq: 200 },
  load: { last1min: 0.5, last5min: 0.4, last15min: 0.3, processRunning: 1, processTotal: 200 },
  taskCount: 20,
};

async function join(number: number): Promise<void> {
  const signer = signerOf(makePrivateKey());
  const nodeId = crypto.randomUUID();
  const instance = crypto.randomUUID();
  const link = await dialer.dial(`${deck}/v1/session`, {});
  const welcome = Promise.withResolvers<void>();
  const toldOf = new Map<string, string>();
  let frames = 0;
  const send = (link: Link, message: object) => link.send(JSON.stringify({ ...message, n: ++frames }));
  const beat = () => send(link, { kind: "heartbeat", local: NO_LOCAL_TASKS, stats: STATS, runtimesAway: [] });

  link.onClose((reason) => {
    if (reason !== "ended") throw new Error(`sailor ${number} was cut off: ${reason}`);
  });
  link.onFrame((frame) => {
    const message = JSON.parse(frame as string) as DeckMessage;
    switch (message.kind) {
      case "challenge": {
        const { clusterId, nonce } = message;
        const text = proofText({ clusterId, nodeId, instance, nonce, dialledBy: "sailor" });
        return send(link, { kind: "proof", signature: signer.sign(text) });
      }
      case "welcome":
        welcome.resolve();
        // Not all at the same moment: they did not start at the same one either.
        setTimeout(() => setInterval(beat, message.heartbeatMs), Math.random() * message.heartbeatMs);
        return;
      case "ping":
        return beat();
      case "assign": {
        const reports: AttemptReport[] = [];
        for (const { attemptId, sailId, number, desired, spec } of message.assignments) {
          toldOf.set(attemptId, sailId);
          const startedMs = Math.round(nowMs());
          const observed = { ...NOTHING_OBSERVED, containerId: attemptId, containerName: attemptId, startedMs };
          const report = { attemptId, sailId, number, revision: 1, observed };
          if (desired === "stop") reports.push({ ...report, revision: 2, state: "stopped", cause: "stopped" });
          else if (spec.image === ENDS) {
            reports.push({ ...report, state: "completed", cause: "exited", observed: { ...observed, exitCode: 0 } });
          } else reports.push({ ...report, state: "running", cause: null });
        }
        return send(link, { kind: "reports", reports });
      }
      case "acknowledge": {
        const atMs = nowMs();
        for (const { attemptId } of message.reports) {
          const sailId = toldOf.get(attemptId);
          if (sailId !== undefined && !acknowledged.has(sailId)) acknowledged.set(sailId, atMs);
          toldOf.delete(attemptId);
        }
        return;
      }
      default:
        throw new Error(`sailor ${number} was sent a message of the kind ${message.kind}`);
    }
  });
  send(
    link,
    {
      kind: "hello",
      protocol: PROTOCOL_VERSION,
      version: "bench",
      nodeId,
      publicKey: signer.publicKey,
      name: `bench-${number}`,
      instance,
      clusterId: null,
      highestTerm: 0,
      address: null,
      engineId: `engine-${number}`,
      runtimes: ["docker"],
      allows: { binds: [], hostNetwork: false },
      capacity: CAPACITY,
      labels: { zone: `z${number % 3}` },
      attempts: [],
      local: NO_LOCAL_TASKS,
      stats: STATS,
      abilities: ["steps", "secrets", "services", "http"],
    } satisfies Hello,
  );
  await welcome.promise;
}

async function joinAll(): Promise<void> {
  for (let from = 0; from < count; from += DIALS_AT_ONCE) {
    const some = Array.from({ length: Math.min(DIALS_AT_ONCE, count - from) }, (_, i) => join(first + from + i));
    await Promise.all(some);
  }
}

const all = joinAll();
await answerOrders(async (order: "ready" | "acknowledged") => {
  if (order === "ready") await all;
  if (order !== "acknowledged") return null;
  const times = Object.fromEntries(acknowledged);
  acknowledged.clear();
  return times;
});
Deno.exit(0);
