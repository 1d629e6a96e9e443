import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import { parseEvents } from "../../lib/client/sse.ts";
import { all, deadAddress, eventStream, problem, scriptedDeck } from "./scripted_deck.ts";

const pause = () => Promise.resolve();
const event = (id: number) => ({ id, kind: "taskRunning" });

async function* linesOf(text: string) {
  yield* text.split("\n");
}

Deno.test("parseEvents() joins data, drops comments and reads fields without a space", async () => {
  const text = ": hello\n\nid: 7\nevent:gap\ndata: a\ndata:b\n\nevent: empty\n\ndata: c\n\n";
  assert.deepEqual(await all(parseEvents(linesOf(text))), [
    { id: "7", event: "gap", data: "a\nb" },
    { id: null, event: "message", data: "c" },
  ]);
});

Deno.test("parseEvents() drops a message that broke off", async () => {
  assert.deepEqual(await all(parseEvents(linesOf("data: a"))), []);
});

Deno.test("events() comes back after a break with the last id, and gives each event out once", async () => {
  const answers = [
    () => eventStream(event(1), event(2)),
    () => problem(503, "unavailable", "the store refuses"),
    () => eventStream(event(2), event(3)),
  ];
  await using deck = scriptedDeck(() => answers.shift()!());
  const controller = new AbortController();
  const seen: number[] = [];
  const pauses: number[] = [];
  let opened = 0;
  for await (
    const { id } of connect(deck.address).events({
      after: 0,
      signal: controller.signal,
      onOpen: () => opened++,
      pause: (ms) => Promise.resolve(void pauses.push(ms)),
    })
  ) {
    seen.push(id);
    if (id === 3) controller.abort();
  }
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(deck.asked.map(({ headers }) => headers.get("last-event-id")), ["0", "2", "2"]);
  assert.equal(opened, 2);
  assert.deepEqual(pauses, [200, 400], "each try waits longer");
});

Deno.test("events() starts anew when the deck no longer keeps what is missing", async () => {
  const gap = 'event: gap\ndata: {"after":90,"oldest":1,"newest":2}\n\n';
  const answers = [() => eventStream(event(90)), () => new Response(gap + 'data: {"id":1,"kind":"deckStarted"}\n\n')];
  await using deck = scriptedDeck(() => answers.shift()!());
  const controller = new AbortController();
  const seen: number[] = [];
  let opened = 0;
  const options = { signal: controller.signal, onOpen: () => opened++, pause };
  for await (const { id } of connect(deck.address).events(options)) {
    seen.push(id);
    if (id === 1) controller.abort();
  }
  assert.deepEqual(seen, [90, 1]);
  assert.equal(opened, 3, "a gap is a reason to look");
});

Deno.test("events() fails at once when the deck was never there", async () => {
  await assert.rejects(all(connect(deadAddress()).events({ pause })), { code: "unreachable" });
});

Deno.test("events() gives up when the deck stays away", async () => {
  let first = true;
  await using deck = scriptedDeck(() => {
    if (!first) return problem(503, "unavailable", "stopping");
    first = false;
    return eventStream(event(1));
  });
  await assert.rejects(all(connect(deck.address).events({ pause, patienceMs: 3000 })), { status: 503 });
  assert.equal(deck.asked.length, 5, "after 0.2 + 0.4 + 0.8 + 1.6 s it is enough");
});

Deno.test("events() does not come back when it is refused for good", async () => {
  const answers = [() => eventStream(event(1)), () => problem(401, "unauthorized", "who are you?")];
  await using deck = scriptedDeck(() => answers.shift()!());
  await assert.rejects(all(connect(deck.address).events({ pause })), { status: 401 });
});
