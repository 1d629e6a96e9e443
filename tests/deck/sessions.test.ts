/** The deck's ends of sessions: their order, their sequence, and what closes them. */
import assert from "node:assert/strict";
import type { Link } from "../../lib/contracts/link.ts";
import type { Send } from "../../lib/core/draft.ts";
import type { Input } from "../../lib/core/input.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import type { Assignment } from "../../lib/core/outgoing.ts";
import { State } from "../../lib/core/state.ts";
import type { AcceptOptions, Sessions } from "../../lib/deck/sessions.ts";
import { createSessions } from "../../lib/deck/sessions.ts";
import { reportOf, SETTINGS, spec } from "../core/support.ts";
import { testVerify } from "../sim/keys.ts";
import type { VirtualClock } from "../fixtures/virtual_clock.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { countingRandom, helloOf, RecordingLogger, ScriptedSailor } from "./support.ts";

class Rig {
  readonly clock: VirtualClock = createVirtualClock();
  readonly working = new State();
  readonly inputs: Input[] = [];
  readonly logger = new RecordingLogger();
  readonly closed: string[] = [];
  readonly welcomed: string[] = [];
  readonly over: string[] = [];
  readonly sessions: Sessions = createSessions({
    addresses: () => ({ fill: (assignment) => assignment }),
    clusterId: "cluster-1",
    verify: testVerify,
    secrets: { fill: (assignment) => assignment, hideInReports: (reports) => reports },
    loop: () => ({
      post: (input) => void this.inputs.push(input),
      request: () => Promise.reject(new Error("sessions ask nothing")),
      depth: () => 0,
      publishedSequence: () => 0,
      storeProblem: () => null,
      stop: () => Promise.resolve(),
    }),
    working: this.working,
    term: 3,
    clock: this.clock,
    random: countingRandom("s"),
    logger: this.logger,
    onOver: (sessionId, reason) => void this.over.push(`${sessionId}: ${reason}`),
  });

  accept(link: Link, options: Partial<AcceptOptions> = {}): void {
    void this.sessions.accept(link, {
      staticAddress: null,
      remoteIp: "10.0.0.9",
      onWelcome: (id) => void this.welcomed.push(id),
      ...options,
    }).then((reason) => this.closed.push(reason));
  }

  /** A session that has said hello, and is welcomed if so wished. Sessions are named s-1, s-2 in the order of their coming. */
  async session(nodeId: string, isWelcomed = true): Promise<ScriptedSailor> {
    const sailor = new ScriptedSailor(nodeId);
    this.accept(sailor.link);
    sailor.hello();
    await this.clock.settle();
    const { sessionId } = this.ofKind("hello").at(-1)!;
    this.working.live.set(nodeId, {
      sessionId,
      instance: "i",
      heardMonoMs: this.clock.monoMs(),
      stats: null,
      local: NO_LOCAL_USE,
    });
    if (isWelcomed) this.sessions.send([welcome(sessionId)]);
    await this.clock.settle();
    return sailor;
  }

  ofKind<K extends Input["kind"]>(kind: K): Extract<Input, { kind: K }>[] {
    return this.inputs.filter((i): i is Extract<Input, { kind: K }> => i.kind === kind);
  }

  async send(...sends: Send[]): Promise<void> {
    this.sessions.send(sends);
    await this.clock.settle();
  }
}

const welcome = (sessionId: string): Send => ({
  kind: "message",
  sessionId,
  message: {
    kind: "welcome",
    protocol: 1,
    version: "test",
    clusterId: SETTINGS.clusterId,
    term: 3,
    sessionId,
    heartbeatMs: 2_000,
    timeoutMs: 10_000,
    assignments: [],
  },
});

function assign(nodeId: string, attemptId: string, desired: "run" | "stop" = "run"): Send {
  const assignment: Assignment = {
    attemptId,
    sailId: attemptId.slice(0, -2),
    number: 1,
    desired,
    graceMs: 1_000,
    known: false,
    spec: spec(),
  };
  return { kind: "assign", nodeId, assignment };
}

const GARBAGE: readonly { readonly name: string; readonly frame: string | Uint8Array; readonly reason: RegExp }[] = [
  { name: "bytes", frame: new Uint8Array([1, 2]), reason: /text frames/ },
  { name: "what is no JSON", frame: "{", reason: /cannot read the message/ },
  { name: "JSON without a kind", frame: "null", reason: /without `kind`/ },
  { name: "a hello of another shape", frame: '{"kind":"hello"}', reason: /cannot read the message: hello/ },
  {
    name: "reports before hello",
    frame: JSON.stringify({ kind: "reports", reports: [] }),
    reason: /begins with hello/,
  },
  {
    name: "a heartbeat before hello",
    frame: JSON.stringify({ kind: "heartbeat", local: NO_LOCAL_USE, stats: null }),
    reason: /begins with hello/,
  },
];

for (const { name, frame, reason } of GARBAGE) {
  Deno.test(`a session that begins with ${name} is closed`, async () => {
    const rig = new Rig();
    const sailor = new ScriptedSailor("n1");
    rig.accept(sailor.link);
    sailor.pair.near.send(frame);
    await rig.clock.settle();
    assert.match(sailor.closedWith ?? "open", reason);
    assert.deepEqual(rig.closed, [sailor.closedWith]);
    assert.deepEqual(rig.inputs, [], "the loop hears of nothing");
    assert.equal(rig.clock.pending(), 0);
  });
}

Deno.test("a session in which no hello comes is closed, one with a hello goes on", async () => {
  const rig = new Rig();
  const silent = new ScriptedSailor("n1");
  rig.accept(silent.link);
  const other = await rig.session("n2", false);
  await rig.clock.advance(9_999);
  assert.equal(silent.closedWith, null);
  await rig.clock.advance(1);
  assert.equal(silent.closedWith, "no hello came");
  await rig.clock.advance(60_000);
  assert.equal(other.closedWith, null);
});

Deno.test("hello goes to the loop with where it came from; a second one closes the session", async () => {
  const rig = new Rig();
  const sailor = new ScriptedSailor("n1");
  rig.accept(sailor.link, { staticAddress: "host-a:7000", remoteIp: "" });
  sailor.hello();
  await rig.clock.settle();
  assert.deepEqual(rig.inputs, [
    { kind: "hello", sessionId: "s-1", hello: helloOf("n1"), staticAddress: "host-a:7000", remoteIp: "" },
  ]);
  sailor.hello();
  await rig.clock.settle();
  assert.match(sailor.closedWith!, /one hello/);
  assert.deepEqual(rig.inputs.slice(1), [{ kind: "sessionClosed", sessionId: "s-1", nodeId: "n1" }]);
});

Deno.test("messages of kinds that are not known are passed over", async () => {
  const rig = new Rig();
  const sailor = await rig.session("n1");
  sailor.pair.near.send('{"kind":"later"}');
  sailor.report("a-1", "running");
  await rig.clock.settle();
  assert.equal(sailor.closedWith, null);
  assert.equal(rig.ofKind("reports").length, 1);
});

Deno.test("reports go to the loop with the node of the session", async () => {
  const rig = new Rig();
  const sailor = await rig.session("n1");
  rig.inputs.length = 0;
  sailor.report("a-1", "running");
  await rig.clock.settle();
  assert.deepEqual(rig.inputs, [
    { kind: "reports", sessionId: "s-1", nodeId: "n1", reports: [reportOf("a-1", "running")], hello: null },
  ]);
});

Deno.test("no increment comes before the welcome; what was decided earlier is left to its list", async () => {
  const rig = new Rig();
  const sailor = await rig.session("n1", false);
  await rig.send(assign("n1", "a-1"));
  await rig.send(assign("n1", "b-1"), welcome("s-1"), assign("n1", "c-1"));
  assert.deepEqual(sailor.kinds, ["welcome", "assign"]);
  const [increment] = sailor.of("assign");
  assert.deepEqual([increment.sequence, increment.assignments.map((a) => a.attemptId)], [1, ["c-1"]]);
  assert.deepEqual(rig.welcomed, ["s-1"]);
});

Deno.test("increments of one turn leave together, the last word on each attempt counts, and the sequence has no gap", async () => {
  const rig = new Rig();
  const [one, two] = [await rig.session("n1"), await rig.session("n2")];
  await rig.send(
    assign("n1", "a-1"),
    assign("n2", "b-1"),
    assign("n1", "c-1"),
    { kind: "drop", nodeId: "n1", attemptId: "d-1" },
    assign("n1", "a-1", "stop"),
    assign("nowhere", "e-1"),
  );
  await rig.send(assign("n1", "f-1"));
  await rig.send();
  const told = (sailor: ScriptedSailor) =>
    sailor.of("assign").map((m) => [
      m.term,
      m.sequence,
      m.assignments.map((a) => `${a.attemptId} ${a.desired}`).join(", "),
      m.drop.join(),
    ]);
  assert.deepEqual(told(one), [[3, 1, "a-1 stop, c-1 run", "d-1"], [3, 2, "f-1 run", ""]]);
  assert.deepEqual(told(two), [[3, 1, "b-1 run", ""]]);
});

Deno.test("messages keep their place among each other", async () => {
  const rig = new Rig();
  const sailor = await rig.session("n1");
  const acknowledge = (revision: number): Send => ({
    kind: "message",
    sessionId: "s-1",
    message: { kind: "acknowledge", reports: [{ attemptId: "a-1", revision }] },
  });
  await rig.send(acknowledge(1), acknowledge(2), { ...acknowledge(3), sessionId: "s-99" } as Send);
  assert.deepEqual(sailor.of("acknowledge").map((m) => m.reports[0].revision), [1, 2]);
});

Deno.test("a session that takes a stale one's place gets the increments, whatever the stale one does", async () => {
  const rig = new Rig();
  const old = await rig.session("n1");
  const next = await rig.session("n1");
  assert.equal(rig.sessions.ofNode("n1"), "s-2");
  await rig.send({ kind: "close", sessionId: "s-1", reason: "a newer session took its place" }, assign("n1", "a-1"));
  assert.equal(old.closedWith, "a newer session took its place");
  assert.deepEqual(rig.ofKind("sessionClosed").map((i) => i.sessionId), ["s-1"]);
  assert.equal(rig.sessions.ofNode("n1"), "s-2", "its end takes nothing from the newer one");
  assert.deepEqual([old.of("assign").length, next.of("assign").length], [0, 1]);
  assert.equal(next.of("assign")[0].sequence, 1);
  next.pair.cut();
  await rig.clock.settle();
  assert.equal(rig.sessions.ofNode("n1"), undefined);
});

Deno.test("signs of life count for the session that is current, and changed local use looks for places", async () => {
  const rig = new Rig();
  const stale = await rig.session("n1");
  const sailor = await rig.session("n1");
  rig.inputs.length = 0;
  await rig.clock.advance(500);
  stale.send({ kind: "heartbeat", local: NO_LOCAL_USE, stats: null });
  await rig.clock.settle();
  assert.equal(rig.working.live.get("n1")!.heardMonoMs, 0);
  sailor.send({ kind: "heartbeat", local: NO_LOCAL_USE, stats: null });
  await rig.clock.settle();
  assert.equal(rig.working.live.get("n1")!.heardMonoMs, 500);
  assert.deepEqual(rig.inputs, []);
  const local = { ...NO_LOCAL_USE, memoryBytes: 5, taskCount: 1 };
  sailor.send({ kind: "heartbeat", local, stats: null });
  await rig.clock.settle();
  assert.deepEqual(rig.working.live.get("n1")!.local, local);
  assert.deepEqual(rig.inputs, [{ kind: "place" }]);
  // A sailor that does not tell of its runtimes, as older ones, is taken to have all of them.
  for (const [runtimesAway, places] of [[["docker"], 2], [["docker"], 2], [undefined, 3]] as const) {
    sailor.send({
      kind: "heartbeat",
      local,
      stats: null,
      ...(runtimesAway ? { runtimesAway: [...runtimesAway] } : {}),
    });
    await rig.clock.settle();
    assert.deepEqual(rig.working.live.get("n1")!.runtimesAway, runtimesAway ?? []);
    assert.equal(rig.ofKind("place").length, places);
  }
  await rig.clock.advance(500);
  sailor.report("a-1", "running");
  await rig.clock.settle();
  assert.equal(rig.working.live.get("n1")!.heardMonoMs, 1_000);
});

Deno.test("ping asks those that are welcomed, and no others", async () => {
  const rig = new Rig();
  const [welcomed, waiting] = [await rig.session("n1"), await rig.session("n2", false)];
  rig.sessions.ping();
  await rig.clock.settle();
  assert.deepEqual([welcomed.of("ping").length, waiting.of("ping").length], [1, 0]);
});

Deno.test("a sailor that does not read is let go of", async () => {
  const rig = new Rig();
  const sailor = new ScriptedSailor("n1");
  let buffered = 0;
  rig.accept({ ...sailor.link, buffered: () => buffered });
  sailor.hello();
  await rig.clock.settle();
  await rig.send(welcome("s-1"));
  buffered = 2 ** 30;
  await rig.send(assign("n1", "a-1"));
  assert.match(sailor.closedWith!, /does not read/);
  assert.equal(sailor.of("assign").length, 0);
});

Deno.test("a sailor that leaves or refuses ends its session, also before hello", async () => {
  const rig = new Rig();
  const refusing = new ScriptedSailor("n1");
  rig.accept(refusing.link, { staticAddress: "host-a:7000" });
  refusing.send({ kind: "refuse", code: "foreignCluster", message: "not yours" });
  const leaving = await rig.session("n2");
  leaving.send({ kind: "leaving", reason: "a gap" });
  await rig.clock.settle();
  assert.deepEqual([refusing.closedWith, leaving.closedWith], ["as the sailor asked", "as the sailor asked"]);
  assert.equal(rig.logger.warnings.length, 2);
});

Deno.test("closeAll() closes welcomed sessions and those that are still to be", async () => {
  const rig = new Rig();
  const sailors = [await rig.session("n1"), await rig.session("n2", false), new ScriptedSailor("n3")];
  rig.accept(sailors[2].link);
  rig.sessions.closeAll("the deck is stopping");
  await rig.clock.settle();
  assert.deepEqual(rig.closed, Array(3).fill("the deck is stopping"));
  assert.deepEqual(rig.over, ["s-1", "s-2", "s-3"].map((id) => `${id}: the deck is stopping`));
  assert.equal(rig.clock.pending(), 0);
});

Deno.test("a message of the sailor that is missing closes the session, one that comes twice is taken once", async () => {
  const rig = new Rig();
  const sailor = await rig.session("n1");
  const numbered = (n: number) => sailor.pair.near.send(JSON.stringify({ kind: "reports", reports: [], n }));
  for (const n of [1, 2, 2, 1]) numbered(n);
  await rig.clock.settle();
  assert.equal(rig.ofKind("reports").length, 2);
  assert.equal(sailor.closedWith, null);
  numbered(4);
  await rig.clock.settle();
  assert.equal(rig.ofKind("reports").length, 2);
  assert.match(sailor.closedWith!, /a message of the sailor is missing/);
});
