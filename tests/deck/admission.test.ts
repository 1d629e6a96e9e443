/** A deck lets a sailor in that proves its key, and nobody else under its name. */
import { testCron } from "../sim/cron.ts";
import assert from "node:assert/strict";
import { proofText } from "../../lib/session/node_proof.ts";
import type { Hello } from "../../lib/core/outgoing.ts";
import { TestWorld } from "../core/support.ts";
import { openMemoryStore } from "../../lib/adapters/memory_store.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { SETTINGS } from "../core/support.ts";
import { testSigner, testVerify } from "../sim/keys.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { countingRandom, RecordingLogger, ScriptedSailor } from "./support.ts";

class Voyage {
  readonly clock = createVirtualClock();
  deck!: Deck;

  static async begin(): Promise<Voyage> {
    const v = new Voyage();
    v.deck = await createDeck({
      verify: testVerify,
      cron: testCron,
      clock: v.clock,
      random: countingRandom(),
      logger: new RecordingLogger(),
      store: openMemoryStore({ clock: v.clock }),
      dialer: { dial: () => Promise.reject(new Error("nobody is dialled here")) },
      workers: [],
      settings: SETTINGS,
      commit: "test",
      onFenced: () => {},
    });
    return v;
  }

  sailor(nodeId: string): ScriptedSailor {
    const sailor = new ScriptedSailor(nodeId);
    this.deck.api.acceptSession(sailor.link, "10.0.0.9");
    return sailor;
  }

  settle = () => this.clock.settle();

  async end(): Promise<void> {
    await this.deck.stop();
    await this.settle();
    assert.equal(this.clock.pending(), 0);
  }
}

const signer = testSigner("n1");
const KEYED = { publicKey: signer.publicKey, instance: "i1" };

const signed = (nonce: string, change: Partial<Parameters<typeof proofText>[0]> = {}, by = signer) =>
  by.sign(proofText({ clusterId: "", nodeId: "n1", instance: "i1", nonce, dialledBy: "sailor", ...change }));

Deno.test("a hello with a key is challenged, and welcome once the proof is right", async () => {
  const v = await Voyage.begin();
  const sailor = v.sailor("n1");
  sailor.hello(KEYED);
  await v.settle();
  assert.deepEqual(sailor.kinds, ["challenge"]);
  assert.equal(v.deck.api.originalNodes().length, 0, "it is no node before that");
  const { clusterId, nonce } = sailor.of("challenge")[0];
  sailor.send({ kind: "proof", signature: signed(nonce, { clusterId }) });
  await v.settle();
  assert.equal(sailor.kinds.at(-1), "welcome");
  await v.end();
});

const WRONG: readonly (readonly [what: string, proof: (challenge: { clusterId: string; nonce: string }) => string])[] =
  [
    ["of another key", ({ clusterId, nonce }) => signed(nonce, { clusterId }, testSigner("n2"))],
    ["for another node", ({ clusterId, nonce }) => signed(nonce, { clusterId, nodeId: "n2" })],
    ["for another process", ({ clusterId, nonce }) => signed(nonce, { clusterId, instance: "i2" })],
    ["for another cluster", ({ nonce }) => signed(nonce, { clusterId: "another" })],
    [
      "that was given to a caller of its listener",
      ({ clusterId, nonce }) => signed(nonce, { clusterId, dialledBy: "deck" }),
    ],
    ["of an older challenge", ({ clusterId }) => signed("an older one", { clusterId })],
    ["that is empty", () => ""],
  ];

for (const [what, proof] of WRONG) {
  Deno.test(`a proof ${what} is refused, and changes nothing`, async () => {
    const v = await Voyage.begin();
    const sailor = v.sailor("n1");
    sailor.hello(KEYED);
    await v.settle();
    sailor.send({ kind: "proof", signature: proof(sailor.of("challenge")[0]) });
    await v.settle();
    assert.deepEqual(sailor.kinds, ["challenge", "refuse"]);
    assert.match(sailor.closedWith!, /the proof of node .* is not right/);
    assert.equal(v.deck.api.originalNodes().length, 0);
    await v.end();
  });
}

Deno.test("nothing counts between the challenge and its proof: no second hello, no reports, no waiting", async () => {
  const v = await Voyage.begin();
  for (
    const [message, reason] of [
      [{ kind: "hello" }, "a session has one hello"],
      [{ kind: "reports", reports: [] }, "a session begins with hello"],
      [null, "no proof came"],
    ] as const
  ) {
    const sailor = v.sailor("n1");
    sailor.hello(KEYED);
    await v.settle();
    if (message?.kind === "hello") sailor.hello();
    else if (message) sailor.send(message as never);
    else await v.clock.advance(10_000);
    await v.settle();
    assert.equal(sailor.closedWith, reason);
  }
  const early = v.sailor("n1");
  early.send({ kind: "proof", signature: "x" });
  await v.settle();
  assert.match(early.closedWith!, /a proof came that nobody had asked for/);
  assert.equal(v.deck.api.originalNodes().length, 0);
  await v.end();
});

const reply = (w: TestWorld, hello: Partial<Hello>, session: string) => {
  const draft = w.hello("n1", hello, session);
  const send = draft.sends.find((each) => each.kind === "message");
  return send?.kind === "message" && send.message.kind === "refuse" ? send.message.code : "taken";
};

Deno.test("the key of the first hello that bears one stays the node's, until the node is removed", () => {
  const w = new TestWorld();
  const [first, other] = [testSigner("first").publicKey, testSigner("other").publicKey];
  assert.equal(reply(w, {}, "s1"), "taken", "a sailor of a version without keys");
  assert.equal(reply(w, { publicKey: first }, "s2"), "taken", "it was brought up to date");
  assert.equal(w.state.masts.get("n1")!.publicKey, first);
  const before = JSON.stringify([...w.state.masts]);
  assert.equal(reply(w, { publicKey: other }, "s3"), "unauthorized");
  assert.equal(reply(w, {}, "s4"), "unauthorized", "back to none is a way around");
  assert.equal(JSON.stringify([...w.state.masts]), before);
  assert.equal(w.state.live.get("n1")!.sessionId, "s2", "and the right one keeps its session");
  w.input({ kind: "sessionClosed", sessionId: "s2", nodeId: "n1" });
  w.pass(12_000);
  w.input({ kind: "removeNode", nodeId: "n1" });
  assert.equal(reply(w, { publicKey: other }, "s5"), "taken");
});
