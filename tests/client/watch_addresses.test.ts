/** Watching where a service answers: across breaks of the stream, until the service is gone. */
import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import type { WatchAddressesOptions } from "../../lib/client/watch_addresses.ts";
import { all, problem, scriptedDeck } from "./scripted_deck.ts";

const list = (...addresses: string[]) =>
  `event: addresses\ndata: ${
    JSON.stringify({ service: "web", addresses: addresses.map((address) => ({ address })) })
  }\n\n`;
const stream = (...parts: string[]) =>
  new Response(parts.join(""), { headers: { "content-type": "text/event-stream" } });

async function watched(answers: readonly (() => Response)[], options: WatchAddressesOptions = {}) {
  const pauses: number[] = [];
  await using deck = scriptedDeck(({ path, headers }) => {
    assert.deepEqual([path, headers.get("accept")], ["/v1/services/web/addresses", "text/event-stream"]);
    return answers[Math.min(deck.asked.length, answers.length) - 1]();
  });
  const lists = await all(
    connect(deck.address).services.watchAddresses("web", {
      pause: (ms) => Promise.resolve(void pauses.push(ms)),
      ...options,
    }),
  );
  return { lists: lists.map(({ addresses }) => addresses.map(({ address }) => address).join()), pauses };
}

Deno.test("each list as it comes, across breaks of the stream, until the service is gone", async () => {
  const away: unknown[] = [];
  const { lists, pauses } = await watched([
    () => stream(": keep-alive\n\n", list("a:1"), list("a:1", "b:2")),
    () => problem(503, "unavailable", "the deck is stopping"),
    () => problem(503, "unavailable", "the deck is stopping"),
    () => stream(list("c:3"), "event: gone\ndata: {}\n\n", list("never")),
  ], { onAway: (error) => away.push(error) });
  assert.deepEqual(lists, ["a:1", "a:1,b:2", "c:3"]);
  assert.deepEqual(pauses, [200, 400, 800]);
  assert.equal(away.length, 2);
});

Deno.test("a service that is not there is told at once, and so is a deck that refuses later", async () => {
  await assert.rejects(watched([() => problem(404, "notFound", 'there is no service "web"')]), /there is no service/);
  await assert.rejects(
    watched([() => stream(list("a:1")), () => problem(401, "unauthorized", "no token")]),
    /no token/,
  );
});

Deno.test("it ends when nobody wants it any more", async () => {
  const over = new AbortController();
  const { lists } = await watched([() => {
    over.abort();
    return stream(list("a:1"));
  }], { signal: over.signal });
  assert.deepEqual(lists, []);
});
