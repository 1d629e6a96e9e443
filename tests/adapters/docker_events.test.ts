import assert from "node:assert/strict";
import { eventOf } from "../../lib/adapters/docker_events.ts";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { RuntimeEvent } from "../../lib/contracts/runtime.ts";
import { LABEL_NODE } from "../../lib/contracts/runtime.ts";
import { eventually } from "../fixtures/eventually.ts";
import { scriptedEngine } from "../fixtures/scripted_engine.ts";

const ACTIONS: readonly (readonly [string, string | undefined])[] = [
  ["start", "started"],
  ["die", "died"],
  ["oom", "oom"],
  ["destroy", "removed"],
  ["rename", "other"],
  ["exec_create: sh -c true", undefined],
  ["exec_die", undefined],
];
for (const [action, what] of ACTIONS) {
  Deno.test(`eventOf() ${action}`, () => {
    const { event, atNs } = eventOf(line(action, 1_795_413_331_123_456_789n));
    assert.deepEqual(event, what && { kind: "container", name: "a", what });
    assert.equal(atNs, 1_795_413_331_123_456_789n);
  });
}

Deno.test("events() ask for their own label only, and after a break for what came since the last one", async () => {
  const queries: URLSearchParams[] = [];
  const seen: RuntimeEvent[] = [];
  await using engine = await scriptedEngine(async (exchange) => {
    queries.push(exchange.url.searchParams);
    await exchange.begin();
    if (queries.length === 1) {
      const text = `${line("start", 7_000_000_005n)}\n`;
      // A line may come in pieces.
      await exchange.send(text.slice(0, 20));
      await exchange.send(text.slice(20));
      await eventually("it was seen", () => seen.length === 2);
      return exchange.cut();
    }
    await exchange.send(`${line("die", 8_000_000_000n)}\n`);
    await exchange.left;
  });
  const runtime = createDockerRuntime({ host: engine.host, nodeId: "node-1", clock: createSystemClock() });
  const abort = new AbortController();
  for await (const event of runtime.events(abort.signal)) {
    seen.push(event);
    if (seen.length === 5) abort.abort();
  }
  const kinds = seen.map((event) => event.kind === "container" ? event.what : event.kind);
  assert.deepEqual(kinds, ["back", "started", "lost", "back", "died"]);
  assert.deepEqual(queries.map((query) => query.get("since")), [null, "7.000000005"]);
  assert.deepEqual(JSON.parse(queries[0].get("filters")!), { type: ["container"], label: [`${LABEL_NODE}=node-1`] });
});

Deno.test("events() given up while the Engine does not answer hang up", async () => {
  await using engine = await scriptedEngine((exchange) => exchange.left);
  const runtime = createDockerRuntime({ host: engine.host, nodeId: "node", clock: createSystemClock() });
  const abort = new AbortController();
  const reading = Array.fromAsync(runtime.events(abort.signal));
  await eventually("it was asked", () => engine.asked.length === 1);
  abort.abort();
  assert.deepEqual(await reading, []);
});

function line(action: string, atNs: bigint): string {
  return `{"Action":${JSON.stringify(action)},"Actor":{"Attributes":{"name":"a"}},"timeNano":${atNs}}`;
}
