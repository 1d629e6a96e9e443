/** How long ended containers stay, and what the sailor's own API takes. */
import assert from "node:assert/strict";
import { assignment, nameOf, Rig, spec } from "./support/rig.ts";

const HOUR_MS = 3600e3;

Deno.test("an ended container stays an hour after its end was acknowledged, then it and its journal entry go", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.advance(HOUR_MS - 60_000);
  assert.equal(rig.engine.containers.size, 1);
  await rig.clock.advance(180_000);
  assert.equal(rig.engine.containers.size, 0);
  assert.equal(rig.task("a"), undefined);
  assert.deepEqual([...rig.disk.records.keys()].filter((k) => k.includes("a-1")), []);
  await rig.end();
});

Deno.test("one whose end was never acknowledged stays, however long", async () => {
  const rig = new Rig();
  await rig.boot();
  const deaf = await rig.connect({ acknowledges: false });
  deaf.welcome([assignment("a")]);
  await rig.clock.settle();
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.advance(24 * HOUR_MS);
  assert.equal(rig.engine.containers.size, 1);
  const deck = await rig.connect();
  deck.welcome([]);
  await rig.clock.settle();
  await rig.clock.advance(120_000);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("of more than 50 the newest stay", async () => {
  const rig = new Rig();
  await rig.begin(Array.from({ length: 55 }, (_, i) => assignment(`t${i}`)));
  for (let i = 0; i < 55; i++) {
    rig.engine.exit(nameOf(`t${i}`), 0);
    await rig.clock.advance(10);
  }
  await rig.clock.advance(61_000);
  assert.equal(rig.engine.containers.size, 50);
  assert.equal(rig.engine.containers.has(nameOf("t4")), false);
  assert.equal(rig.engine.containers.has(nameOf("t5")), true);
  await rig.end();
});

Deno.test("a removal while the engine is away is tried again", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.settle();
  rig.engine.goAway();
  await rig.clock.advance(2 * HOUR_MS);
  assert.equal(rig.engine.containers.size, 1);
  rig.engine.comeBack();
  await rig.clock.advance(61_000);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

const local = (id: string | null, change = {}) => ({
  id,
  spec: spec(),
  original: null,
  originalEventId: null,
  ...change,
});

Deno.test("localSubmit() runs a task without any deck, and it survives a crash", async () => {
  const rig = new Rig();
  await rig.boot();
  await rig.sailor.localSubmit(local("mine"));
  await rig.clock.settle();
  await rig.crash();
  await rig.boot();
  assert.equal(rig.task("mine")?.state, "running");
  rig.engine.exit(nameOf("mine", "local"), 0);
  await rig.clock.settle();
  assert.equal(rig.task("mine")?.state, "completed");
  await rig.clock.advance(2 * HOUR_MS);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("localSubmit() of the same task twice is one task, also at once; another under its id is a conflict", async () => {
  const rig = new Rig();
  await rig.boot();
  const replies = await Promise.all([rig.sailor.localSubmit(local("x")), rig.sailor.localSubmit(local("x"))]);
  assert.deepEqual(replies, [{ kind: "accepted", id: "x" }, { kind: "accepted", id: "x" }]);
  await rig.clock.settle();
  assert.deepEqual(rig.engine.calls, [`create ${nameOf("x", "local")}`, `start ${nameOf("x", "local")}`]);
  const other = await rig.sailor.localSubmit(local("x", { spec: spec({ name: "other" }) }));
  assert.equal(other.kind, "conflict");
  await rig.end();
});

Deno.test("localSubmit() of a document that no record can hold is refused, and the journal goes on", async () => {
  const rig = new Rig();
  await rig.boot();
  const task = { ...spec(), env: { BIG: "x".repeat(70_000) } };
  assert.equal((await rig.sailor.localSubmit(local("big", { spec: task }))).kind, "conflict");
  assert.equal((await rig.sailor.localSubmit(local("small"))).kind, "accepted");
  await rig.end();
});

Deno.test("localSubmit() while the sailor ends is not accepted", async () => {
  const rig = new Rig();
  await rig.boot();
  rig.fault = () => "refuse";
  const reply = rig.sailor.localSubmit(local("x"));
  await rig.clock.settle();
  await rig.sailor.stop();
  await rig.clock.advance(2_000);
  assert.equal((await reply).kind, "unavailable");
  assert.deepEqual(rig.engine.calls, []);
});

Deno.test("localStop() stops local tasks only", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  await rig.sailor.localSubmit(local("mine"));
  await rig.clock.settle();
  assert.equal((await rig.sailor.localStop("a")).kind, "conflict");
  assert.equal((await rig.sailor.localStop("nobody")).kind, "notFound");
  assert.equal((await rig.sailor.localStop("mine")).kind, "done");
  await rig.clock.settle();
  assert.deepEqual([rig.task("mine")?.state, rig.task("a")?.state], ["stopped", "running"]);
  assert.equal(await rig.sailor.inspectRaw("nobody"), undefined);
  assert.ok(await rig.sailor.inspectRaw("a"));
  await rig.end();
});
