/** The sailor's listener: the original worker's routes as recorded, and what stands beside them. */
import assert from "node:assert/strict";
import { decodeSailEvent } from "../../lib/http/compat/go_decode.ts";
import { translateEvent } from "../../lib/http/compat/translate.ts";
import { createSailorApp } from "../../lib/http/sailor_app.ts";
import type { HttpApp } from "../../lib/http/deck_app.ts";
import type { LocalTask, SailorApi, SailorTask } from "../../lib/http/sailor_api.ts";
import { recorded, recordedStats } from "./recorded.ts";
import { attemptRecord, TASK_ID } from "./records.ts";
import { call, FakeLink, OPEN, RecordingLogger, VirtualClock } from "./support.ts";

const TASK1 = Deno.readTextFileSync(new URL("../../task1.json", import.meta.url));

function sailorRig(overrides: Partial<SailorApi> = {}) {
  const submitted: LocalTask[] = [];
  const stopped: string[] = [];
  const accepted: unknown[] = [];
  const sailor: SailorApi = {
    localSubmit(task) {
      submitted.push(task);
      return Promise.resolve({ kind: "accepted", id: task.id ?? "made" });
    },
    localStop(id) {
      stopped.push(id);
      return Promise.resolve(id === TASK_ID ? { kind: "done" } : { kind: "notFound" });
    },
    tasks: () => [],
    inspectRaw: (id) => Promise.resolve(id === TASK_ID ? { Id: "e3dc", Name: "/ormen-x" } : undefined),
    stats: () => Promise.resolve(recordedStats()),
    acceptSession: (_link, ip) => accepted.push(ip),
    acceptStreams: () => accepted.push("streams"),
    notReady: () => null,
    ...overrides,
  };
  const app: HttpApp = createSailorApp({
    sailor,
    auth: OPEN,
    upgrade: () => ({ response: new Response(null, { headers: { upgraded: "yes" } }), link: new FakeLink() }),
    clock: new VirtualClock(),
    logger: new RecordingLogger(),
    version: "0.1.0",
  });
  const fetch = (path: string, init?: RequestInit) => call(app, path, init);
  return { fetch, submitted, stopped, accepted };
}

function recordedTask(): SailorTask {
  const translation = translateEvent(decodeSailEvent(TASK1));
  assert(translation.kind === "task");
  const { spec, original } = translation.task;
  const { observed } = attemptRecord({
    containerId: "e3dcb280dd4fbd1155ff3dd66c288db96ab7f417c29700a5129682ccdfe214ad",
    ports: [
      { container: 7777, protocol: "tcp", hostIp: "0.0.0.0", host: 32768 },
      { container: 7777, protocol: "tcp", hostIp: "::", host: 32768 },
    ],
  });
  return { id: TASK_ID, state: "running", spec: { ...spec, image: "localhost:5000/echo:1" }, original, observed };
}

async function assertAnswersAs(name: string, response: Response): Promise<void> {
  const expected = recorded(name);
  assert.equal(response.status, expected.status);
  assert.equal(response.headers.get("content-type"), expected.headers["content-type"] ?? null);
  assert.equal(await response.text(), expected.body);
}

Deno.test("the sailor answers as recorded", async () => {
  const rig = sailorRig({ tasks: () => [recordedTask()] });
  await assertAnswersAs("sailor-get-tasks", await rig.fetch("/tasks"));
  await assertAnswersAs("sailor-get-stats", await rig.fetch("/stats"));
  await assertAnswersAs("sailor-get-task-unknown", await rig.fetch("/tasks/00000000-0000-0000-0000-000000000000"));
});

Deno.test("a sailor without tasks answers [], not the original's null", async () => {
  assert.equal(await (await sailorRig().fetch("/tasks")).text(), "[]\n");
});

Deno.test("GET /tasks/{id} is the Engine's document", async () => {
  const response = await sailorRig().fetch(`/tasks/${TASK_ID}`);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), { Id: "e3dc", Name: "/ormen-x" });
  assert.equal((await sailorRig().fetch("/tasks/xyz")).status, 400);
});

Deno.test("POST /tasks starts and stops local tasks", async () => {
  const rig = sailorRig();
  const started = await rig.fetch("/tasks", { method: "POST", body: TASK1 });
  assert.equal(started.status, 201);
  assert.equal((await started.json()).Name, "test-chapter-9.1");
  assert.equal(rig.submitted[0].id, TASK_ID);
  const event = { ...JSON.parse(TASK1), State: 3 };
  assert.equal((await rig.fetch("/tasks", { method: "POST", body: JSON.stringify(event) })).status, 201);
  assert.deepEqual(rig.stopped, [TASK_ID]);
  assert.equal((await rig.fetch("/tasks", { method: "POST", body: '{"Bogus":1}' })).status, 400);
});

const STOPS = [["done", 204], ["notFound", 404], ["conflict", 409], ["unavailable", 503]] as const;

for (const [kind, status] of STOPS) {
  Deno.test(`DELETE /tasks/{id} answers ${status} to ${kind}`, async () => {
    const rig = sailorRig({ localStop: () => Promise.resolve({ kind, message: "it belongs to a deck" }) });
    const response = await rig.fetch(`/tasks/${TASK_ID}`, { method: "DELETE" });
    assert.equal(response.status, status);
    const text = await response.text();
    assert.equal(text, status < 409 ? "" : `{"HTTPStatusCode":${status},"Message":"it belongs to a deck"}\n`);
  });
}

Deno.test("POST /tasks tells of a task that lives", async () => {
  const rig = sailorRig({ localSubmit: () => Promise.resolve({ kind: "conflict", message: "it lives" }) });
  const response = await rig.fetch("/tasks", { method: "POST", body: TASK1 });
  assert.deepEqual([response.status, await response.json()], [409, { HTTPStatusCode: 409, Message: "it lives" }]);
});

Deno.test("a deck may dial in", async () => {
  const rig = sailorRig();
  const init = { headers: { upgrade: "websocket" } };
  assert.equal((await rig.fetch("/v1/session", init)).headers.get("upgraded"), "yes");
  await rig.fetch("/v1/session/streams", init);
  assert.deepEqual(rig.accepted, ["127.0.0.1", "streams"]);
});

Deno.test("health, readiness and figures", async () => {
  const rig = sailorRig({ notReady: () => "the Engine does not answer", tasks: () => [recordedTask()] });
  assert.equal((await rig.fetch("/healthz")).status, 200);
  const ready = await rig.fetch("/readyz");
  assert.deepEqual([ready.status, await ready.text()], [503, "the Engine does not answer\n"]);
  const text = await (await rig.fetch("/metrics")).text();
  assert(text.includes("\normen_sailor_tasks 1\n"), text);
  assert(text.includes('ormen_build_info{version="0.1.0"} 1\n'));
  assert(text.includes('ormen_http_requests_total{method="GET",route="/readyz",code="503"} 1\n'));
});

Deno.test("other paths and methods answer as the original does", async () => {
  const rig = sailorRig();
  await assertAnswersAs("deck-unknown-path", await rig.fetch("/nothing"));
  await assertAnswersAs("deck-wrong-method", await rig.fetch("/tasks", { method: "PUT" }));
  assert.equal((await rig.fetch("/v1/tasks")).headers.get("content-type"), "application/problem+json");
});
