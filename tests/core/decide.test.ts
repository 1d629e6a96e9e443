import assert from "node:assert/strict";
import type { SubmitDecision } from "../../lib/core/decide_submit.ts";
import { MIB, reportOf, TestWorld } from "./support.ts";

Deno.test("submit places at once where a node fits, and tells the sailor in the same draft", () => {
  const w = new TestWorld();
  w.hello("n1");
  const draft = w.submit("a");
  assert.equal(w.sail("a").state, "scheduled");
  assert.equal(w.attempt("a-1").nodeId, "n1");
  assert.deepEqual(draft.sends.map((s) => s.kind), ["assign"]);
  assert.ok(draft.changes.some((c) => c.kind === "attempt") && draft.changes.some((c) => c.kind === "sail"));
});

Deno.test("submit of the same id and spec again is the same task, of another spec a conflict", () => {
  const w = new TestWorld();
  w.submit("a");
  const again = w.submit("a").reply as SubmitDecision;
  assert.equal(again.kind === "accepted" && again.created, false);
  const other = w.submit("a", { image: "other:1" }).reply as SubmitDecision;
  assert.equal(other.kind === "conflict" && other.code, "idInUse");
});

Deno.test("submit refuses the name of a live task and takes it once that has ended", () => {
  const w = new TestWorld();
  w.submit("a", { name: "web" });
  const refused = w.submit("b", { name: "web" });
  assert.equal((refused.reply as SubmitDecision).kind, "conflict");
  assert.equal(refused.changes.length, 0);
  w.input({ kind: "stop", sailId: "a", graceMs: null });
  assert.equal((w.submit("b", { name: "web" }).reply as SubmitDecision).kind, "accepted");
});

Deno.test("a pending task is placed as soon as capacity appears", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("big", { memory: "1000MiB" });
  w.submit("second", { memory: "1000MiB" });
  assert.equal(w.sail("second").state, "pending");
  w.report("n1", "big-1", "completed", { cause: "exited", observed: { exitCode: 0 } });
  assert.equal(w.sail("big").state, "completed");
  assert.equal(w.sail("second").state, "scheduled");
});

Deno.test("reports move a task along, each acknowledged in the draft that keeps it", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  const draft = w.report("n1", "a-1", "running");
  assert.equal(w.sail("a").state, "running");
  assert.deepEqual(draft.sends.map((s) => s.kind === "message" && s.message.kind), ["acknowledge"]);
  w.report("n1", "a-1", "failed", { cause: "exited", observed: { exitCode: 3 } });
  assert.equal(w.sail("a").state, "failed");
  assert.equal(w.sail("a").why, "exited with code 3");
  assert.equal(w.attempt("a-1").holding, false);
});

Deno.test("a report for an ended attempt changes nothing and tells the sailor to drop it", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "completed", { cause: "exited", observed: { exitCode: 0 } });
  const before = w.attempt("a-1");
  const draft = w.report("n1", "a-1", "running");
  assert.equal(w.attempt("a-1"), before);
  assert.ok(draft.sends.some((s) => s.kind === "drop" && s.attemptId === "a-1"));
});

Deno.test("stop asks the sailor, and ends only with its report", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  const draft = w.input({ kind: "stop", sailId: "a", graceMs: 500 });
  assert.equal(w.sail("a").state, "stopping");
  const send = draft.sends.find((s) => s.kind === "assign");
  assert.equal(send?.kind === "assign" && send.assignment.desired, "stop");
  assert.equal(send?.kind === "assign" && send.assignment.graceMs, 500);
  w.report("n1", "a-1", "stopped", { cause: "stopped" });
  assert.equal(w.sail("a").state, "stopped");
});

Deno.test("a stop outlives the node's absence: the attempt that returns is told to stop (I5)", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  w.pass(1_000, ["n1"]);
  w.input({ kind: "sessionClosed", sessionId: "s-n1", nodeId: "n1" });
  w.pass(12_000);
  assert.equal(w.attempt("a-1").state, "unknown");
  w.input({ kind: "stop", sailId: "a", graceMs: null });
  assert.equal(w.sail("a").state, "stopping");
  w.hello("n1", { attempts: [reportOf("a-1", "running")] }, "s2");
  const welcome = w.drafts.flatMap((d) => d.sends).findLast((s) =>
    s.kind === "message" && s.message.kind === "welcome"
  );
  const list = welcome?.kind === "message" && welcome.message.kind === "welcome" ? welcome.message.assignments : [];
  assert.deepEqual(list.map((a) => [a.attemptId, a.desired]), [["a-1", "stop"]]);
});

Deno.test("a lost node's tasks are replaced elsewhere, and what returns is not theirs any more (I2)", () => {
  const w = new TestWorld();
  for (const n of ["n1", "n2", "n3"]) w.hello(n);
  w.submit("a", { ports: ["8080:80"] });
  const first = w.attempt("a-1").nodeId;
  w.report(first, "a-1", "running");
  const others = ["n1", "n2", "n3"].filter((n) => n !== first);
  w.pass(1_000, ["n1", "n2", "n3"]);
  w.input({ kind: "sessionClosed", sessionId: `s-${first}`, nodeId: first });
  w.pass(12_000, others);
  assert.equal(w.attempt("a-1").state, "lost");
  assert.equal(w.attempt("a-1").holding, true, "its port is held until its sailor says it is gone");
  assert.notEqual(w.attempt("a-2").nodeId, first);
  const back = w.hello(first, { attempts: [reportOf("a-1", "running")] }, "s2");
  assert.ok(back);
  assert.equal(w.attempt("a-1").state, "lost");
  assert.equal(w.attempt("a-1").holding, true);
  w.input({
    kind: "reports",
    sessionId: "s2",
    nodeId: first,
    reports: [reportOf("a-1", "stopped", { cause: "stopped" })],
    hello: null,
  });
  assert.equal(w.attempt("a-1").holding, false);
  assert.equal(w.sail("a").currentAttemptId, "a-2");
});

Deno.test("a lost task that fits nowhere else stays unknown and returns to running with its node", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  w.pass(1_000, ["n1"]);
  w.input({ kind: "sessionClosed", sessionId: "s-n1", nodeId: "n1" });
  w.pass(12_000);
  assert.equal(w.sail("a").state, "unknown");
  w.hello("n1", { attempts: [reportOf("a-1", "running")] }, "s2");
  assert.equal(w.sail("a").state, "running");
  assert.equal(w.sail("a").attempts, 1);
});

Deno.test("reschedule: false keeps a lost node's task where it is", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.hello("n2");
  w.submit("a", { reschedule: false, constraints: ["node.name != n3"] });
  const node = w.attempt("a-1").nodeId;
  const other = node === "n1" ? "n2" : "n1";
  w.report(node, "a-1", "running");
  w.pass(1_000, ["n1", "n2"]);
  w.pass(12_000, [other]);
  assert.equal(w.sail("a").state, "unknown");
  assert.equal(w.sail("a").attempts, 1);
});

Deno.test("a task whose restarts are used up is failed, or tried again later when its document says so", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("once");
  w.report("n1", "once-1", "failed", { cause: "restartsUsedUp", observed: { exitCode: 1, restarts: 3 } });
  assert.equal(w.sail("once").state, "failed");
  w.submit("again", { reschedule: true });
  const draft = w.report("n1", "again-1", "failed", { cause: "restartsUsedUp", observed: { exitCode: 1 } });
  assert.equal(w.sail("again").state, "pending");
  assert.deepEqual(draft.alarms.map((a) => a.topic), ["sail/again"], "the alarm is part of the same write");
  const waitMs = w.sail("again").retryAtMs! - w.wallMs;
  assert.ok(waitMs >= 1_000 && waitMs <= 2_000, String(waitMs));
  w.input({ kind: "alarm", topic: "sail/again" });
  assert.equal(w.sail("again").state, "pending", "an alarm that comes early changes nothing");
  w.wallMs += waitMs;
  w.input({ kind: "alarm", topic: "sail/again" });
  assert.equal(w.sail("again").state, "scheduled");
  assert.equal(w.sail("again").attempts, 2);
});

Deno.test("a removed node that comes back with what it ran has that room taken until it is stopped", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { ports: ["8080:80"] });
  w.report("n1", "a-1", "running");
  w.input({ kind: "sessionClosed", sessionId: "s-n1", nodeId: "n1" });
  w.pass(20_000);
  w.input({ kind: "removeNode", nodeId: "n1" });
  assert.equal(w.attempt("a-1").holding, false);
  w.hello("n1", { attempts: [reportOf("a-1", "running")] });
  assert.equal(w.attempt("a-1").holding, true);
  assert.equal(w.sail("a").state, "pending", "its port is taken by its own last attempt");
  w.report("n1", "a-1", "stopped", { cause: "stopped" });
  assert.deepEqual([w.attempt("a-1").holding, w.sail("a").currentAttemptId], [false, "a-2"]);
});

Deno.test("a retry is not put off when the wall clock goes back by more than any wait", () => {
  for (const wake of [{ kind: "alarm", topic: "sail/again" }, { kind: "place" }] as const) {
    const w = new TestWorld();
    w.hello("n1");
    w.submit("again", { reschedule: true });
    w.report("n1", "again-1", "failed", { cause: "restartsUsedUp" });
    w.wallMs -= 3_600_000;
    w.input(wake);
    assert.equal(w.sail("again").state, "scheduled", wake.kind);
  }
});

Deno.test("a retry that fell due while the deck was away is made at its start", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { reschedule: true });
  w.report("n1", "a-1", "failed", { cause: "notCreated", observed: { message: "no such image" } });
  w.wallMs += 10_000;
  w.input({ kind: "catchUp" });
  assert.equal(w.sail("a").state, "scheduled");
});

Deno.test("drain moves tasks to where there is room, and ends drained", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  w.input({ kind: "setEligibility", nodeId: "n1", to: "draining" });
  assert.equal(w.attempt("a-1").desired, "run", "with no other node it stays");
  w.hello("n2");
  assert.equal(w.attempt("a-1").desired, "stop");
  assert.equal(w.sail("a").desired, "run");
  w.report("n1", "a-1", "stopped", { cause: "stopped" });
  assert.equal(w.attempt("a-2").nodeId, "n2");
  assert.equal(w.state.masts.get("n1")!.eligibility, "drained");
  w.input({ kind: "setEligibility", nodeId: "n1", to: "eligible" });
  assert.equal(w.state.masts.get("n1")!.eligibility, "eligible");
});

Deno.test("drain asks no more tasks to leave than there is room for, also while earlier ones are still on their way", () => {
  const w = new TestWorld();
  const half = { memory: "512MiB" };
  w.hello("n1", { capacity: { cpuCores: 4, memoryBytes: 2048 * MIB, diskBytes: 0 } });
  for (const id of ["a", "b", "c"]) {
    w.submit(id, half);
    w.report("n1", `${id}-1`, "running");
  }
  w.hello("n2", { capacity: { cpuCores: 4, memoryBytes: 1100 * MIB, diskBytes: 0 } });
  const leaving = () => ["a-1", "b-1", "c-1"].filter((id) => w.attempt(id).desired === "stop");
  w.input({ kind: "setEligibility", nodeId: "n1", to: "draining" });
  assert.deepEqual(leaving(), ["a-1", "b-1"], "n2 has room for two");
  w.input({ kind: "place" });
  assert.deepEqual(leaving(), ["a-1", "b-1"]);
  w.report("n1", "a-1", "stopped", { cause: "stopped" });
  assert.equal(w.attempt("a-2").nodeId, "n2");
  assert.deepEqual(leaving(), ["a-1", "b-1"]);
  w.hello("n3");
  assert.deepEqual(leaving(), ["a-1", "b-1", "c-1"]);
});

Deno.test("removeNode refuses a node that runs tasks, and replaces those of one that is down", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  assert.equal((w.input({ kind: "removeNode", nodeId: "n1" }).reply as { kind: string }).kind, "conflict");
  w.pass(1_000, ["n1"]);
  w.input({ kind: "sessionClosed", sessionId: "s-n1", nodeId: "n1" });
  w.pass(12_000);
  w.input({ kind: "removeNode", nodeId: "n1" });
  assert.equal(w.state.masts.size, 0);
  assert.equal(w.attempt("a-1").state, "lost");
  assert.equal(w.sail("a").state, "pending");
});

Deno.test("hello is refused for a foreign cluster, an older deck, and a second process of a node that answers", () => {
  const w = new TestWorld();
  const codeOf = (draft: ReturnType<TestWorld["hello"]>) => {
    const send = draft.sends[0];
    return send?.kind === "message" && send.message.kind === "refuse" ? send.message.code : undefined;
  };
  assert.equal(codeOf(w.hello("n1", { clusterId: "other" })), "foreignCluster");
  assert.equal(codeOf(w.hello("n1", { clusterId: "cluster-1", highestTerm: 2 })), "staleTerm");
  assert.equal(w.state.masts.size, 0);
  w.hello("n1");
  assert.equal(codeOf(w.hello("n1", { instance: "second" }, "s2")), "secondInstance");
  w.monoMs += 6_000;
  assert.equal(codeOf(w.hello("n1", { instance: "second" }, "s3")), undefined, "the first has not answered for long");
});

Deno.test("sailors that share an Engine share one book of capacity and host ports (I4)", () => {
  const w = new TestWorld();
  w.hello("n1", { engineId: "shared" });
  w.hello("n2", { engineId: "shared" });
  w.submit("a", { ports: ["80:80"] });
  w.submit("b", { ports: ["80:80"] });
  assert.equal(w.sail("b").state, "pending");
  w.submit("c", { memory: "900MiB" });
  w.submit("d", { memory: "900MiB" });
  assert.equal(w.sail("d").state, "pending");
  assert.equal(w.state.books.get("shared")!.memoryBytes, 964 * MIB);
});

Deno.test("tasks given to a sailor directly count against its Engine", () => {
  const w = new TestWorld();
  w.hello("n1", {
    local: { cpuCores: 1, memoryBytes: 1000 * MIB, diskBytes: 0, hostPorts: ["90/tcp"], taskCount: 1 },
  });
  w.submit("a");
  w.submit("b", { memory: "8MiB", ports: ["90:1"] });
  assert.equal(w.sail("a").state, "pending");
  assert.equal(w.sail("b").state, "pending");
});

Deno.test("sweep forgets ended tasks after their time and keeps the living", () => {
  const w = new TestWorld({ keepEndedMs: 1_000, keepEventsMax: 3 });
  w.hello("n1");
  for (let i = 0; i < 30; i++) {
    w.submit(`t${i}`);
    if (i > 0) w.report("n1", `t${i}-1`, "completed", { cause: "exited", observed: { exitCode: 0 } });
  }
  w.wallMs += 2_000;
  w.input({ kind: "sweep" });
  assert.deepEqual([...w.state.sails.keys()], ["t0"]);
  assert.deepEqual([...w.state.attempts.keys()], ["t0-1"]);
  assert.deepEqual([...w.state.specs.keys()], ["t0"]);
  assert.equal(w.state.eventsBySail.size, 0);
});

Deno.test("openBatch repeats for the same body, refuses another under the same key", () => {
  const w = new TestWorld();
  const open = (digest: string) =>
    (w.input({ kind: "openBatch", key: "k", digest, names: ["x"], ids: ["1"] }).reply as { kind: string }).kind;
  assert.deepEqual([open("d"), open("d"), open("e")], ["open", "open", "conflict"]);
});

Deno.test("a draft that is taken back leaves no trace in any index", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a", { ports: ["80:80"] });
  const before = snapshot(w);
  const draft = w.submit("b", { ports: ["81:80"] });
  assert.notEqual(snapshot(w), before);
  draft.undo();
  assert.equal(snapshot(w), before);
});

function snapshot(w: TestWorld): string {
  const { state } = w;
  const plain = (value: unknown): unknown =>
    value instanceof Map
      ? [...value].map(([k, v]) => [k, plain(v)])
      : value instanceof Set
      ? [...value]
      : typeof value === "object" && value !== null
      ? Object.entries(value).map(([k, v]) => [k, plain(v)])
      : value;
  return JSON.stringify([
    plain(state.sails),
    plain(state.attempts),
    plain(state.liveNames),
    plain(state.pending),
    plain(state.attemptsByNode),
    plain(state.books),
    plain(state.eventsBySail),
    [...state.countByState].filter(([, n]) => n > 0),
  ]);
}
