import assert from "node:assert/strict";
import fc from "fast-check";
import type { TaskSpec } from "../../../lib/core/documents/task.ts";
import { reservationOf } from "../../../lib/core/rudder/filters.ts";
import { choose } from "../../../lib/core/rudder/rudder.ts";
import { SCHEDULERS } from "../../../lib/core/rudder/schedulers.ts";
import type { SchedulerName } from "../../../lib/core/rudder/rudder.ts";
import { MIB, spec, TestWorld } from "../support.ts";

function why(w: TestWorld, document: Parameters<typeof spec>[0]): string {
  const choice = choose(w.state, SCHEDULERS.epvm, spec(document), { turn: 0 });
  return choice.kind === "refused" ? choice.why : `placed on ${choice.candidate.mast.name}`;
}

Deno.test("choose() says why nothing fits, one reason a node, the commonest first", () => {
  const w = new TestWorld();
  assert.equal(why(w, {}), "no node has joined");
  const capacity = { cpuCores: 2, memoryBytes: 300 * MIB, diskBytes: 2 ** 30 };
  w.hello("n1", { capacity });
  w.hello("n2", { capacity: { ...capacity, memoryBytes: 200 * MIB } });
  w.hello("n3");
  w.input({ kind: "setEligibility", nodeId: "n3", to: "draining" });
  assert.equal(
    why(w, { memory: "512MiB" }),
    "3 nodes: 2 lack memory (need 512 MiB, largest free 300 MiB), 1 is draining",
  );
  assert.equal(
    why(w, { cpu: 8 }),
    "3 nodes: 2 lack cpu (need 8 cores, largest free 2), 1 is draining",
  );
  assert.match(why(w, { disk: "5GiB" }), /2 lack disk \(need 5 GiB, largest free 1 GiB\)/);
  assert.match(why(w, { constraints: ["node.labels.zone == eu"] }), /2 do not meet node.labels.zone == eu/);
  assert.match(why(w, { runtime: "process", cmd: ["x"] }), /2 have no process runtime/);
  w.input({ kind: "sessionClosed", sessionId: "s-n1", nodeId: "n1" });
  assert.match(why(w, { memory: "512MiB" }), /1 is not connected/);
});

Deno.test("choose() leaves out a node whose container engine does not answer, for tasks of that engine alone", () => {
  const w = new TestWorld();
  w.hello("n1", { runtimes: ["docker", "process"], runtimesAway: ["docker"] });
  assert.equal(why(w, {}), "1 node: 1 has a container engine that does not answer");
  assert.equal(why(w, { runtime: "process", cmd: ["x"] }), "placed on n1");
  w.hello("n1", { runtimes: ["docker", "process"] });
  assert.equal(why(w, {}), "placed on n1");
});

Deno.test("choose() leaves out nodes that cannot run steps, or make no requests, and asks no runtime for a request", () => {
  const w = new TestWorld();
  const step = { script: null, capture: true };
  const http = { url: "http://a/", method: "GET", headers: {}, body: null, timeoutMs: null };
  const placed = (task: TaskSpec) => {
    const choice = choose(w.state, SCHEDULERS.epvm, task, { turn: 0 });
    return choice.kind === "refused" ? choice.why : `placed on ${choice.candidate.mast.name}`;
  };
  const script = { ...spec({}), step };
  const request = { ...spec({}), step, runtime: "http" as const, http };
  w.hello("n1");
  assert.equal(placed(spec({})), "placed on n1");
  for (const task of [script, request]) assert.equal(placed(task), "1 node: 1 is too old for workflow steps");
  w.hello("n1", { abilities: ["steps", "of tomorrow"], runtimesAway: ["docker"] });
  assert.equal(placed(script), "1 node: 1 has a container engine that does not answer");
  assert.equal(placed(request), "1 node: 1 does not make http requests (--no-http)");
  w.hello("n1", { abilities: ["steps", "http"], runtimes: ["process"], runtimesAway: ["process"] });
  assert.equal(placed(script), "1 node: 1 has no docker runtime");
  assert.equal(placed(request), "placed on n1");
  assert.deepEqual(reservationOf(request), { cpuCores: 0.01, memoryBytes: 4 * MIB, diskBytes: 0, hostPorts: [] });
});

Deno.test("choose() names the host port that is taken", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { ports: ["8080:80"] });
  assert.equal(why(w, { ports: ["8080:81"] }), "1 node: 1 has host port 8080/tcp taken");
  assert.equal(why(w, { ports: ["8080:81/udp"] }), "placed on n1");
});

Deno.test("constraints compare names, ids and labels", () => {
  const w = new TestWorld();
  w.hello("n1", { labels: { zone: "eu" } });
  w.hello("n2", { labels: { zone: "us" } });
  assert.equal(why(w, { constraints: ["node.labels.zone == us"] }), "placed on n2");
  assert.equal(why(w, { constraints: ["node.labels.zone != us"] }), "placed on n1");
  assert.equal(why(w, { constraints: ["node.name == n2"] }), "placed on n2");
  assert.match(why(w, { constraints: ["node.labels.constructor == x"] }), /2 do not meet/);
});

function placements(scheduler: SchedulerName, count: number): string[] {
  const w = new TestWorld({ scheduler });
  for (const n of ["n1", "n2", "n3"]) w.hello(n);
  for (let i = 0; i < count; i++) w.submit(`t${i}`, { cpu: 0.5, memory: "100MiB" });
  return Array.from({ length: count }, (_, i) => w.attempt(`t${i}-1`).nodeId);
}

Deno.test("roundrobin takes turns", () =>
  assert.deepEqual(placements("roundrobin", 6), ["n1", "n2", "n3", "n1", "n2", "n3"]));
Deno.test("spread, greedy and epvm level the load", () => {
  for (const scheduler of ["spread", "greedy", "epvm"] as const) {
    const counts = new Map<string, number>();
    for (const node of placements(scheduler, 9)) counts.set(node, (counts.get(node) ?? 0) + 1);
    assert.deepEqual([...counts.values()], [3, 3, 3], scheduler);
  }
});
Deno.test("binpack fills one node before the next", () =>
  assert.deepEqual(placements("binpack", 9), [...Array(8).fill("n1"), "n2"]));

Deno.test("epvm counts the processor: a busy node is passed over though its memory is free", () => {
  const w = new TestWorld({ scheduler: "epvm" });
  for (const n of ["n1", "n2"]) w.hello(n);
  w.submit("hot", { cpu: 3.5, memory: "8MiB", constraints: ["node.name == n1"] });
  w.submit("next", { cpu: 0.5, memory: "8MiB" });
  assert.equal(w.attempt("next-1").nodeId, "n2");
});

Deno.test("property: whatever is submitted, no Engine's book exceeds its capacity and no host port is given twice (I4)", () => {
  const tasks = fc.array(
    fc.record({
      cpu: fc.integer({ min: 1, max: 3000 }).map((n) => n / 1000),
      memory: fc.integer({ min: 6, max: 700 }).map((n) => `${n}MiB`),
      port: fc.integer({ min: 1, max: 5 }),
      end: fc.boolean(),
    }),
    { maxLength: 40 },
  );
  const schedulers = fc.constantFrom(...Object.keys(SCHEDULERS) as SchedulerName[]);
  fc.assert(
    fc.property(tasks, schedulers, (list, scheduler) => {
      const w = new TestWorld({ scheduler });
      w.hello("n1", { engineId: "shared" });
      w.hello("n2", { engineId: "shared" });
      w.hello("n3");
      list.forEach((task, i) => {
        w.submit(`t${i}`, { cpu: task.cpu, memory: task.memory, ports: [`${task.port}:80`] });
        const node = w.sail(`t${i}`).currentAttemptId && w.attempt(`t${i}-1`).nodeId;
        if (task.end && node) w.report(node, `t${i}-1`, "completed", { cause: "exited", observed: { exitCode: 0 } });
        for (const [engine, book] of w.state.books) {
          assert.ok(book.cpuMillis >= 0 && book.cpuMillis <= 4000, `${engine} ${book.cpuMillis}`);
          assert.ok(book.memoryBytes >= 0 && book.memoryBytes <= 1024 * MIB);
          for (const holders of book.hostPorts.values()) assert.equal(holders.size, 1);
        }
      });
    }),
    { numRuns: 200 },
  );
});
