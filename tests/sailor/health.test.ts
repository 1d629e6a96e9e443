/** Health: what is probed, what a streak is, and what follows from it. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import type { ProbeResult } from "../../lib/contracts/runtime.ts";
import { assignment, HEARTBEAT_MS, nameOf, Rig, type ScriptedDeck } from "./support/rig.ts";

const GOOD: ProbeResult = { healthy: true, output: "200" };
const BAD: ProbeResult = { healthy: false, output: "500: out of order" };
const http = { http: "/ready", interval: "1s", timeout: "500ms", retries: 3 };
const task = { ports: ["80"], health: http };
const restarts = (rig: Rig) => rig.engine.calls.filter((c) => c.startsWith("restart")).length;

/** Time passes while the deck keeps the session alive. */
async function live(rig: Rig, deck: ScriptedDeck, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= HEARTBEAT_MS) {
    deck.send({ kind: "ping" });
    await rig.clock.advance(Math.min(left, HEARTBEAT_MS));
  }
}

Deno.test("starting, then healthy as soon as a probe succeeds, and reported on changes only", async () => {
  const rig = new Rig();
  rig.probe = () => rig.clock.monoMs() < 400 ? BAD : GOOD;
  const deck = await rig.begin([assignment("a", { task })]);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.health], ["running", "starting"]);
  await live(rig, deck, 1_500);
  assert.equal(deck.last("a").observed.health, "healthy");
  const reports = deck.reports("a").length;
  await live(rig, deck, 30_000);
  assert.equal(deck.reports("a").length, reports);
  assert.ok(rig.probed.length > 25);
  await rig.end();
});

Deno.test("a published port is probed at the host's loopback, else the container's own address", async () => {
  const rig = new Rig();
  const deck = await rig.begin([
    assignment("a", { task }),
    assignment("b", { task: { health: { tcp: 5432, interval: "1s" } } }),
    assignment("c", { task: { ports: ["127.0.0.7:8080:80"], health: { ...http, port: 80 } } }),
  ]);
  await live(rig, deck, 1_000);
  const seen = new Set(rig.probed.map((t) => `${t.kind} ${t.host}:${t.port}${t.kind === "http" ? t.path : ""}`));
  assert.deepEqual([...seen].sort(), [
    "http 127.0.0.1:32768/ready",
    "http 127.0.0.7:8080/ready",
    "tcp 172.17.0.2:5432",
  ]);
  await rig.end();
});

Deno.test("how long it has been healthy is told by the monotonic clock", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a", { task })]);
  await rig.clock.advance(5_000);
  rig.clock.shiftWall(-3_600_000);
  rig.deck.pair.cut();
  await rig.clock.settle();
  const next = await rig.connect();
  const { health, healthForMs } = next.hello.attempts[0].observed;
  assert.equal(health, "healthy");
  assert.ok(healthForMs > 4_000 && healthForMs <= 5_000, `${healthForMs}`);
  await rig.end();
});

Deno.test("retries failures in a row make it unhealthy; one success in between starts the count anew", async () => {
  const rig = new Rig();
  const answers: ProbeResult[] = [];
  rig.probe = () => answers.shift() ?? GOOD;
  const deck = await rig.begin([assignment("a", { task })]);
  await live(rig, deck, 1_000);
  answers.push(BAD, BAD, GOOD, BAD, BAD);
  await live(rig, deck, 6_000);
  assert.equal(deck.reports("a").some((r) => r.observed.health === "unhealthy"), false);
  answers.push(BAD, BAD, BAD);
  await live(rig, deck, 2_500);
  assert.deepEqual(
    [deck.last("a").observed.health, deck.last("a").observed.healthOutput],
    ["unhealthy", "500: out of order"],
  );
  await rig.end();
});

Deno.test("failures in the start period do not count", async () => {
  const rig = new Rig();
  rig.probe = () => rig.clock.monoMs() < 20_000 ? BAD : GOOD;
  const deck = await rig.begin([assignment("a", { task: { ...task, health: { ...http, startPeriod: "30s" } } })]);
  await live(rig, deck, 19_000);
  assert.equal(deck.last("a").observed.health, "starting");
  await live(rig, deck, 2_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  assert.equal(restarts(rig), 0);
  await rig.end();
});

Deno.test("unhealthy: restarted after 1 s, 2 s, 4 s, then it is given up with the probe's words", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  const deck = await rig.begin([assignment("a", { task: { ...task, maxRestarts: 3 } })]);
  const due: number[] = [];
  const at: number[] = [];
  for (let i = 0; i < 600; i++) {
    const before = restarts(rig);
    const unhealthyBefore = deck.last("a").observed.health === "unhealthy";
    deck.send({ kind: "ping" });
    await rig.clock.advance(100);
    if (!unhealthyBefore && deck.last("a").observed.health === "unhealthy") due.push(rig.clock.monoMs());
    if (restarts(rig) > before) at.push(rig.clock.monoMs());
  }
  assert.deepEqual(at.map((t, i) => t - due[i]), [1_000, 2_000, 4_000]);
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause, observed.healthRestarts, observed.restarts], ["failed", "restartsUsedUp", 3, 0]);
  assert.deepEqual([observed.health, observed.healthOutput], ["unhealthy", "500: out of order"]);
  assert.equal(rig.engine.container(nameOf("a")).status, "exited");
  await rig.end();
});

Deno.test("always never gives up", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  const deck = await rig.begin([assignment("a", { task: { ...task, maxRestarts: 1, restart: "always" } })]);
  await live(rig, deck, 600_000);
  assert.equal(deck.last("a").state, "running");
  assert.ok(restarts(rig) > 8, `${restarts(rig)} restarts`);
  assert.equal(rig.task("a")?.observed.healthRestarts, restarts(rig));
  await rig.end();
});

Deno.test("one that recovers before its restart is due is left alone", async () => {
  const rig = new Rig();
  const answers: ProbeResult[] = [BAD, BAD, BAD];
  const deck = await rig.begin([assignment("a", { task: { ...task, health: { ...http, interval: "300ms" } } })]);
  await live(rig, deck, 1_000);
  rig.probe = () => answers.shift() ?? GOOD;
  await live(rig, deck, 10_000);
  assert.equal(deck.reports("a").some((r) => r.observed.health === "unhealthy"), true);
  assert.equal(deck.last("a").observed.health, "healthy");
  assert.equal(restarts(rig), 0);
  await rig.end();
});

Deno.test("a restart by the engine sets health back to starting, and what was due for the old process is dropped", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  const deck = await rig.begin([assignment("a", { task: { ...task, restart: "always" } })]);
  await live(rig, deck, 4_000);
  assert.equal(deck.last("a").observed.health, "unhealthy");
  rig.probe = () => GOOD;
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(110);
  assert.deepEqual([deck.last("a").observed.health, deck.last("a").observed.restarts], ["starting", 1]);
  await live(rig, deck, 10_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  assert.equal(restarts(rig), 0);
  await rig.end();
});

Deno.test("health restarts are remembered across a crash", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  const deck = await rig.begin([assignment("a", { task: { ...task, maxRestarts: 2 } })]);
  await live(rig, deck, 6_000);
  assert.equal(deck.last("a").observed.healthRestarts, 1);
  await rig.crash();
  await rig.boot();
  await rig.clock.advance(60_000);
  assert.deepEqual([rig.task("a")?.state, rig.task("a")?.observed.healthRestarts], ["failed", 2]);
  await rig.end();
});

Deno.test("a crash in the middle of a health restart: it is started again, not taken for an exit", async () => {
  const rig = new Rig("process");
  rig.probe = () => BAD;
  const processTask = { runtime: "process" as const, cmd: ["x"], health: { ...http, port: 80 } };
  const deck = await rig.begin([assignment("a", { task: processTask })]);
  const release = rig.engine.hold("restart");
  await live(rig, deck, 6_000);
  assert.equal(restarts(rig), 1);
  await rig.crash();
  release();
  rig.engine.exit(nameOf("a"), 143);
  rig.probe = () => GOOD;
  await rig.boot();
  await rig.clock.advance(2_000);
  const found = rig.task("a");
  assert.deepEqual([found?.state, found?.observed.healthRestarts, found?.observed.restarts], ["running", 1, 0]);
  await rig.end();
});

Deno.test("a crash between giving up and the end: it is still failed because of its health", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  rig.engine.stopExitCode = 0;
  const deck = await rig.begin([assignment("a", { task: { ...task, maxRestarts: 0, restart: "on-failure" } })]);
  const release = rig.engine.hold("stop");
  await live(rig, deck, 6_000);
  await rig.crash();
  release();
  await rig.boot();
  await rig.clock.advance(1_000);
  const found = [...rig.sailor.tasks()][0];
  assert.deepEqual([found.state, found.observed.healthOutput], ["failed", "500: out of order"]);
  await rig.end();
});

Deno.test("exec: code 0 is healthy, another is not and its output is told, one that hangs is late", async () => {
  const rig = new Rig();
  const exec = { health: { exec: ["check", "-q"], interval: "1s", timeout: "500ms", retries: 1 } };
  const deck = await rig.begin([assignment("a", { task: { ...exec, maxRestarts: 100 } })]);
  await live(rig, deck, 1_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  rig.engine.exec = () => ({ code: 2, output: "x".repeat(5_000) + "no database\n" });
  await live(rig, deck, 1_000);
  const { health, healthOutput } = deck.last("a").observed;
  assert.equal(health, "unhealthy");
  assert.match(healthOutput!, /^check exited with code 2: x+no database$/);
  assert.ok(healthOutput!.length < 1_100);
  rig.engine.exec = () => ({ code: 0, hangs: true });
  await live(rig, deck, 5_000);
  assert.equal(deck.last("a").observed.healthOutput, "check took longer than 500 ms");
  await rig.end();
});

Deno.test("exec while the engine is away says nothing about the container", async () => {
  const rig = new Rig();
  const exec = { health: { exec: ["check"], interval: "1s", retries: 1 } };
  const deck = await rig.begin([assignment("a", { task: exec })]);
  await live(rig, deck, 1_000);
  rig.engine.goAway();
  await live(rig, deck, 20_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  rig.engine.comeBack();
  await live(rig, deck, 5_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  assert.equal(restarts(rig), 0);
  await rig.end();
});

Deno.test("exec while the engine hangs says nothing about the container", async () => {
  const rig = new Rig();
  const exec = { health: { exec: ["check"], interval: "1s", timeout: "500ms", retries: 1 } };
  const deck = await rig.begin([assignment("a", { task: exec })]);
  await live(rig, deck, 1_000);
  rig.engine.exec = () => ({ code: 0, hangs: true });
  const release = rig.engine.hold("inspect");
  await live(rig, deck, 20_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  rig.engine.exec = () => ({ code: 0 });
  release();
  await live(rig, deck, 5_000);
  assert.equal(deck.last("a").observed.health, "healthy");
  assert.equal(restarts(rig), 0);
  await rig.end();
});

Deno.test("a health restart while the engine is away is made when it is back", async () => {
  const rig = new Rig();
  rig.probe = () => BAD;
  const deck = await rig.begin([assignment("a", { task: { ...task, maxRestarts: 100 } })]);
  await live(rig, deck, 3_500);
  rig.engine.fail("restart", new RuntimeError("unavailable", "the engine does not answer"));
  await live(rig, deck, 20_000);
  assert.ok(restarts(rig) >= 2);
  assert.equal(deck.last("a").state, "running");
  await rig.end();
});

Deno.test("a stop ends the probing", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task })]);
  await live(rig, deck, 2_000);
  deck.assign([assignment("a", { desired: "stop" })]);
  await rig.clock.settle();
  const probes = rig.probed.length;
  await live(rig, deck, 10_000);
  assert.equal(rig.probed.length, probes);
  await rig.end();
});
