/** Regressions that reading found: writes that outgrow the store, two sessions for one node, suspicion, leftovers of defects. */
import assert from "node:assert/strict";
import { ATTEMPTS_KEPT } from "../../lib/core/changes.ts";
import type { Draft } from "../../lib/core/draft.ts";
import { judgeLiveness } from "../../lib/core/liveness.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import { MIB, reportOf, TestWorld } from "./support.ts";

/** What the strictest store takes in one write. */
const MUTATIONS_MAX = 900;
const BYTES_MAX = 760_000;

const LARGE = { cpuCores: 1e6, memoryBytes: 1e15, diskBytes: 1e15 };

function assertDraftsFit(drafts: readonly Draft[]): void {
  for (const draft of drafts) {
    assert.ok(draft.changes.length + draft.alarms.length <= MUTATIONS_MAX, `${draft.changes.length} changes`);
    const bytes = draft.changes.reduce((sum, c) => sum + new TextEncoder().encode(JSON.stringify(c)).length, 0);
    assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
  }
}

function refusalOf(draft: Draft): string | undefined {
  for (const send of draft.sends) {
    if (send.kind === "message" && send.message.kind === "refuse") return send.message.code;
  }
}

Deno.test("a thousand reports in one message, each with the output of a failure, fit into the store and are all acknowledged", () => {
  const w = new TestWorld();
  w.hello("n1", { capacity: LARGE });
  const ids = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
  for (const id of ids) w.submit(id);
  w.drafts.length = 0;
  const observed = { exitCode: 1, message: "é".repeat(2_000), outputTail: "é".repeat(4_000) };
  const reports = ids.map((id) => reportOf(`${id}-1`, "failed", { cause: "exited", observed }));
  w.input({ kind: "reports", sessionId: "s-n1", nodeId: "n1", reports, hello: null });
  assertDraftsFit(w.drafts);
  const acknowledged = w.drafts.flatMap((d) => d.sends).flatMap((s) =>
    s.kind === "message" && s.message.kind === "acknowledge" ? s.message.reports : []
  );
  assert.equal(acknowledged.length, 1_000);
  assert.ok(ids.every((id) => w.sail(id).state === "failed"));
});

Deno.test("a hello of a node that has lost a thousand replaced attempts fits into the store and frees them all", () => {
  const w = new TestWorld();
  w.hello("n1", { capacity: LARGE });
  const ids = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
  for (const id of ids) w.submit(id);
  w.hello("n2", { capacity: LARGE });
  w.hello("n3", { capacity: LARGE });
  w.pass(15_000, ["n2", "n3"]);
  assert.ok(ids.every((id) => w.attempt(`${id}-1`).state === "lost" && w.attempt(`${id}-1`).holding));
  w.drafts.length = 0;
  w.hello("n1", { capacity: LARGE, instance: "again" }, "s2-n1");
  assertDraftsFit(w.drafts);
  assert.equal(w.state.book("e-n1").memoryBytes, 0);
  const welcomes = w.drafts.flatMap((d) => d.sends).filter((s) => s.kind === "message" && s.message.kind === "welcome");
  assert.equal(welcomes.length, 1);
});

Deno.test("tick gives up a thousand silent nodes in writes that fit", () => {
  const w = new TestWorld();
  for (let i = 0; i < 2_100; i++) w.hello(`n${i}`);
  const alive = Array.from({ length: 1_100 }, (_, i) => `n${i}`);
  w.drafts.length = 0;
  w.pass(25_000, alive);
  assertDraftsFit(w.drafts);
  assert.equal([...w.state.masts.values()].filter((m) => m.status === "down").length, 1_000);
});

Deno.test("a task that fails again and again keeps its newest attempts only, and is swept in writes that fit", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { reschedule: true });
  for (let n = 1; n <= 100; n++) {
    w.report("n1", `a-${n}`, "failed", { cause: "notCreated" });
    w.wallMs += 600_000;
    w.input({ kind: "alarm", topic: "sail/a" });
  }
  assert.equal(w.sail("a").attempts, 101);
  assert.equal(w.state.attemptsBySail.get("a")!.size, ATTEMPTS_KEPT);
  assert.ok(w.attempt("a-101"));
});

Deno.test("sweep counts the attempts of ended tasks, so that a write stays small", () => {
  const w = new TestWorld({ keepEndedMax: 0 });
  w.hello("n1", { capacity: LARGE });
  for (let i = 0; i < 60; i++) {
    w.submit(`t${i}`, { reschedule: true });
    for (let n = 1; n <= 20; n++) {
      w.report("n1", `t${i}-${n}`, "failed", { cause: "notCreated" });
      w.wallMs += 600_000;
      w.input({ kind: "alarm", topic: `sail/t${i}` });
    }
    w.report("n1", `t${i}-21`, "completed", { cause: "exited" });
  }
  w.drafts.length = 0;
  w.input({ kind: "sweep" });
  assertDraftsFit(w.drafts);
  assert.equal(w.state.sails.size, 0);
  assert.equal(w.state.attempts.size, 0);
});

Deno.test("a sweep places what fell due without an alarm", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { reschedule: true });
  w.report("n1", "a-1", "failed", { cause: "notCreated" });
  w.wallMs += 600_000;
  w.input({ kind: "sweep" });
  assert.equal(w.sail("a").currentAttemptId, "a-2");
});

Deno.test("a report of a session that is not the node's any more changes nothing", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  const report = reportOf("a-1", "running");
  w.hello("n1", { attempts: [report] }, "s2-n1");
  const draft = w.report("n1", "a-1", "preparing");
  assert.equal(w.attempt("a-1").state, "running");
  assert.deepEqual([draft.changes, draft.sends], [[], []]);
});

Deno.test("a sailor that is dialled and dials itself keeps the session it has, and may come the other way when it is gone", () => {
  const w = new TestWorld();
  w.hello("n1", { attempts: [] });
  const dialled = {
    kind: "hello" as const,
    sessionId: "s-dialled",
    staticAddress: "localhost:5556",
    remoteIp: "",
    hello: {
      kind: "hello" as const,
      protocol: 1,
      version: "test",
      nodeId: "n1",
      name: "n1",
      instance: "i-n1",
      clusterId: null,
      highestTerm: 0,
      address: null,
      engineId: "e-n1",
      runtimes: ["docker" as const],
      capacity: { cpuCores: 4, memoryBytes: 1024 * MIB, diskBytes: 100 * 2 ** 30 },
      labels: {},
      attempts: [],
      local: NO_LOCAL_USE,
      stats: null,
    },
  };
  assert.equal(refusalOf(w.input(dialled)), "secondInstance");
  assert.equal(w.state.live.get("n1")!.sessionId, "s-n1");
  // The same way again: its link broke, and the deck has not seen that yet.
  assert.equal(refusalOf(w.hello("n1", {}, "s2-n1")), undefined);
  assert.equal(w.state.live.get("n1")!.sessionId, "s2-n1");
  w.input({ kind: "sessionClosed", sessionId: "s2-n1", nodeId: "n1" });
  assert.equal(refusalOf(w.input(dialled)), undefined);
  assert.equal(w.state.live.get("n1")!.sessionId, "s-dialled");
});

Deno.test("judgeLiveness() suspects itself before the last of the silent nodes has passed the timeout", () => {
  const w = new TestWorld();
  for (const id of ["n0", "n1", "n2"]) w.hello(id);
  const silentMs = { n0: 10_500, n1: 9_000, n2: 8_500 };
  for (const [id, ms] of Object.entries(silentMs)) {
    w.state.live.set(id, { ...w.state.live.get(id)!, heardMonoMs: 100_000 - ms });
  }
  const verdict = judgeLiveness({
    masts: w.state.masts.values(),
    live: w.state.live,
    nowMonoMs: 100_000,
    lastTickMonoMs: 99_000,
    nodeTimeoutMs: 10_000,
  });
  assert.deepEqual(verdict, { kind: "judged", lost: [], suspicious: true });
});

Deno.test("a deck with a short node timeout waits after its start until sailors have had time to dial", () => {
  const w = new TestWorld({ nodeTimeoutMs: 2_000, heartbeatMs: 500 });
  w.hello("n1");
  w.state.live.clear();
  w.world.memory.lastTickMonoMs = -1;
  w.pass(7_000);
  assert.equal(w.state.masts.get("n1")!.status, "ready");
  w.pass(4_000);
  assert.equal(w.state.masts.get("n1")!.status, "down");
});

Deno.test("decide() leaves no half decision behind when it throws", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.submit("b");
  w.state.apply({ kind: "spec", id: "b", value: undefined });
  const reports = [
    reportOf("a-1", "completed", { cause: "exited" }),
    reportOf("b-1", "completed", { cause: "exited" }),
  ];
  assert.throws(() => w.input({ kind: "reports", sessionId: "s-n1", nodeId: "n1", reports, hello: null }));
  assert.equal(w.attempt("a-1").state, "assigned");
  assert.equal(w.sail("a").state, "scheduled");
});

Deno.test("draining many nodes at once stays in writes that fit", () => {
  const w = new TestWorld();
  for (let i = 0; i < 200; i++) w.hello(`n${i}`, { capacity: LARGE });
  for (let i = 0; i < 1_000; i++) w.submit(`t${i}`);
  w.hello("spare", { capacity: LARGE });
  for (let i = 0; i < 200; i++) {
    const mast = w.state.masts.get(`n${i}`)!;
    w.state.apply({ kind: "mast", id: mast.id, value: { ...mast, eligibility: "draining" } });
  }
  w.drafts.length = 0;
  w.input({ kind: "place" });
  assertDraftsFit(w.drafts);
  assert.equal([...w.state.attempts.values()].filter((a) => a.desired === "stop").length, 800);
});
