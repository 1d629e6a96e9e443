/** /v1/tasks: submitting, listing, stopping; what is refused and how it is told. */
import assert from "node:assert/strict";
import { problem, taskView } from "../../lib/messages/api.ts";
import type { TaskSpec } from "../../lib/core/documents/task.ts";
import { event, sailRecord, TASK_ID, taskDetail } from "./records.ts";
import { deckRig, postJson } from "./support.ts";
import type { Rig } from "./support.ts";

const DOCUMENT = { name: "web", image: "example/web:1" };

async function assertProblem(response: Response, status: number, code: string) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const body = problem.parse(JSON.parse(text));
  assert.equal(body.status, status);
  assert.equal(body.code, code);
  assert.equal(body.type, "about:blank");
  return body;
}

function submit(rig: Rig, body: unknown, headers: Record<string, string> = {}) {
  return rig.fetch("/v1/tasks", postJson(body, headers));
}

Deno.test("POST /v1/tasks answers 201 with the task and its place, be it gone again", async () => {
  const rig = deckRig();
  rig.deck.overrides = { summaryOf: () => undefined };
  const response = await submit(rig, { ...DOCUMENT, labels: { team: "a" } });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("location"), `/v1/tasks/${TASK_ID}`);
  const view = taskView.strict().parse(await response.json());
  assert.deepEqual([view.id, view.image, view.state, view.labels], [TASK_ID, "example/web:1", "pending", {
    team: "a",
  }]);
  assert.equal(rig.deck.callsOf("findTask").length, 0);
});

Deno.test("POST /v1/tasks shows the attempt of a task that was placed at once, without its history", async () => {
  const rig = deckRig();
  const sail = sailRecord({ attempts: 1, state: "scheduled" });
  rig.deck.tasks.set(TASK_ID, taskDetail({ state: "scheduled", events: [event(1)] }));
  rig.deck.overrides = { submit: () => Promise.resolve({ kind: "accepted", sail, created: true }) };
  taskView.strict().parse(await (await submit(rig, DOCUMENT)).json());
});

Deno.test("POST /v1/tasks takes YAML", async () => {
  const rig = deckRig();
  for (const type of ["application/yaml", "text/yaml; charset=utf-8"]) {
    const body = "name: web\nimage: example/web:1\nports: ['80:80']\n";
    const response = await rig.fetch("/v1/tasks", { method: "POST", body, headers: { "content-type": type } });
    assert.equal(response.status, 201);
  }
  const [[task]] = rig.deck.callsOf("submit") as [[{ spec: TaskSpec }]];
  assert.equal(task.spec.ports[0].host, 80);
});

Deno.test("POST /v1/tasks says where in YAML the mistake is", async () => {
  const rig = deckRig();
  const post = (body: string) =>
    rig.fetch("/v1/tasks", { method: "POST", body, headers: { "content-type": "application/yaml" } });
  const wrong = await assertProblem(
    await post("name: web\nimage: a\nhealth:\n  tcp: 99999\ncpus: 2\n"),
    422,
    "invalid",
  );
  assert.deepEqual(wrong.errors, [
    { pointer: "/health/tcp", detail: "4:8 must be at most 65535" },
    { pointer: "/cpus", detail: "5:7 unknown key `cpus`; did you mean `cpu`?" },
  ]);
  const malformed = await assertProblem(await post("name: web\nimage: [a\n"), 400, "malformed");
  assert.match(malformed.detail, /^malformed YAML at [23]:\d+: /);
  const laughs = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(10)}]`);
  const bomb = `a0: &a0 [x]\n${laughs.join("\n")}\n`;
  await assertProblem(await post(bomb), 400, "malformed");
  await assertProblem(await post("[".repeat(100_000)), 400, "malformed");
  await assertProblem(await post("__proto__: {a: 1}\nname: a\nimage: b\n"), 400, "malformed");
  await assertProblem(await post("# nothing\n"), 400, "malformed");
  await assertProblem(await post("a: 1\n---\nb: 2\n"), 400, "malformed");
});

const MALFORMED = [
  { what: "nothing", body: "", detail: /the body is empty/ },
  { what: "an end too early", body: '{\n "name": "we', detail: /ends too early at 2:13/ },
  { what: "a comma too many", body: '{\n "name": "web",\n}', detail: /at 3:1: invalid character '}'/ },
  { what: "text behind", body: '{"name": "web"} x', detail: /at 1:16: text after/ },
  { what: "deep nesting", body: "[".repeat(500_000), detail: /deeper than 64/ },
  { what: "deep nesting that ends", body: "[".repeat(65) + "]".repeat(65), detail: /deeper than 64/ },
  { what: "__proto__", body: '{"name":"a","image":"b","env":{"__proto__":"x"}}', detail: /`__proto__` is not allowed/ },
  { what: "__proto__ in escapes", body: '{"\\u005f_proto__":1}', detail: /`__proto__` is not allowed/ },
  { what: "bytes that are no UTF-8", body: new Uint8Array([0x22, 0xff, 0x22]), detail: /not UTF-8/ },
];

for (const c of MALFORMED) {
  Deno.test(`POST /v1/tasks refuses ${c.what} with 400`, async () => {
    const init = { method: "POST", body: c.body, headers: { "content-type": "application/json" } };
    const body = await assertProblem(await deckRig().fetch("/v1/tasks", init), 400, "malformed");
    assert.match(body.detail, c.detail);
  });
}

const INVALID: { body: unknown; errors: { pointer: string; detail: RegExp | string }[] }[] = [
  { body: 7, errors: [{ pointer: "", detail: "must be an object" }] },
  { body: { image: "a" }, errors: [{ pointer: "/name", detail: "is missing (string)" }] },
  { body: { name: "a b", image: "a" }, errors: [{ pointer: "/name", detail: /1 to 128 letters/ }] },
  { body: { ...DOCUMENT, imgae: "x" }, errors: [{ pointer: "/imgae", detail: /did you mean `image`/ }] },
  { body: { ...DOCUMENT, Ports: [] }, errors: [{ pointer: "/Ports", detail: /did you mean `ports`/ }] },
  { body: { ...DOCUMENT, zzzzzz: 1 }, errors: [{ pointer: "/zzzzzz", detail: "unknown key `zzzzzz`" }] },
  { body: { ...DOCUMENT, memory: "lots" }, errors: [{ pointer: "/memory", detail: /not a size: "lots"/ }] },
  { body: { ...DOCUMENT, memory: true }, errors: [{ pointer: "/memory", detail: "must be number or string" }] },
  { body: { ...DOCUMENT, ports: ["80:80", "x"] }, errors: [{ pointer: "/ports/1", detail: /not a port mapping/ }] },
  { body: { ...DOCUMENT, pull: "maybe" }, errors: [{ pointer: "/pull", detail: /one of missing, always, never/ }] },
  { body: { ...DOCUMENT, env: { "a/b": "x" } }, errors: [{ pointer: "/env/a~1b", detail: "not a variable's name" }] },
  {
    body: { ...DOCUMENT, files: { "/a": { content: "x", mod: "0644" } } },
    errors: [{ pointer: "/files/~1a/mod", detail: /did you mean `mode`/ }],
  },
  {
    body: { ...DOCUMENT, health: { http: "/", intervall: "1s" }, cpu: 0 },
    errors: [{ pointer: "/cpu", detail: /at least 0\.001/ }, { pointer: "/health/intervall", detail: /`interval`/ }],
  },
];

for (const c of INVALID) {
  Deno.test(`POST /v1/tasks says what is wrong with ${JSON.stringify(c.body)}`, async () => {
    const rig = deckRig();
    const { errors } = await assertProblem(await submit(rig, c.body), 422, "invalid");
    assert.deepEqual(errors?.map((e) => e.pointer), c.errors.map((e) => e.pointer));
    for (const [index, { detail }] of c.errors.entries()) {
      if (typeof detail === "string") assert.equal(errors![index].detail, detail);
      else assert.match(errors![index].detail, detail);
    }
    assert.equal(rig.deck.callsOf("submit").length, 0);
  });
}

Deno.test("POST /v1/tasks refuses other content types, and none", async () => {
  const rig = deckRig();
  for (const type of ["application/x-www-form-urlencoded", "text/plain", ""]) {
    const init = { method: "POST", body: new Blob([JSON.stringify(DOCUMENT)]), headers: { "content-type": type } };
    const response = await rig.fetch("/v1/tasks", init);
    await assertProblem(response, 415, "unsupportedMediaType");
  }
});

Deno.test("POST /v1/tasks reads 1 MiB of a task and 16 MiB of a batch, counted while streaming", async () => {
  const rig = deckRig();
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    rig.fetch("/v1/tasks", { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
  const padded = (bytes: number, document: unknown) => JSON.stringify(document) + " ".repeat(bytes);
  await assertProblem(await post(padded(2 ** 20, DOCUMENT)), 413, "tooLarge");
  assert.equal((await post(padded(2 ** 20, { tasks: [DOCUMENT] }))).status, 201);
  await assertProblem(await post("{}", { "content-length": String(17 * 2 ** 20) }), 413, "tooLarge");

  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(2 ** 20));
    },
    cancel() {
      cancelled = true;
    },
  });
  await assertProblem(await post(endless), 413, "tooLarge");
  assert(pulled <= 18, `${pulled}`);
  assert(cancelled);
});

Deno.test("POST /v1/tasks tells a body that broke off from a failure of its own", async () => {
  const rig = deckRig();
  const body = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  const init = { method: "POST", body, headers: { "content-type": "application/json" } };
  await assertProblem(await rig.fetch("/v1/tasks", init), 400, "malformed");
  assert.equal(rig.logger.errors.length, 0);
});

Deno.test("POST /v1/tasks tells of conflicts and of a store that refuses", async () => {
  const rig = deckRig();
  rig.deck.overrides = {
    submit: () => Promise.resolve({ kind: "conflict", code: "nameInUse", message: "web lives" }),
    submitBatch: () => Promise.resolve({ kind: "conflict", code: "keyReused", message: "another body" }),
  };
  assert.equal((await assertProblem(await submit(rig, DOCUMENT), 409, "nameInUse")).detail, "web lives");
  await assertProblem(await submit(rig, { tasks: [DOCUMENT] }, { "idempotency-key": "k" }), 409, "keyReused");
  await assertProblem(await submit(rig, DOCUMENT, { "idempotency-key": "k" }), 409, "keyReused");
  rig.deck.overrides = {
    submit: () => Promise.resolve({ kind: "unavailable", message: "disk full" }),
    submitBatch: () => Promise.resolve({ kind: "unavailable", message: "disk full" }),
  };
  for (const body of [DOCUMENT, { tasks: [DOCUMENT] }]) {
    const response = await submit(rig, body);
    assert.equal(response.headers.get("retry-after"), "2");
    await assertProblem(response, 503, "unavailable");
  }
});

Deno.test("a batch gets ids from its key, and the deck the body's digest", async () => {
  const rig = deckRig();
  const batch = { tasks: [DOCUMENT, { ...DOCUMENT, name: "two" }] };
  const first = await (await submit(rig, batch, { "idempotency-key": "deploy-7" })).json();
  const again = await (await submit(rig, batch, { "idempotency-key": "deploy-7" })).json();
  assert.deepEqual(first, again);
  const other = await (await submit(rig, batch, { "idempotency-key": "deploy-8" })).json();
  const without = await (await submit(rig, batch)).json();
  const ids = [first, other, without].flatMap((reply) => reply.tasks.map((task: { id: string }) => task.id));
  assert.equal(new Set(ids).size, 6);
  for (const id of ids.slice(0, 4)) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  const requests = rig.deck.callsOf("submitBatch").map(([r]) => r as { key: string | null; digest: string });
  assert.deepEqual(requests.map((r) => r.key), ["deploy-7", "deploy-7", "deploy-8", null]);
  assert.match(requests[0].digest, /^[0-9a-f]{64}$/);
  assert.equal(requests[0].digest, requests[1].digest);
});

Deno.test("a task under a key is made once, and answered as a single task", async () => {
  const rig = deckRig();
  const made = new Map<string, string>();
  rig.deck.overrides = {
    submitBatch: ({ key, digest, ids, specs }) => {
      if (made.has(key!) && made.get(key!) !== digest) {
        return Promise.resolve({ kind: "conflict", code: "keyReused", message: "another body" });
      }
      made.set(key!, digest);
      rig.deck.tasks.set(ids[0], taskDetail({ id: ids[0], name: specs[0].name }));
      return Promise.resolve({ kind: "done", items: [{ id: ids[0], name: specs[0].name, error: null }] });
    },
  };
  const first = await submit(rig, DOCUMENT, { "idempotency-key": "k1" });
  const again = await submit(rig, DOCUMENT, { "idempotency-key": "k1" });
  assert.deepEqual([first.status, again.status], [201, 201]);
  const body = taskView.strict().parse(await first.json());
  assert.deepEqual(body, await again.json());
  assert.equal(first.headers.get("location"), `/v1/tasks/${body.id}`);
  await assertProblem(await submit(rig, { ...DOCUMENT, cpu: 1 }, { "idempotency-key": "k1" }), 409, "keyReused");
  await assertProblem(await submit(rig, DOCUMENT, { "idempotency-key": "has space" }), 400, "badRequest");
});

Deno.test("a task under a key is refused when its name lives", async () => {
  const rig = deckRig();
  rig.deck.overrides = {
    submitBatch: ({ ids }) =>
      Promise.resolve({ kind: "done", items: [{ id: ids[0], name: "web", error: "web lives" }] }),
  };
  await assertProblem(await submit(rig, DOCUMENT, { "idempotency-key": "k" }), 409, "conflict");
  const batch = await submit(rig, { tasks: [DOCUMENT] });
  assert.equal(batch.status, 200);
  assert.equal((await batch.json()).tasks[0].error, "web lives");
});

Deno.test("a batch with one wrong task changes nothing and names its index", async () => {
  const rig = deckRig();
  const { errors } = await assertProblem(
    await submit(rig, { tasks: [DOCUMENT, { ...DOCUMENT, imag: "x" }, DOCUMENT], dryRun: true }),
    422,
    "invalid",
  );
  assert.deepEqual(errors?.map((e) => e.pointer), ["/dryRun", "/tasks/1/imag"]);
  for (const tasks of [[], 7, Array.from({ length: 10_001 }, () => DOCUMENT)]) {
    const body = await assertProblem(await submit(rig, { tasks }), 422, "invalid");
    assert.equal(body.errors?.[0].pointer, "/tasks");
  }
  assert.equal(rig.deck.callsOf("submitBatch").length, 0);
});

Deno.test("a batch takes 10,000 tasks", async () => {
  const rig = deckRig();
  const tasks = Array.from({ length: 10_000 }, (_, i) => ({ ...DOCUMENT, name: `t${i}` }));
  const response = await submit(rig, { tasks });
  assert.equal(response.status, 201);
  assert.equal((await response.json()).tasks.length, 10_000);
});

Deno.test("GET /v1/tasks passes filters, limit and cursor on", async () => {
  const rig = deckRig();
  const first = await (await rig.fetch("/v1/tasks")).json();
  assert.equal(first.tasks.length, 1);
  assert.equal(first.next, "more");
  const query =
    "limit=7&cursor=more&state=running&state=failed&node=localhost:8080&label=team=a&label=tier=b=c&live=true";
  assert.equal((await (await rig.fetch(`/v1/tasks?${query}`)).json()).next, null);
  assert.deepEqual(rig.deck.callsOf("listTasks"), [
    [{}, 100, null],
    [
      {
        states: ["running", "failed"],
        node: "localhost:8080",
        labels: { team: "a", tier: "b=c" },
        live: true,
      },
      7,
      "more",
    ],
  ]);
});

const QUERIES = [
  "/v1/tasks?limit=0",
  "/v1/tasks?limit=1001",
  "/v1/tasks?limit=x",
  "/v1/tasks?state=flying",
  "/v1/tasks?label=team",
  "/v1/tasks?cursor=bad",
  "/v1/tasks?live=maybe",
  "/v1/tasks?limt=3",
  "/v1/tasks?limit=1&limit=2",
  "/v1/nodes?cursor=bad",
  "/v1/events?after=-1",
  "/v1/events?since=yesterday",
  `/v1/tasks/${TASK_ID}/logs?tail=-1`,
  `/v1/tasks/${TASK_ID}/logs?since=2026`,
  `/v1/tasks/${TASK_ID}/logs?attempt=0`,
];

for (const path of QUERIES) {
  Deno.test(`GET ${path} is refused with 400`, async () => {
    await assertProblem(await deckRig().fetch(path), 400, "invalidQuery");
  });
}

Deno.test("an unknown parameter is told with the one that was probably meant", async () => {
  const body = await assertProblem(await deckRig().fetch("/v1/tasks?limt=3"), 400, "invalidQuery");
  assert.deepEqual(body.errors, [{ pointer: "/limt", detail: "unknown key `limt`; did you mean `limit`?" }]);
});

Deno.test("GET /v1/tasks/{ref} finds by id and name, and tells what it cannot find", async () => {
  const rig = deckRig();
  assert.equal((await (await rig.fetch(`/v1/tasks/${TASK_ID}`)).json()).spec.image, "example/web:1");
  assert.equal((await (await rig.fetch("/v1/tasks/web"))).status, 200);
  assert.equal(
    (await assertProblem(await rig.fetch("/v1/tasks/none"), 404, "notFound")).detail,
    'there is no task "none"',
  );
  rig.deck.overrides = { findTask: () => ({ kind: "ambiguous", candidates: ["bb1d", "bb1e"] }) };
  assert.match((await assertProblem(await rig.fetch("/v1/tasks/bb"), 409, "ambiguous")).detail, /bb1d, bb1e/);
});

Deno.test("stopping: with and without a grace, by POST and DELETE", async () => {
  const rig = deckRig();
  const path = "/v1/tasks/web/stop";
  for (
    const init of [
      postJson({ grace: "1m30s" }),
      postJson({}),
      { method: "POST" },
      { method: "POST", body: "" },
      { method: "POST", body: new Blob([]).stream() },
    ]
  ) {
    const response = await rig.fetch(path, init);
    assert.equal(response.status, 200);
    taskView.strict().parse(await response.json());
  }
  assert.equal((await rig.fetch("/v1/tasks/web", { method: "DELETE" })).status, 200);
  assert.deepEqual(rig.deck.callsOf("stop").map(([, grace]) => grace), [90_000, null, null, null, null, null]);
});

Deno.test("stopping refuses what it does not understand", async () => {
  const rig = deckRig();
  const path = "/v1/tasks/web/stop";
  for (const grace of ["soon", "2d", "10"]) {
    const { errors } = await assertProblem(await rig.fetch(path, postJson({ grace })), 422, "invalid");
    assert.equal(errors?.[0].pointer, "/grace");
  }
  const body = await assertProblem(await rig.fetch(path, postJson({ garce: "1s" })), 422, "invalid");
  assert.match(body.detail, /did you mean `grace`/);
  await assertProblem(await rig.fetch(path, { method: "POST", body: "grace=1s" }), 415, "unsupportedMediaType");
  await assertProblem(await rig.fetch("/v1/tasks/none/stop", { method: "POST" }), 404, "notFound");
  for (
    const [kind, status, code] of [["notFound", 404], ["conflict", 409], ["unavailable", 503]].map((r) => [...r, r[0]])
  ) {
    rig.deck.overrides = { stop: () => Promise.resolve({ kind: kind as "conflict", message: "no" }) };
    await assertProblem(await rig.fetch(path, { method: "POST" }), status as number, code as string);
  }
});
