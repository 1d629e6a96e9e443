/** What is too long or too slow, at the edge of both listeners. */
import assert from "node:assert/strict";
import { HEADER_CHARS_MAX, URL_CHARS_MAX } from "../../lib/http/request_head.ts";
import { deckRig, postJson } from "./support.ts";

Deno.test("an address or headers that are too long get 431 and a sentence, in each API's shape", async () => {
  const rig = deckRig();
  const address = await rig.fetch(`/v1/tasks/${"a".repeat(URL_CHARS_MAX)}`);
  assert.equal(address.status, 431);
  assert.match((await address.json()).detail, /^the address is 82\d\d characters long; at most 8192 are read$/);
  const headers = await rig.fetch("/tasks", { headers: { "x-long": "a".repeat(HEADER_CHARS_MAX) } });
  assert.equal(headers.status, 431);
  assert.match((await headers.json()).Message, /^the headers are 327\d\d characters long together; at most 32768/);
  assert.equal(rig.deck.calls.length, 0);
  assert.equal((await rig.fetch(`/v1/tasks?cursor=${"a".repeat(1000)}`)).status, 200);
});

Deno.test("a Host header that is no host is refused", async () => {
  const rig = deckRig();
  const answer = await rig.fetch("/v1/info", { headers: { host: "a b<>" } });
  assert.equal(answer.status, 400);
  assert.match((await answer.json()).detail, /Host header/);
});

function stalledBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"name"')) });
}

Deno.test("a body that does not come gets 408: by its declared length, or by the most that is allowed", async () => {
  const rig = deckRig();
  const cases = [
    { path: "/v1/tasks", length: "100", withinMs: 11_000, shape: (body: { detail: string }) => body.detail },
    { path: "/v1/tasks/web/stop", length: null, withinMs: 14_000, shape: (body: { detail: string }) => body.detail },
    { path: "/tasks", length: null, withinMs: 14_000, shape: (body: { Message: string }) => body.Message },
    { path: "/v1/tasks", length: null, withinMs: 74_000, shape: (body: { detail: string }) => body.detail },
  ];
  for (const { path, length, withinMs, shape } of cases) {
    const init = postJson({}, length === null ? {} : { "content-length": length });
    let answered = false;
    const answer = rig.fetch(path, { ...init, body: stalledBody() }).finally(() => answered = true);
    await new Promise((resolve) => setTimeout(resolve));
    rig.clock.advance(withinMs - 1_500);
    await new Promise((resolve) => setTimeout(resolve));
    assert(!answered, path);
    rig.clock.advance(1_500);
    const response = await answer;
    assert.deepEqual([response.status, response.headers.get("connection")], [408, "close"]);
    assert.match(shape(await response.json()), /^the body did not come within \d+ s$/);
  }
  assert.equal(rig.clock.pending, 0);
  assert.equal(rig.deck.callsOf("submit").length, 0);
});

Deno.test("a body in time leaves no timer behind", async () => {
  const rig = deckRig();
  assert.equal((await rig.fetch("/v1/tasks", postJson({ name: "a", image: "a:1" }))).status, 201);
  assert.equal(rig.clock.pending, 0);
});
