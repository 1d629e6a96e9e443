/** The sailor's end of a session: whom it obeys, what it tells, and when it leaves. */
import assert from "node:assert/strict";
import { keepJoined } from "../../lib/sailor/join.ts";
import { proofText } from "../../lib/session/node_proof.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { testVerify } from "../sim/keys.ts";
import {
  assignment,
  CLUSTER,
  HEARTBEAT_MS,
  nameOf,
  NODE,
  RecordingLogger,
  Rig,
  ScriptedDeck,
  scriptedDialer,
} from "./support/rig.ts";

Deno.test("hello tells who it is, what it has and what it never joined", async () => {
  const rig = new Rig();
  await rig.boot({ address: "host-a:5555" });
  const { hello } = await rig.connect();
  assert.deepEqual(
    [hello.nodeId, hello.name, hello.clusterId, hello.highestTerm, hello.address, hello.engineId],
    [NODE, "host-a", null, 0, "host-a:5555", "engine-1"],
  );
  assert.deepEqual(hello.capacity, { cpuCores: 3, memoryBytes: 7 * 2 ** 30, diskBytes: 100 * 2 ** 30 });
  assert.deepEqual([hello.labels, hello.runtimes, hello.attempts], [{ zone: "eu" }, ["docker"], []]);
  await rig.end();
});

Deno.test("cluster and term are durable before the list is acted on", async () => {
  const rig = new Rig();
  await rig.begin([assignment("stray")]);
  await rig.crash();
  rig.disk.records.clear();
  rig.engine.calls.splice(0);
  await rig.boot();
  const deck = await rig.connect();
  rig.fault = () => "refuse";
  deck.welcome([assignment("a")], { term: 4 });
  await rig.clock.settle();
  assert.deepEqual(rig.engine.calls, []);
  await rig.crash();
  rig.fault = () => "none";
  rig.logger.errors.splice(0);
  await rig.boot();
  const next = await rig.connect();
  next.welcome([], { term: 4 });
  await rig.clock.settle();
  await rig.crash();
  await rig.boot();
  const { hello } = await rig.connect();
  assert.deepEqual([hello.clusterId, hello.highestTerm], [CLUSTER, 4]);
  await rig.end();
});

Deno.test("what is not on the list is stopped, what is goes on or begins", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a"), assignment("b")]);
  rig.deck.pair.cut();
  await rig.clock.settle();
  const deck = await rig.connect();
  deck.welcome([assignment("b", { known: true }), assignment("c")]);
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("b").state, deck.last("c").state], [
    "stopped",
    "running",
    "running",
  ]);
  assert.equal(rig.engine.calls.filter((c) => c.endsWith(nameOf("b"))).length, 2);
  await rig.end();
});

Deno.test("tasks given to the sailor directly are counted, and never on anybody's list", async () => {
  const rig = new Rig();
  await rig.boot();
  const task = assignment("x", { task: { memory: "100MiB", ports: ["8080:80"] } }).spec;
  assert.deepEqual(await rig.sailor.localSubmit({ id: "mine", spec: task, original: null, originalEventId: null }), {
    kind: "accepted",
    id: "mine",
  });
  await rig.clock.settle();
  const deck = await rig.connect();
  assert.deepEqual(deck.hello.attempts, []);
  assert.deepEqual([deck.hello.local.taskCount, deck.hello.local.hostPorts], [1, ["8080/tcp"]]);
  assert.equal(deck.hello.local.memoryBytes, 100 * 2 ** 20);
  deck.welcome([]);
  deck.assign([], { drop: ["mine-1"] });
  await rig.clock.settle();
  assert.equal(rig.task("mine")?.state, "running");
  assert.deepEqual(deck.reports(), []);
  await rig.end();
});

Deno.test("a deck's task whose id a local task has is failed, and the local one is not touched", async () => {
  const rig = new Rig();
  await rig.boot();
  await rig.sailor.localSubmit({ id: "a", spec: assignment("a").spec, original: null, originalEventId: null });
  const deck = await rig.connect();
  deck.welcome([assignment("a")]);
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["failed", "notCreated"]);
  assert.match(deck.last("a").observed.message!, /the id a is in use/);
  deck.assign([assignment("a", { desired: "stop" })]);
  await rig.clock.settle();
  assert.equal(rig.engine.container(nameOf("a", "local")).status, "running");
  await rig.end();
});

Deno.test("an increment out of order closes the session, and nothing of it or after it is taken", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  deck.assign([assignment("a")]);
  deck.assign([assignment("b")], { sequence: 3 });
  deck.assign([assignment("c")], { sequence: 2 });
  await rig.clock.settle();
  assert.match(deck.closedWith!, /increment 3 came after 1/);
  assert.deepEqual([...rig.engine.containers.keys()], [nameOf("a")]);
  await rig.end();
});

Deno.test("a message of the deck that is missing is told by the next, whatever it is; one that comes twice is taken once", async () => {
  const rig = new Rig();
  await rig.boot();
  const deck = await rig.connect();
  const numbered = (n: number, message: object) => deck.pair.far.send(JSON.stringify({ ...message, n }));
  deck.welcome([]);
  numbered(1, { kind: "ping" });
  numbered(1, { kind: "ping" });
  await rig.clock.settle();
  assert.equal(deck.of("heartbeat").length, 1);
  numbered(3, { kind: "ping" });
  await rig.clock.settle();
  assert.match(deck.closedWith!, /a message of the deck is missing/);
  await rig.end();
});

Deno.test("an increment before the welcome closes the session", async () => {
  const rig = new Rig();
  await rig.boot();
  const deck = await rig.connect();
  deck.assign([assignment("a")]);
  await rig.clock.settle();
  assert.match(deck.closedWith!, /before the welcome/);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("a deck of another cluster is refused, and nothing is touched", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  const foreign = await rig.connect();
  foreign.welcome([], { clusterId: "cluster-2", term: 99 });
  await rig.clock.settle();
  const [refusal] = foreign.of("refuse");
  assert.equal(refusal.code, "foreignCluster");
  assert.match(refusal.message, /--adopt/);
  assert.notEqual(foreign.closedWith, null);
  assert.equal(rig.task("a")?.state, "running");
  await rig.end();
});

Deno.test("a deck with a lower term is refused; the same or a higher one is obeyed", async () => {
  const rig = new Rig();
  await rig.boot();
  (await rig.connect()).welcome([assignment("a")], { term: 5 });
  await rig.clock.settle();
  await rig.crash();
  await rig.boot();
  const stale = await rig.connect();
  stale.welcome([], { term: 4 });
  await rig.clock.settle();
  assert.equal(stale.of("refuse")[0].code, "staleTerm");
  assert.equal(rig.task("a")?.state, "running");
  for (const term of [5, 6]) {
    const deck = await rig.connect();
    deck.welcome([assignment("a", { known: true })], { term });
    await rig.clock.settle();
    assert.equal(deck.closedWith, null);
  }
  await rig.end();
});

Deno.test("--adopt: a foreign deck with a lower term takes over, and what the old one ran is stopped", async () => {
  const rig = new Rig();
  await rig.boot();
  (await rig.connect()).welcome([assignment("a"), assignment("b")], { term: 9 });
  await rig.clock.settle();
  await rig.sailor.localSubmit({ id: "mine", spec: assignment("x").spec, original: null, originalEventId: null });
  await rig.crash();
  await rig.boot({ adopt: true });
  const deck = await rig.connect();
  assert.deepEqual([deck.hello.clusterId, deck.hello.highestTerm, deck.hello.attempts], [null, 0, []]);
  deck.welcome([assignment("c")], { clusterId: "cluster-2", term: 1 });
  await rig.clock.settle();
  const running = [...rig.engine.containers.values()].filter((c) => c.status === "running").map((c) => c.spec.name);
  assert.deepEqual(running.sort(), [nameOf("c", "cluster-2"), nameOf("mine", "local")].sort());
  // Once taken over it is as faithful as before.
  const old = await rig.connect();
  old.welcome([], { term: 10 });
  await rig.clock.settle();
  assert.equal(old.of("refuse")[0].code, "foreignCluster");
  // Nobody will acknowledge the ends of the old cluster's attempts; their containers go all the same.
  await rig.clock.advance(2 * 3600e3);
  assert.deepEqual([...rig.engine.containers.keys()].sort(), running);
  await rig.end();
});

Deno.test("--adopt: the same cluster with an older term goes on with what runs", async () => {
  const rig = new Rig();
  await rig.boot();
  (await rig.connect()).welcome([assignment("a")], { term: 9 });
  await rig.clock.settle();
  const calls = rig.engine.calls.length;
  await rig.crash();
  await rig.boot({ adopt: true });
  const deck = await rig.connect();
  deck.welcome([assignment("a", { known: true })], { term: 2 });
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "running");
  assert.equal(rig.engine.calls.length, calls);
  await rig.end();
});

Deno.test("a ping is answered by a heartbeat at once, and heartbeats come by themselves", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  deck.send({ kind: "ping" });
  await rig.clock.settle();
  assert.equal(deck.of("heartbeat").length, 1);
  await rig.clock.advance(3 * HEARTBEAT_MS);
  assert.equal(deck.of("heartbeat").length, 4);
  assert.equal(deck.of("heartbeat")[0].stats?.taskCount, 1);
  await rig.end();
});

Deno.test("a session that ends while the figures for a heartbeat are read leaves no timer behind", async () => {
  const rig = new Rig();
  const figures: (() => void)[] = [];
  const machine = {
    stats: () => new Promise<never>((_, reject) => figures.push(() => reject(new Error("late")))),
    capacity: () => Promise.resolve({ cpuCores: 1, memoryBytes: 1, diskBytes: 1 }),
    hostname: () => "host-a",
  };
  await rig.boot({ machine });
  const deck = await rig.connect();
  figures.shift()!();
  await rig.clock.settle();
  deck.welcome([]);
  await rig.clock.advance(HEARTBEAT_MS);
  await rig.sailor.stop();
  await rig.clock.settle();
  figures.shift()!();
  await rig.clock.settle();
  assert.equal(rig.clock.pending(), 0);
});

Deno.test("a machine whose figures cannot be read still lives", async () => {
  const rig = new Rig();
  const machine = {
    stats: () => Promise.reject(new Error("no /proc")),
    capacity: () => Promise.resolve({ cpuCores: 1, memoryBytes: 1, diskBytes: 1 }),
    hostname: () => "host-a",
  };
  const deck = await rig.begin([], { machine });
  await rig.clock.advance(HEARTBEAT_MS);
  assert.deepEqual(deck.of("heartbeat").map((h) => h.stats), [null]);
  await rig.end();
});

Deno.test("a deck that falls silent is left, one that never welcomes too", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  await rig.clock.advance(9_999);
  assert.equal(deck.closedWith, null);
  await rig.clock.advance(1);
  assert.match(deck.closedWith!, /silent for 10 s/);
  const mute = await rig.connect();
  await rig.clock.advance(15_000);
  assert.match(mute.closedWith!, /silent/);
  await rig.end();
});

Deno.test("a newer session takes the older one's place with its welcome, not before", async () => {
  const rig = new Rig();
  const older = await rig.begin([assignment("a")]);
  const newer = await rig.connect();
  assert.equal(older.closedWith, null);
  newer.welcome([assignment("a", { known: true })]);
  await rig.clock.settle();
  assert.match(older.closedWith!, /newer session/);
  rig.engine.exit(nameOf("a"), 3);
  await rig.clock.settle();
  assert.equal(newer.last("a").state, "failed");
  assert.notEqual(older.last("a").state, "failed");
  await rig.end();
});

Deno.test("two welcomes at once leave one session, and one container of an attempt on both lists", async () => {
  const rig = new Rig();
  await rig.boot();
  const first = await rig.connect();
  const second = await rig.connect();
  first.welcome([assignment("a")]);
  second.welcome([assignment("a")]);
  await rig.clock.settle();
  assert.match(first.closedWith!, /newer session/);
  assert.equal(second.closedWith, null);
  assert.equal(second.last("a").state, "running");
  assert.deepEqual(rig.engine.calls, [`create ${nameOf("a")}`, `start ${nameOf("a")}`]);
  await rig.end();
});

Deno.test("reports of one turn leave together", async () => {
  const rig = new Rig();
  const deck = await rig.begin(Array.from({ length: 20 }, (_, i) => assignment(`t${i}`)), { width: 20 });
  rig.engine.goAway();
  for (let i = 0; i < 20; i++) rig.engine.exit(nameOf(`t${i}`), 0);
  const before = deck.of("reports").length;
  rig.engine.comeBack();
  await rig.clock.settle();
  assert.equal(deck.reports().filter((r) => r.state === "completed").length, 20);
  assert.equal(deck.of("reports").length - before, 1);
  await rig.end();
});

Deno.test("an acknowledgement of an older revision is not taken for the last", async () => {
  const rig = new Rig();
  await rig.boot();
  const deck = await rig.connect({ acknowledges: false });
  deck.welcome([assignment("a")]);
  await rig.clock.settle();
  const early = deck.last("a");
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.settle();
  deck.acknowledge([early]);
  await rig.clock.settle();
  deck.pair.cut();
  const next = await rig.connect();
  assert.deepEqual(next.hello.attempts.map((r) => r.state), ["completed"]);
  await rig.end();
});

Deno.test("an attempt that has ended is told again when the deck lists it", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.settle();
  const before = deck.reports("a").length;
  deck.assign([assignment("a", { known: true })]);
  await rig.clock.settle();
  assert.equal(deck.reports("a").length, before + 1);
  assert.equal(deck.last("a").state, "completed");
  await rig.end();
});

Deno.test("the session is made though the engine went away after its first answer", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  rig.engine.goAway();
  rig.deck.pair.cut();
  await rig.clock.settle();
  const deck = await rig.connect();
  assert.equal(deck.hello.engineId, "engine-1");
  assert.deepEqual(deck.hello.attempts.map((r) => r.state), ["running"]);
  rig.engine.comeBack();
  await rig.end();
});

Deno.test("a sailor that ends while it waits for its first engine ends quietly", async () => {
  const rig = new Rig();
  rig.engine.goAway();
  await rig.boot();
  const deck = await rig.connect();
  await rig.clock.advance(3_000);
  assert.deepEqual(deck.messages, []);
  await rig.end();
  assert.notEqual(deck.closedWith, null);
});

Deno.test("keepJoined() says why no deck answers, and says it again when the reason is another one", async () => {
  const clock = createVirtualClock();
  const logger = new RecordingLogger();
  const ended = new AbortController();
  let reason = "connection refused";
  let dials = 0;
  const joined = keepJoined({
    dialer: { dial: () => (dials++, Promise.reject(new Error(reason))) },
    ...{ url: "http://deck:4242", token: undefined, clock, logger, signal: ended.signal },
    random: { next: () => 0.5, uuid: () => "id" },
    run: () => Promise.reject(new Error("no link to run")),
  });
  await clock.advance(20_000);
  reason = "its certificate is signed by no authority";
  await clock.advance(20_000);
  assert.ok(dials > 8, `${dials}`);
  assert.deepEqual(logger.warned, [
    'the deck does not answer {"reason":"connection refused"}',
    'the deck does not answer {"reason":"its certificate is signed by no authority"}',
  ]);
  ended.abort();
  await clock.advance(5_000);
  await joined;
});

Deno.test("join() dials until a deck answers, waits longer each time, and dials again after a loss", async () => {
  const rig = new Rig();
  await rig.boot();
  const dialled: number[] = [];
  const decks: ScriptedDeck[] = [];
  let answers = false;
  const dialer = scriptedDialer((url) => {
    if (url.endsWith("/streams")) return undefined;
    assert.equal(url, "http://deck:4242/v1/session");
    dialled.push(rig.clock.monoMs());
    if (!answers) return undefined;
    const deck = new ScriptedDeck(true);
    decks.push(deck);
    return deck;
  });
  rig.sailor.join(dialer, "http://deck:4242");
  await rig.clock.advance(60_000);
  const waits = dialled.slice(1).map((t, i) => t - dialled[i]);
  assert.ok(waits[0] >= 100 && waits[0] <= 200, `${waits[0]}`);
  assert.ok(waits.every((w) => w <= 5_000));
  assert.ok(waits.at(-1)! >= 2_500);
  answers = true;
  await rig.clock.advance(5_000);
  assert.equal(decks.length, 1);
  decks[0].welcome([assignment("a")]);
  for (let i = 0; i < 5; i++) {
    decks[0].send({ kind: "ping" });
    await rig.clock.advance(2_000);
  }
  assert.equal(decks[0].last("a").state, "running");
  decks[0].pair.cut();
  await rig.clock.advance(200);
  assert.equal(decks.length, 2);
  assert.deepEqual(decks[1].hello.attempts.map((r) => r.attemptId), ["a-1"]);
  await rig.end();
});

Deno.test("a challenge is answered with a proof for that cluster, node and process; one after the welcome ends the session", async () => {
  const rig = new Rig();
  await rig.boot();
  const deck = await rig.connect();
  const { publicKey, nodeId, instance } = deck.hello;
  deck.send({ kind: "challenge", clusterId: CLUSTER, nonce: "n-1" });
  await rig.clock.settle();
  const [{ signature }] = deck.of("proof");
  assert(
    testVerify(
      publicKey!,
      proofText({ clusterId: CLUSTER, nodeId, instance, nonce: "n-1", dialledBy: "deck" }),
      signature,
    ),
  );
  deck.welcome([]);
  await rig.clock.settle();
  deck.send({ kind: "challenge", clusterId: CLUSTER, nonce: "n-2" });
  await rig.clock.settle();
  assert.equal(deck.of("proof").length, 1);
  assert.match(deck.pair.closedWith()!, /a challenge came after the welcome/);
  await rig.end();
});

Deno.test("a runtime that goes away is told at once, in hellos too, and so is its coming back", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  assert.deepEqual(deck.hello.runtimesAway, []);
  rig.engine.goAway();
  await rig.clock.settle();
  assert.deepEqual(deck.of("heartbeat").at(-1)?.runtimesAway, ["docker"]);
  rig.deck.pair.cut();
  await rig.clock.settle();
  const next = await rig.connect();
  assert.deepEqual(next.hello.runtimesAway, ["docker"], "no hello waits for an engine that was known");
  next.welcome();
  await rig.clock.settle();
  rig.engine.comeBack();
  await rig.clock.settle();
  assert.deepEqual(next.of("heartbeat").at(-1)?.runtimesAway, []);
  await rig.end();
});
