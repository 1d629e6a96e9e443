/** An Engine that keeps its connections open and says nothing. */
import assert from "node:assert/strict";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { ContainerSpec, Runtime, RuntimeEvent } from "../../lib/contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE } from "../../lib/contracts/runtime.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import { containerSpec } from "../../lib/sailor/container_spec.ts";
import { newEntry } from "../../lib/sailor/journal.ts";
import type { Exchange } from "../fixtures/scripted_engine.ts";
import { scriptedEngine } from "../fixtures/scripted_engine.ts";

const NODE = "node-1";
const SHORT = { infoMs: 50, lookMs: 50, changeMs: 50, overGraceMs: 50, pingEveryMs: 20, pingMs: 50 };
const runtimeAt = (host: string, deadlines = SHORT) =>
  createDockerRuntime({ host, nodeId: NODE, clock: createSystemClock(), deadlines });

const entry = newEntry({
  attemptId: "a-1",
  sailId: "a",
  number: 1,
  owner: "cluster",
  createdMs: 0,
  desired: "run",
  graceMs: 0,
  acknowledged: false,
});
const spec: ContainerSpec = containerSpec("the-name", entry, taskDocument.parse({ name: "a", image: "a:1" }));
const inspected = {
  Id: "1",
  Name: "/the-name",
  Config: { Labels: { [LABEL_NODE]: NODE, [LABEL_ATTEMPT]: "a-1" } },
  State: { Status: "created", Running: false, Restarting: false, ExitCode: 0, OOMKilled: false },
};

const CALLS: readonly (readonly [string, (runtime: Runtime) => Promise<unknown>])[] = [
  ["info", (runtime) => runtime.info()],
  ["list", (runtime) => runtime.list()],
  ["inspect", (runtime) => runtime.inspect("the-name")],
  ["hasImage", (runtime) => runtime.hasImage("a:1")],
  ["create", (runtime) => runtime.create(spec, new AbortController().signal)],
  ["start", (runtime) => runtime.start("the-name")],
  ["stop", (runtime) => runtime.stop("the-name", 0)],
  ["restart", (runtime) => runtime.restart("the-name", 0)],
  ["remove", (runtime) => runtime.remove("the-name")],
];
for (const [name, call] of CALLS) {
  Deno.test(`docker runtime: ${name}() of an Engine that does not answer ends as unavailable`, async () => {
    // What is asked about first is answered, so that the call itself hangs.
    const looksFirst = ["stop", "restart", "remove"].includes(name);
    await using engine = await scriptedEngine((exchange) =>
      looksFirst && exchange.url.pathname.endsWith("/json") ? exchange.json(inspected) : exchange.left
    );
    await assert.rejects(call(runtimeAt(engine.host)), { code: "unavailable" });
  });
}

Deno.test("docker runtime: what an unanswered create has made is found, not made again", async () => {
  let creates = 0;
  await using engine = await scriptedEngine((exchange) => {
    if (exchange.url.pathname.endsWith("/json")) return exchange.json(inspected);
    return ++creates === 1 ? exchange.left : exchange.json({ message: "the name is already in use" }, 409);
  });
  const runtime = runtimeAt(engine.host);
  await assert.rejects(runtime.create(spec, new AbortController().signal), { code: "unavailable" });
  assert.equal((await runtime.create(spec, new AbortController().signal)).id, "1");
});

Deno.test("docker runtime: a name in use by what does not show yet is no conflict but asks for patience", async () => {
  await using engine = await scriptedEngine((exchange) =>
    exchange.url.pathname.endsWith("/json")
      ? exchange.json({ message: "no such container" }, 404)
      : exchange.json({ message: "the name is already in use" }, 409)
  );
  await assert.rejects(runtimeAt(engine.host).create(spec, new AbortController().signal), {
    code: "unavailable",
    message: /still at work on a container named the-name/,
  });
});

for (const [status, running, there] of [["removing", false, false], ["dead", false, false], ["removing", true, true]]) {
  Deno.test(`docker runtime: a container that is ${status}${running ? " and runs still" : ""} is ${there ? "" : "not "}there`, async () => {
    const State = { ...inspected.State, Status: status, Running: running };
    await using engine = await scriptedEngine((exchange) => exchange.json({ ...inspected, State }));
    const found = await runtimeAt(engine.host, { ...SHORT, lookMs: 5_000 }).inspect("the-name");
    assert.equal(found !== undefined, there);
  });
}

Deno.test("docker runtime: events of an Engine that hangs are lost, and back when it answers", async () => {
  let hangs = true;
  const answer = async (exchange: Exchange) => {
    if (exchange.url.pathname === "/events") {
      await exchange.begin();
      await exchange.left;
    } else if (hangs) {
      hangs = false;
      await exchange.left;
    } else await exchange.json("OK");
  };
  await using engine = await scriptedEngine(answer);
  const abort = new AbortController();
  const seen: RuntimeEvent[] = [];
  for await (const event of runtimeAt(engine.host).events(abort.signal)) {
    seen.push(event);
    if (seen.length === 3) abort.abort();
  }
  assert.deepEqual(seen.map((event) => event.kind), ["back", "lost", "back"]);
  assert.match((seen[1] as { reason: string }).reason, /has not answered within 0.05 s/);
});
