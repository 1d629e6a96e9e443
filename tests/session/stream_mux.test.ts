import assert from "node:assert/strict";
import { INITIAL_CREDIT_BYTES, STREAM_FRAME_BYTES_MAX } from "../../lib/messages/stream.ts";
import type { Stream } from "../../lib/session/channel.ts";
import { StreamError } from "../../lib/session/channel.ts";
import { createStreamMux, STREAMS_MAX } from "../../lib/session/stream_mux.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { createEnds, frame, LOGS, misplaced, pattern } from "./support.ts";

const { settle } = createVirtualClock();
const hang = () => new Promise<void>(() => {});

async function bytesOf(stream: Stream): Promise<number> {
  let bytes = 0;
  for await (const { data } of stream.incoming) bytes += data.length;
  return bytes;
}

Deno.test("stream mux: a consumer that never reads stops the sender at its credit", async () => {
  let written = 0;
  let failure: unknown;
  const { deck, sent } = createEnds(async (_, stream) => {
    try {
      while (true) {
        await stream.write("stdout", pattern(written, 10_000));
        written += 10_000;
      }
    } catch (error) {
      failure = error;
    }
  });
  const stream = deck.open(LOGS);
  await settle();
  assert.equal(sent.sailor, INITIAL_CREDIT_BYTES);
  await settle();
  assert.equal(sent.sailor, INITIAL_CREDIT_BYTES);
  stream.end(null);
  await settle();
  assert.ok(failure instanceof StreamError);
});

Deno.test("stream mux: 50 MB come through byte-exact, never more than the credit ahead of the reader", async () => {
  const total = 50_000_000;
  const { deck, sent } = createEnds(async (_, stream) => {
    for (let at = 0; at < total; at += 77_777) {
      await stream.write("stdout", pattern(at, Math.min(77_777, total - at)));
    }
    stream.end(7);
  });
  const stream = deck.open(LOGS);
  let read = 0;
  let aheadMax = 0;
  for await (const { data } of stream.incoming) {
    assert.equal(misplaced(data, read), -1);
    read += data.length;
    aheadMax = Math.max(aheadMax, sent.sailor - read);
  }
  assert.equal(read, total);
  assert.equal(await stream.ended, 7);
  assert.ok(aheadMax <= INITIAL_CREDIT_BYTES, `${aheadMax} bytes ahead`);
});

Deno.test("stream mux: a stalled stream does not hold up its neighbour", async () => {
  const { deck } = createEnds(async (_, stream) => {
    for (let i = 0; i < 100; i++) await stream.write("stderr", new Uint8Array(50_000));
  });
  const stalled = deck.open(LOGS);
  assert.equal(await bytesOf(deck.open(LOGS)), 5_000_000);
  assert.equal(stalled.signal.aborted, false);
  assert.equal(await bytesOf(stalled), 5_000_000);
});

Deno.test("stream mux: a link that is cut fails all its streams, with the reason", async () => {
  const served: Stream[] = [];
  const failures: unknown[] = [];
  const { deck, pair } = createEnds(async (_, stream) => {
    served.push(stream);
    await stream.write("stdout", new Uint8Array([1]));
    await stream.write("stdout", new Uint8Array(2 * INITIAL_CREDIT_BYTES)).catch((error) => failures.push(error));
  });
  const streams = [deck.open(LOGS), deck.open(LOGS)];
  const writing = streams[1].write("stdin", new Uint8Array(2 * INITIAL_CREDIT_BYTES));
  const refused = assert.rejects(writing, { code: "away" });
  await settle();
  pair.cut("cable pulled");
  await settle();
  const away = { name: "StreamError", code: "away", message: /cable pulled/ };
  for (const stream of streams) {
    await assert.rejects(bytesOf(stream), away);
    await assert.rejects(stream.ended, away);
  }
  await refused;
  assert.deepEqual(served.map((stream) => stream.signal.aborted), [true, true]);
  assert.equal(failures.length, 2);
  assert.throws(() => deck.open(LOGS), away);
});

Deno.test("stream mux: ending a stream early aborts its producer and leaves the link", async () => {
  let aborted = false;
  const { deck, pair } = createEnds(async (request, stream) => {
    stream.signal.addEventListener("abort", () => aborted = true);
    await stream.write("stdout", new Uint8Array([1]));
    if ("follow" in request && request.follow) await hang();
  });
  const stream = deck.open(LOGS);
  await stream.started;
  stream.end(null);
  assert.equal(await bytesOf(stream), 0);
  await settle();
  assert.equal(aborted, true);
  assert.equal(pair.closedWith(), null);
  assert.equal(await bytesOf(deck.open({ ...LOGS, follow: false })), 1);
});

Deno.test("stream mux: the end of stdin waits for what was written before it", async () => {
  const release = Promise.withResolvers<void>();
  let received = 0;
  const { deck, sent } = createEnds(async (_, stream) => {
    await release.promise;
    for await (const { data } of stream.incoming) {
      assert.equal(misplaced(data, received), -1);
      received += data.length;
    }
    stream.end(received);
  });
  const stream = deck.open(LOGS);
  const writes = [
    stream.write("stdin", pattern(0, 600_000)),
    stream.write("stdin", pattern(600_000, 600_000)),
    stream.write("stdin", new Uint8Array(0)),
  ];
  await settle();
  assert.equal(sent.deck, INITIAL_CREDIT_BYTES);
  release.resolve();
  await Promise.all(writes);
  assert.equal(await stream.ended, 1_200_000);
});

Deno.test("stream mux: an error of the server reaches the deck with its code", async () => {
  const { deck } = createEnds(async (request) => {
    await Promise.resolve();
    throw request.attemptId === "a" ? new StreamError("notFound", "gone") : new Error("no such command");
  });
  const { deck: late } = createEnds(async () => {
    await settle();
    throw new StreamError("notFound", "gone later");
  });
  await assert.rejects(deck.open(LOGS).ended, { code: "notFound", message: "gone" });
  await assert.rejects(deck.open({ ...LOGS, attemptId: "b" }).started, { code: "failed", message: "no such command" });
  await assert.rejects(late.open(LOGS).ended, { code: "notFound", message: "gone later" });
});

Deno.test("stream mux: a size that came before anybody asked is not lost", async () => {
  const go = Promise.withResolvers<void>();
  const sizes: number[][] = [];
  const { deck } = createEnds(async (_, stream) => {
    await go.promise;
    stream.onResize((columns, rows) => sizes.push([columns, rows]));
    await hang();
  });
  const stream = deck.open(LOGS);
  stream.resize(80, 24);
  stream.resize(100, 30);
  await settle();
  go.resolve();
  await settle();
  stream.resize(120, 40);
  await settle();
  assert.deepEqual(sizes, [[100, 30], [120, 40]]);
});

Deno.test("stream mux: a link takes a limited number of streams, and again when some are over", async () => {
  const { deck } = createEnds(hang);
  const streams = Array.from({ length: STREAMS_MAX }, () => deck.open(LOGS));
  await settle();
  assert.throws(() => deck.open(LOGS), { code: "failed", message: /256 logs and commands/ });
  // Servers that do not heed the abort still count at the sailor.
  streams[0].end(null);
  await assert.rejects(deck.open(LOGS).ended, { code: "failed", message: /256 logs and commands/ });
});

Deno.test("stream mux: a request that this sailor does not know fails alone", async () => {
  const { deck, pair } = createEnds((_, stream) => stream.write("stdout", new Uint8Array([1])));
  await assert.rejects(deck.open({ ...LOGS, kind: "files" } as never).ended, {
    code: "failed",
    message: /does not know/,
  });
  assert.equal(await bytesOf(deck.open(LOGS)), 1);
  assert.equal(pair.closedWith(), null);
});

Deno.test("stream mux: an end that does not read its socket is cut off", async () => {
  const pair = createLinkPair();
  createStreamMux({ ...pair.far, buffered: () => 2 ** 30 }, async (_, stream) => {
    await stream.write("stdout", new Uint8Array(1));
  });
  pair.near.send(frame("open", 1, LOGS));
  await settle();
  assert.equal(pair.closedWith(), "the other end does not read");
});

const GARBAGE: readonly {
  readonly name: string;
  readonly at: "sailor" | "deck";
  readonly frames: readonly (string | Uint8Array)[];
}[] = [
  { name: "text", at: "sailor", frames: ["hello"] },
  { name: "nothing", at: "sailor", frames: [new Uint8Array(0)] },
  { name: "a kind that does not exist", at: "sailor", frames: [new Uint8Array([99, 0, 0, 0, 1])] },
  {
    name: "a frame that is too large",
    at: "deck",
    frames: [frame("stdout", 1, new Uint8Array(STREAM_FRAME_BYTES_MAX))],
  },
  { name: "a second bind", at: "sailor", frames: [frame("bind", 0, { sessionId: "s" })] },
  { name: "an open that is not JSON", at: "sailor", frames: [frame("open", 1, new Uint8Array([123]))] },
  { name: "a number that was used", at: "sailor", frames: [frame("open", 2, LOGS), frame("open", 2, LOGS)] },
  { name: "a stream that was not opened", at: "sailor", frames: [frame("stdin", 5)] },
  { name: "output at the sailor", at: "sailor", frames: [frame("open", 1, LOGS), frame("stdout", 1)] },
  { name: "credit that is not a number", at: "sailor", frames: [frame("open", 1, LOGS), frame("credit", 1, {})] },
  {
    name: "credit without end",
    at: "sailor",
    frames: [frame("open", 1, LOGS), frame("credit", 1, { bytes: 2 ** 40 })],
  },
  {
    name: "stdin after its end",
    at: "sailor",
    frames: [frame("open", 1, LOGS), frame("stdin", 1), frame("stdin", 1, new Uint8Array(1))],
  },
  { name: "open at the deck", at: "deck", frames: [frame("open", 2, LOGS)] },
  { name: "stdin at the deck", at: "deck", frames: [frame("stdin", 1, new Uint8Array(1))] },
  { name: "an end without a code", at: "deck", frames: [frame("end", 1, {})] },
  {
    name: "more bytes than were granted",
    at: "deck",
    frames: Array.from({ length: 5 }, () => frame("stdout", 1, new Uint8Array(64 * 1024))),
  },
];

for (const { name, at, frames } of GARBAGE) {
  Deno.test(`stream mux: garbage closes the link and fails its streams: ${name}`, async () => {
    const pair = createLinkPair();
    const streams: Stream[] = [];
    const mux = createStreamMux(
      pair.far,
      at === "deck" ? undefined : async (_, stream) => {
        streams.push(stream);
        await hang();
      },
    );
    if (at === "deck") streams.push(mux.open(LOGS));
    for (const one of frames) pair.near.send(one);
    await settle();
    assert.match(pair.closedWith() ?? "still open", /^a bad stream frame: /);
    assert.ok(streams.every((stream) => stream.signal.aborted));
  });
}

Deno.test("stream mux: frames of a stream that is over are no garbage", async () => {
  const pair = createLinkPair();
  const deck = createStreamMux(pair.near);
  const stream = deck.open(LOGS);
  stream.end(null);
  pair.far.send(frame("stdout", 1, new Uint8Array(100)));
  pair.far.send(frame("end", 1, { exitCode: 0 }));
  await settle();
  assert.equal(pair.closedWith(), null);
});
