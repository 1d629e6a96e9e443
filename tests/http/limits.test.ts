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

const TWICE: readonly { readonly text: string; readonly says: RegExp | null }[] = [
  { text: '{"name":"a","image":"a:1",\n "name":"b"}', says: /^at 2:2: the key `name` is there twice$/ },
  { text: '{"name":"a","image":"a:1","env":{"A":"1","\\u0041":"2"}}', says: /^at 1:42: the key `A` is there twice$/ },
  { text: '{"tasks":[{"name":"a","image":"a:1"},{"name":"b","image":"a:1"}]}', says: null },
  { text: '{"name":"a","image":"a:1","cmd":["\\"x\\":","{\\"name\\":1","name :"],"env":{"B":"a\\\\"}}', says: null },
];

for (const { text, says } of TWICE) {
  Deno.test(`a key that is there twice is refused with its place, one in a text is none: ${text}`, async () => {
    const rig = deckRig();
    const answer = await rig.fetch("/v1/tasks", { ...postJson(null), body: text });
    const body = await answer.json();
    if (says === null) assert.equal(answer.status, 201, body.detail);
    else {
      assert.equal(answer.status, 400);
      assert.match(body.detail, says);
    }
  });
}

Deno.test("a batch takes 10,000 tasks and not one more, and changes nothing when one of them is wrong", async () => {
  const rig = deckRig();
  const tasks = Array.from({ length: 10_000 }, (_, i) => ({ name: `t${i}`, image: "a:1" }));
  assert.equal((await rig.fetch("/v1/tasks", postJson({ tasks }))).status, 201);
  const more = await rig.fetch("/v1/tasks", postJson({ tasks: [...tasks, { name: "x", image: "a:1" }] }));
  assert.equal(more.status, 422);
  assert.match((await more.json()).detail, /has 10001 tasks; a batch takes 1 to 10000/);
  const wrong = await rig.fetch("/v1/tasks", postJson({ tasks: [...tasks.slice(1), { name: "x", image: "a b" }] }));
  assert.equal(wrong.status, 422);
  assert.match((await wrong.json()).detail, /^\/tasks\/9999\/image: /);
  assert.equal(rig.deck.callsOf("submitBatch").length, 1);
  const large = await rig.fetch(
    "/v1/tasks",
    postJson({ tasks: [{ name: "x", image: "a:1", labels: { a: "b".repeat(2 ** 24) } }] }),
  );
  assert.equal(large.status, 413);
});

/** Everything that a person may get wrong in a document, or do wrong on purpose. */
const REFUSED: readonly [body: string, type: string, status: number, says: RegExp][] = [
  ['{"name":"a",}', "application/json", 400, /^malformed JSON at 1:13: /],
  ["name: a\nimage: [", "application/yaml", 400, /^malformed YAML at 2:\d+: /],
  ["name: a\nname: b\nimage: a:1", "application/yaml", 400, /^malformed YAML at 2:1: .*unique/],
  ["name: a\nimage: a:1\ncpuu: 1", "application/yaml", 422, /3:7 unknown key `cpuu`; did you mean `cpu`/],
  [
    "a: &a [x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]",
    "text/yaml",
    400,
    /alias/,
  ],
  ['{"name":"a","image":"a:1","__proto__":{}}', "application/json", 400, /`__proto__` is not allowed/],
  ['{"name":"a","image":"a:1","cpu":NaN}', "application/json", 400, /^malformed JSON at 1:33/],
  ['{"name":"a","image":"a:1","cpu":1e999}', "application/json", 422, /^\/cpu: /],
  ["name: a\nimage: a:1\ncpu: .nan", "text/yaml", 422, /cpu/],
  ['{"name":"../a","image":"a:1"}', "application/json", 422, /^\/name: /],
  ['{"name":"a","image":"a:1;rm -rf /"}', "application/json", 422, /^\/image: not an image reference/],
  ['{"name":"a","image":"a:1","ports":["70000:80"]}', "application/json", 422, /^\/ports\/0: not a port mapping/],
  ['{"name":"a","image":"a:1","user":"a\\u0007"}', "application/json", 422, /^\/user: control characters/],
  ['{"name":"a","image":"a:1","volumes":["/a/../b:/c"]}', "application/json", 422, /^\/volumes\/0: not a volume/],
  ["{}", "text/html", 415, /send application\/json/],
];

for (const [body, type, status, says] of REFUSED) {
  Deno.test(`refused with ${status}: ${body}`, async () => {
    const rig = deckRig();
    const answer = await rig.fetch("/v1/tasks", { method: "POST", body, headers: { "content-type": type } });
    const problem = await answer.json();
    assert.equal(answer.status, status, problem.detail);
    assert.match(problem.detail, says);
    assert.equal(rig.deck.calls.length, 0);
  });
}
