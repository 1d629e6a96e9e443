/** /v1/events: lists, resuming, gaps, watchers that do not keep up. Time stands still unless a test moves it. */
import assert from "node:assert/strict";
import { KEEP_ALIVE_MS, QUEUE_MAX } from "../../lib/http/event_stream.ts";
import { STALL_MS } from "../../lib/http/reader_watch.ts";
import { event, WALL_MS } from "./records.ts";
import { deckRig } from "./support.ts";
import type { Rig } from "./support.ts";

interface Watcher {
  /** The next piece of the stream; undefined at its end. */
  read(): Promise<string | undefined>;
  cancel(): Promise<void>;
}

async function watch(rig: Rig, path = "/v1/events", headers: Record<string, string> = {}): Promise<Watcher> {
  const response = await rig.fetch(path, { headers: { accept: "text/event-stream", ...headers } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  const read = async () => decoder.decode((await reader.read()).value) || undefined;
  assert.match(await read() ?? "", /^retry: 1000\n\n/);
  return { read, cancel: () => reader.cancel() };
}

const idsOf = (text: string | undefined) => [...(text ?? "").matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));

function rigWith(count: number): Rig {
  const rig = deckRig();
  for (let id = 1; id <= count; id++) rig.deck.events.push(event(id));
  return rig;
}

Deno.test("a list pages by id", async () => {
  const rig = rigWith(5);
  const first = await (await rig.fetch("/v1/events?limit=2")).json();
  assert.deepEqual(first.events.map((e: { id: number }) => e.id), [1, 2]);
  assert.equal(first.next, "2");
  const last = await (await rig.fetch("/v1/events?after=3")).json();
  assert.deepEqual(last.events.map((e: { id: number }) => e.id), [4, 5]);
  assert.equal(last.next, null);
  assert.deepEqual(await (await deckRig().fetch("/v1/events")).json(), { events: [], next: null });
});

Deno.test("since= takes an id, a time or a duration", async () => {
  const rig = rigWith(100);
  rig.clock.advance(100_000);
  const ids = async (since: string) => {
    const { events } = await (await rig.fetch(`/v1/events?limit=1000&since=${encodeURIComponent(since)}`)).json();
    return events.map((e: { id: number }) => e.id)[0] ?? null;
  };
  assert.equal(await ids("40"), 41);
  assert.equal(await ids(new Date(WALL_MS + 40_000).toISOString()), 40);
  assert.equal(await ids(new Date(WALL_MS + 40_001).toISOString()), 41);
  assert.equal(await ids("10s"), 90);
  assert.equal(await ids("1h"), 1);
  assert.equal(await ids(new Date(WALL_MS + 200_000).toISOString()), null);
  rig.deck.oldestEvent = 50;
  assert.equal(await ids("1h"), 50);
});

Deno.test("a stream begins now and carries kind, id and data", async () => {
  const rig = rigWith(3);
  const watcher = await watch(rig);
  const next = watcher.read();
  rig.deck.publish(event(4, { kind: "taskFailed", message: "line\nbreak" }));
  assert.equal(
    await next,
    `id: 4\nevent: taskFailed\ndata: ${JSON.stringify(event(4, { kind: "taskFailed", message: "line\nbreak" }))}\n\n`,
  );
  await watcher.cancel();
  assert.equal(rig.deck.watchers.size, 0);
  assert.equal(rig.clock.pending, 0);
});

Deno.test("an event between the answer and the first read is not lost", async () => {
  const rig = rigWith(3);
  const response = await rig.fetch("/v1/events", { headers: { accept: "text/event-stream" } });
  rig.deck.publish(event(4));
  const reader = response.body!.getReader();
  await reader.read();
  assert.deepEqual(idsOf(new TextDecoder().decode((await reader.read()).value)), [4]);
  await reader.cancel();
});

Deno.test("Last-Event-ID resumes without loss, repetition or change of order", async () => {
  const rig = rigWith(250);
  const watcher = await watch(rig, "/v1/events?after=1", { "last-event-id": "20" });
  const seen: number[] = [];
  // Events that happen while the past is being read.
  rig.deck.publish(event(251));
  while (seen.length < 231) seen.push(...idsOf(await watcher.read()));
  const live = watcher.read();
  rig.deck.publish(event(252), event(253));
  seen.push(...idsOf(await live));
  assert.deepEqual(seen, Array.from({ length: 233 }, (_, i) => 21 + i));
  await watcher.cancel();
});

const GAPS = [
  { what: "older than what is kept", last: "3", after: 3, first: 10 },
  { what: "newer than the newest, as after a reset", last: "900", after: 900, first: 10 },
];

for (const c of GAPS) {
  Deno.test(`Last-Event-ID ${c.what} is told with a gap first`, async () => {
    const rig = rigWith(20);
    rig.deck.oldestEvent = 10;
    const response = await rig.fetch("/v1/events", {
      headers: { accept: "text/event-stream", "last-event-id": c.last },
    });
    const reader = response.body!.getReader();
    const head = new TextDecoder().decode((await reader.read()).value);
    assert.equal(head, `retry: 1000\n\nevent: gap\ndata: {"after":${c.after},"oldest":10,"newest":20}\n\n`);
    assert.equal(idsOf(new TextDecoder().decode((await reader.read()).value))[0], c.first);
    await reader.cancel();
  });
}

Deno.test("no gap is told when exactly what is kept follows", async () => {
  const rig = rigWith(20);
  rig.deck.oldestEvent = 10;
  for (const last of ["9", "20"]) await (await watch(rig, "/v1/events", { "last-event-id": last })).cancel();
  const bad = await rig.fetch("/v1/events", { headers: { accept: "text/event-stream", "last-event-id": "x" } });
  assert.equal(bad.status, 400);
});

Deno.test("a silent stream is kept alive each 15 s", async () => {
  const rig = rigWith(0);
  const watcher = await watch(rig);
  for (let round = 0; round < 3; round++) {
    const next = watcher.read();
    rig.clock.advance(KEEP_ALIVE_MS);
    assert.equal(await next, ": keep-alive\n\n");
  }
  await watcher.cancel();
});

Deno.test("a watcher that does not read is cut off at its bound, and resumes without loss", async () => {
  const rig = rigWith(1);
  const slow = await watch(rig);
  const first = slow.read();
  rig.deck.publish(event(2));
  assert.deepEqual(idsOf(await first), [2]);
  for (let id = 3; id <= 2 + QUEUE_MAX; id++) rig.deck.publish(event(id));
  assert.equal(rig.deck.watchers.size, 1);
  rig.deck.publish(event(3 + QUEUE_MAX));
  assert.equal(rig.deck.watchers.size, 0);
  assert.equal(rig.clock.pending, 0);
  await assert.rejects(slow.read(), /does not keep up/);
  const again = await watch(rig, "/v1/events", { "last-event-id": "2" });
  const seen: number[] = [];
  while (seen.length <= QUEUE_MAX) seen.push(...idsOf(await again.read()));
  assert.deepEqual([seen[0], seen.at(-1), seen.length], [3, 3 + QUEUE_MAX, QUEUE_MAX + 1]);
  await again.cancel();
});

Deno.test("keep-alives do not gather for a watcher that does not read", async () => {
  const rig = rigWith(1);
  const watcher = await watch(rig);
  const first = watcher.read();
  rig.deck.publish(event(2));
  await first;
  rig.clock.advance(STALL_MS - 1);
  rig.deck.publish(event(3));
  assert.deepEqual(idsOf(await watcher.read()), [3]);
  await watcher.cancel();
});

Deno.test("a watcher that takes nothing for a minute is cut off, one that merely waits is not", async () => {
  const rig = rigWith(1);
  const stalled = await watch(rig);
  const waiting = await watch(rig);
  const next = waiting.read();
  rig.clock.advance(STALL_MS);
  assert.equal(await next, ": keep-alive\n\n");
  assert.equal(rig.deck.watchers.size, 1);
  await assert.rejects(stalled.read(), /does not read/);
  await waiting.cancel();
  assert.equal(rig.clock.pending, 0);
});

Deno.test("run= shows the events of one run only, in lists and in streams", async () => {
  const rig = deckRig();
  const of = (id: number) => event(id, { runId: id % 50 === 0 ? "deploy-1" : id % 2 === 0 ? "deploy-2" : null });
  for (let id = 1; id <= 500; id++) rig.deck.events.push(of(id));
  const page = async (query: string) => {
    const { events, next } = await (await rig.fetch(`/v1/events?run=deploy-1&${query}`)).json();
    return [events.map((e: { id: number }) => e.id), next];
  };
  assert.deepEqual(await page("limit=3"), [[50, 100, 150], "150"]);
  assert.deepEqual(await page("after=400"), [[450, 500], null]);
  assert.deepEqual(await page("after=500"), [[], null]);
  const watcher = await watch(rig, "/v1/events?run=deploy-1&after=349");
  const seen: number[] = [];
  while (seen.length < 4) seen.push(...idsOf(await watcher.read()));
  const live = watcher.read();
  // From here on they are not read from what is kept, but handed on.
  while (rig.deck.watchers.size === 0) await Promise.resolve();
  rig.deck.publish(event(501), of(502));
  rig.deck.publish(of(502), event(503, { runId: "deploy-1" }));
  seen.push(...idsOf(await live));
  assert.deepEqual(seen, [350, 400, 450, 500, 503]);
  await watcher.cancel();
});
