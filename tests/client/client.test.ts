import assert from "node:assert/strict";
import { connect, DeckError } from "../../lib/client/mod.ts";
import { query, urlOf } from "../../lib/client/transport.ts";
import { all, deadAddress, ndjson, problem, routes, scriptedDeck } from "./scripted_deck.ts";

const URLS: readonly [string, string][] = [
  ["deck:5555", "http://deck:5555"],
  ["deck", "http://deck:5555"],
  [":6000", "http://localhost:6000"],
  ["127.0.0.1:80", "http://127.0.0.1"],
  ["[::1]:5555", "http://[::1]:5555"],
  ["http://deck:5555/", "http://deck:5555"],
  ["https://deck.example/ormen/", "https://deck.example/ormen"],
];
for (const [address, url] of URLS) Deno.test(`urlOf() ${address}`, () => assert.equal(urlOf(address), url));

for (const address of ["", "deck:port", "http://", "http://a:b@deck", "deck?x=1"]) {
  Deno.test(`urlOf() refuses "${address}"`, () => assert.throws(() => urlOf(address), { code: "badAddress" }));
}

Deno.test("query() leaves out what is not set", () => {
  assert.equal(query({ a: 1, b: null, c: undefined, d: false, e: true, f: "x y" }), "?a=1&e=true&f=x+y");
  assert.equal(query({ a: null }), "");
});

Deno.test("Deck.info() names an unreachable deck as a person would", async () => {
  const address = deadAddress();
  await assert.rejects(connect(address).info(), (error: DeckError) => {
    assert.equal(error.code, "unreachable");
    assert.equal(error.message, `cannot reach the deck at ${address}: connection refused`);
    return true;
  });
});

Deno.test("Deck.task() throws the deck's problem", async () => {
  await using deck = scriptedDeck(() => problem(404, "notFound", 'there is no task "x"'));
  await assert.rejects(connect(deck.address).task("x"), (error: DeckError) => {
    assert.equal(error.status, 404);
    assert.equal(error.code, "notFound");
    assert.equal(error.message, 'there is no task "x"');
    assert.equal(error.problem?.title, "Refused");
    return true;
  });
});

Deno.test("Deck.submitOriginal() throws the original's error", async () => {
  await using deck = scriptedDeck(() => Response.json({ HTTPStatusCode: 400, Message: "Error\n" }, { status: 400 }));
  await assert.rejects(connect(deck.address).submitOriginal({}), { message: "Error", status: 400 });
});

Deno.test("Deck.info() says so when something else answers", async () => {
  await using other = scriptedDeck(() => new Response("<html>"));
  await assert.rejects(connect(other.address).info(), { code: "badReply" });
  await using broken = scriptedDeck(() => new Response("<html>", { status: 502 }));
  await assert.rejects(connect(broken.address).info(), { code: "badReply", status: 502 });
});

Deno.test("Deck.info() gives up when no answer comes in time", async () => {
  const never = Promise.withResolvers<Response>();
  await using deck = scriptedDeck(() => never.promise);
  await assert.rejects(connect(deck.address, { timeoutMs: 20 }).info(), { code: "timedOut" });
  never.resolve(new Response());
});

Deno.test("Deck sends its token, and none when there is none", async () => {
  await using deck = scriptedDeck(() => Response.json({}));
  await connect(deck.address, { token: "secret" }).info();
  await connect(deck.address).info();
  assert.deepEqual(deck.asked.map(({ headers }) => headers.get("authorization")), ["Bearer secret", null]);
});

Deno.test("Deck.tasks() follows cursors and passes filters on", async () => {
  await using deck = scriptedDeck(({ path }) =>
    Response.json(
      path.includes("cursor=c1")
        ? { tasks: [{ id: "3" }], next: null }
        : { tasks: [{ id: "1" }, { id: "2" }], next: "c1" },
    )
  );
  const tasks = await all(connect(deck.address).tasks({ state: "running", live: true, label: "a=b" }));
  assert.deepEqual(tasks.map(({ id }) => id), ["1", "2", "3"]);
  assert.deepEqual(deck.lines(), [
    "GET /v1/tasks?state=running&live=true&label=a%3Db&limit=1000",
    "GET /v1/tasks?state=running&live=true&label=a%3Db&limit=1000&cursor=c1",
  ]);
});

Deno.test("Deck.submit() and submitBatch() send documents, the batch under its key", async () => {
  await using deck = scriptedDeck(() => Response.json({ id: "1" }, { status: 201 }));
  const client = connect(deck.address);
  await client.submit({ name: "web", image: "a:1" });
  await client.submitBatch([{ name: "web", image: "a:1" }], { idempotencyKey: "k" });
  assert.deepEqual(deck.asked.map(({ body }) => JSON.parse(body)), [
    { name: "web", image: "a:1" },
    { tasks: [{ name: "web", image: "a:1" }] },
  ]);
  assert.deepEqual(deck.asked.map(({ headers }) => headers.get("idempotency-key")), [null, "k"]);
});

Deno.test("Deck's commands use their routes and escape references", async () => {
  await using deck = scriptedDeck(({ method }) =>
    method === "DELETE" ? new Response(null, { status: 204 }) : Response.json({})
  );
  const client = connect(deck.address);
  await client.stop("a/b", { grace: "5s" });
  await client.stop("web");
  await client.drain("host:1");
  await client.resume("host:1");
  await client.removeNode("host:1");
  assert.deepEqual(deck.lines(), [
    "POST /v1/tasks/a%2Fb/stop",
    "POST /v1/tasks/web/stop",
    "POST /v1/nodes/host%3A1/drain",
    "POST /v1/nodes/host%3A1/resume",
    "DELETE /v1/nodes/host%3A1",
  ]);
  assert.deepEqual(deck.asked.slice(0, 2).map(({ body }) => JSON.parse(body)), [{ grace: "5s" }, {}]);
});

Deno.test("Deck.logs() puts lines together that arrive in parts", async () => {
  const text = new TextEncoder().encode('{"stream":"stdout","text":"grüß\\n"}\n{"stream":"stderr","text":"oh"}\n');
  const parts = [text.slice(0, 33), text.slice(33, 34), text.slice(34)];
  await using deck = scriptedDeck(() => new Response(ReadableStream.from(parts)));
  const pieces = await all(connect(deck.address).logs("web", { follow: true, tail: 0 }));
  assert.deepEqual(pieces, [{ stream: "stdout", text: "grüß\n" }, { stream: "stderr", text: "oh" }]);
  assert.deepEqual(deck.lines(), ["GET /v1/tasks/web/logs?follow=true&tail=0"]);
  assert.equal(deck.asked[0].headers.get("accept"), "application/x-ndjson");
});

Deno.test("Deck.logs() throws what broke the output off", async () => {
  await using deck = scriptedDeck(() => ndjson({ stream: "stdout", text: "a" }, { error: "node host-a is down" }));
  await assert.rejects(all(connect(deck.address).logs("web")), { code: "interrupted", message: "node host-a is down" });
});

Deno.test("Deck.logs() ends quietly when its signal is aborted", async () => {
  const controller = new AbortController();
  await using deck = scriptedDeck(() =>
    new Response(
      new ReadableStream({
        start: (out) => out.enqueue(new TextEncoder().encode('{"stream":"stdout","text":"a"}\n')),
      }),
    )
  );
  for await (const _ of connect(deck.address).logs("web", { signal: controller.signal })) controller.abort();
});

Deno.test("Deck.pastEvents() pages by the last event's id", async () => {
  await using deck = scriptedDeck(routes({
    "GET /v1/events": ({ path }) =>
      Response.json(
        path.includes("after=2") ? { events: [{ id: 3 }], next: null } : { events: [{ id: 1 }, { id: 2 }], next: "2" },
      ),
  }));
  const events = await all(connect(deck.address).pastEvents({ since: "10m" }));
  assert.deepEqual(events.map(({ id }) => id), [1, 2, 3]);
  assert.deepEqual(deck.lines(), ["GET /v1/events?since=10m&limit=1000", "GET /v1/events?after=2&limit=1000"]);
});

Deno.test("Deck's methods of workflows and runs use their routes", async () => {
  await using deck = scriptedDeck(({ method }) =>
    method === "DELETE"
      ? new Response(null, { status: 204 })
      : Response.json({ workflows: [], runs: [], events: [], next: null })
  );
  const client = connect(deck.address);
  await client.workflows();
  await client.workflow("a");
  await client.workflowSource("a");
  await client.workflowSource("a", 2);
  await client.applyWorkflow({ workflow: { name: "a b", steps: {} } });
  await client.removeWorkflow("a");
  await client.pauseWorkflow("a");
  await client.unpauseWorkflow("a");
  await client.startRun({ workflow: "a", params: { n: 1 } }, { idempotencyKey: "k" });
  await all(client.runs({ workflow: "a", state: "failed" }));
  await client.run("a");
  await client.runSource("a-1");
  await client.cancelRun("a-1");
  await client.approve("a-1", "ask", { inputs: { n: 1 } });
  await client.reject("a-1", "ask", { reason: "no" });
  await client.resumeRun("a-1", { from: "b" });
  await client.rerun("a-1");
  await all(client.pastEvents({ run: "a-1" }));
  assert.deepEqual(deck.lines(), [
    "GET /v1/workflows",
    "GET /v1/workflows/a",
    "GET /v1/workflows/a/source",
    "GET /v1/workflows/a/source?version=2",
    "PUT /v1/workflows/a%20b",
    "DELETE /v1/workflows/a",
    "POST /v1/workflows/a/pause",
    "POST /v1/workflows/a/unpause",
    "POST /v1/runs",
    "GET /v1/runs?workflow=a&state=failed&limit=1000",
    "GET /v1/runs/a",
    "GET /v1/runs/a-1/source",
    "POST /v1/runs/a-1/cancel",
    "POST /v1/runs/a-1/steps/ask/approve",
    "POST /v1/runs/a-1/steps/ask/reject",
    "POST /v1/runs/a-1/resume",
    "POST /v1/runs/a-1/rerun",
    "GET /v1/events?run=a-1&limit=1000",
  ]);
  const sent = deck.asked.filter(({ body }) => body.length > 2).map(({ body }) => JSON.parse(body));
  assert.deepEqual(sent, [
    { workflow: { name: "a b", steps: {} } },
    { workflow: "a", params: { n: 1 } },
    { inputs: { n: 1 } },
    { reason: "no" },
    { from: "b" },
  ]);
  assert.equal(deck.asked[8].headers.get("idempotency-key"), "k");
});
