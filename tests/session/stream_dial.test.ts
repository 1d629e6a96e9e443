import assert from "node:assert/strict";
import type { Dialer } from "../../lib/contracts/link.ts";
import { decodeFrame } from "../../lib/messages/stream.ts";
import { keepStreamLink } from "../../lib/session/stream_dial.ts";
import type { LinkPair } from "../fixtures/link_pair.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

function createRig(refusals = 0) {
  const clock = createVirtualClock();
  const over = new AbortController();
  const pairs: LinkPair[] = [];
  const dials: unknown[] = [];
  const received: string[] = [];
  const dialer: Dialer = {
    dial(url, { token }) {
      dials.push({ url, token });
      if (refusals-- > 0) return Promise.reject(new Error("cannot reach ws://there:1: connection refused"));
      const pair = createLinkPair();
      pair.far.onFrame((frame) => {
        const { kind, payload } = decodeFrame(frame as Uint8Array)!;
        received.push(`${kind} ${new TextDecoder().decode(payload)}`);
      });
      pairs.push(pair);
      return Promise.resolve(pair.near);
    },
  };
  const kept = keepStreamLink({
    dialer,
    url: "ws://there:1/v1/session/streams",
    token: "secret",
    sessionId: "s-1",
    clock,
    signal: over.signal,
    onLink: (link) => new Promise((resolve) => link.onClose(() => resolve())),
  });
  return { clock, over, pairs, dials, received, kept };
}

Deno.test("keepStreamLink() binds each link to its session, and dials anew when one closed", async () => {
  const { clock, over, pairs, dials, received, kept } = createRig();
  await clock.settle();
  assert.deepEqual(dials, [{ url: "ws://there:1/v1/session/streams", token: "secret" }]);
  assert.deepEqual(received, ['bind {"sessionId":"s-1"}']);
  pairs[0].cut();
  await clock.advance(500);
  assert.deepEqual(received, ['bind {"sessionId":"s-1"}', 'bind {"sessionId":"s-1"}']);
  over.abort();
  await kept;
  assert.equal(pairs[1].closedWith(), "the session is over");
  assert.equal(clock.pending(), 0);
});

Deno.test("keepStreamLink() tries again when nobody answers, until its session is over", async () => {
  const { clock, over, dials, received, kept } = createRig(3);
  await clock.advance(1_000);
  assert.equal(dials.length, 3);
  assert.deepEqual(received, []);
  await clock.advance(500);
  assert.equal(received.length, 1);
  over.abort();
  await kept;
});
