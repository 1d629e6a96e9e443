/**
 * Watchers of a deck's events, many in one process, and some that open a stream and never read it.
 *
 *   deno run -A tests/bench/watchers.ts PORT COUNT SLOW
 *
 * Orders: "ready" waits until all have their stream; { of: NAME } waits until each has the event that accepts the task of that
 * name and gives when it came to each of them.
 */
import { answerOrders, nowMs } from "./orders.ts";
import { ask, pieces } from "./raw_http.ts";

const [port, count, slow] = Deno.args.map(Number);
const STREAM = { path: "/v1/events", headers: { accept: "text/event-stream" } };
const waiting = new Map<string, { times: number[]; done: () => void; promise: Promise<void> }>();

function arrivalsOf(name: string) {
  let entry = waiting.get(name);
  if (!entry) {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.set(name, entry = { times: [], done: resolve, promise });
  }
  return entry;
}

async function watch(open: () => void): Promise<void> {
  let rest = "";
  for await (const piece of pieces(await ask({ port }, STREAM))) {
    open();
    const atMs = nowMs();
    rest += piece;
    const end = rest.lastIndexOf("\n\n");
    if (end < 0) continue;
    for (const [, name] of rest.slice(0, end).matchAll(/"kind":"taskAccepted".*?"task":"([^"]+)"/g)) {
      const entry = arrivalsOf(name);
      if (entry.times.push(atMs) === count) entry.done();
    }
    rest = rest.slice(end + 2);
  }
}

const opened = Array.from({ length: count }, () => new Promise<void>((resolve) => void watch(resolve)));
const idle = await Promise.all(Array.from({ length: slow }, () => ask({ port }, STREAM)));
await answerOrders(async (order: "ready" | { of: string }) => {
  if (order === "ready") {
    await Promise.all(opened);
    return null;
  }
  const entry = arrivalsOf(order.of);
  await entry.promise;
  return entry.times;
});
for (const connection of idle) connection.close();
Deno.exit(0);
