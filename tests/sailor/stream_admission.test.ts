/** A stream link reaches containers, so it is taken only from the deck that this sailor obeys. */
import assert from "node:assert/strict";
import type { Link } from "../../lib/contracts/link.ts";
import { encodeFrame } from "../../lib/messages/stream.ts";
import { createStreamAdmission } from "../../lib/sailor/stream_admission.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

function rig() {
  const clock = createVirtualClock();
  const served: Link[] = [];
  const frames: unknown[] = [];
  const admission = createStreamAdmission({
    clock,
    serve: (link) => {
      served.push(link);
      link.onClose(() => {});
      link.onFrame((frame) => frames.push(frame));
    },
  });
  const dial = async (sessionId: string | null) => {
    const pair = createLinkPair();
    pair.near.onClose(() => {});
    admission.accept(pair.far);
    if (sessionId !== null) {
      const payload = new TextEncoder().encode(JSON.stringify({ sessionId }));
      pair.near.send(encodeFrame({ kind: "bind", stream: 0, payload }));
    }
    await clock.settle();
    return pair;
  };
  return { clock, served, frames, admission, dial };
}

Deno.test("a link of an open session is served, one of a session that is over is not", async () => {
  const { clock, served, admission, dial } = rig();
  admission.opened("s1");
  await dial("s1");
  assert.equal(served.length, 1);
  admission.closed("s1");
  const late = await dial("s1");
  await clock.advance(5_000);
  assert.equal(late.closedWith(), "there is no such session here");
  assert.equal(served.length, 1);
  assert.equal(clock.pending(), 0);
});

Deno.test("a link that comes before the welcome waits for it, and loses nothing meanwhile", async () => {
  const { clock, served, frames, admission, dial } = rig();
  const pair = await dial("s1");
  pair.near.send("a request");
  await clock.settle();
  assert.equal(served.length, 0);
  admission.opened("s1");
  await clock.settle();
  assert.deepEqual(frames, ["a request"]);
  assert.equal(clock.pending(), 0);
});

Deno.test("whoever names a session that there is not, or none, is sent away in time", async () => {
  const { clock, served, dial } = rig();
  const [guess, silent] = [await dial("guessed"), await dial(null)];
  await clock.advance(5_000);
  assert.equal(guess.closedWith(), "there is no such session here");
  assert.equal(silent.closedWith(), "no bind came");
  const leaves = await dial("guessed");
  leaves.cut();
  await clock.settle();
  assert.equal(served.length, 0);
  assert.equal(clock.pending(), 0);
});
