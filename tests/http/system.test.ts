/** Nodes, information, health, metrics, routing, sockets and the OpenAPI document. */
import assert from "node:assert/strict";
import type { OutputStream } from "../../lib/deck/api.ts";
import { RUN_ID, TASK_ID } from "./records.ts";
import { call, deckRig, postJson } from "./support.ts";

Deno.test("nodes: list, one, drain, resume, remove", async () => {
  const rig = deckRig();
  const list = await (await rig.fetch("/v1/nodes?limit=5")).json();
  assert.deepEqual(list.nodes.map((n: { id: string }) => n.id), ["node-a"]);
  assert.equal(list.next, null);
  assert.equal((await (await rig.fetch("/v1/nodes/localhost%3A8080")).json()).id, "node-a");
  for (const verb of ["drain", "resume"]) {
    const response = await rig.fetch(`/v1/nodes/localhost:8080/${verb}`, postJson({}));
    assert.equal(response.status, 200);
    assert.equal((await response.json()).id, "node-a");
  }
  const removed = await rig.fetch("/v1/nodes/node-a", { method: "DELETE" });
  assert.equal(removed.status, 204);
  assert.deepEqual(
    ["drain", "resume", "removeNode"].map((name) => rig.deck.callsOf(name as "drain")),
    [[["node-a"]], [["node-a"]], [["node-a"]]],
  );
});

Deno.test("nodes: what the deck refuses", async () => {
  const rig = deckRig();
  assert.equal((await rig.fetch("/v1/nodes/none/drain", { method: "POST" })).status, 404);
  const replies = [["conflict", 409], ["notFound", 404], ["unavailable", 503]] as const;
  for (const [kind, status] of replies) {
    rig.deck.overrides = { removeNode: () => Promise.resolve({ kind, message: "it is ready" }) };
    const response = await rig.fetch("/v1/nodes/node-a", { method: "DELETE" });
    assert.equal(response.status, status);
    assert.equal((await response.json()).detail, "it is ready");
  }
});

Deno.test("/v1/info, /healthz, /readyz", async () => {
  const rig = deckRig();
  assert.equal((await (await rig.fetch("/v1/info")).json()).scheduler, "epvm");
  assert.equal(await (await rig.fetch("/healthz")).text(), "ok\n");
  assert.equal((await rig.fetch("/readyz")).status, 200);
  rig.deck.overrides = { notReady: () => "the store refuses: disk full" };
  const response = await rig.fetch("/readyz");
  assert.equal(response.status, 503);
  assert.equal(await response.text(), "the store refuses: disk full\n");
});

Deno.test("/metrics has the deck's figures and HTTP's by route and code", async () => {
  const rig = deckRig();
  await rig.fetch("/v1/tasks/web");
  await rig.fetch("/v1/tasks/none");
  await rig.fetch("/nothing/at/all");
  await rig.fetch("/tasks", { method: "PUT" });
  await rig.fetch("/v1/info", { headers: { origin: "http://evil.example" } });
  const response = await rig.fetch("/metrics");
  assert.match(response.headers.get("content-type")!, /version=0\.0\.4/);
  const text = await response.text();
  for (
    const line of [
      "ormen_deck_test 1",
      'ormen_http_requests_total{method="GET",route="/v1/tasks/{ref}",code="200"} 1',
      'ormen_http_requests_total{method="GET",route="/v1/tasks/{ref}",code="404"} 1',
      'ormen_http_requests_total{method="GET",route="unmatched",code="404"} 1',
      'ormen_http_requests_total{method="PUT",route="unmatched",code="405"} 1',
      'ormen_http_requests_total{method="GET",route="unmatched",code="403"} 1',
      'ormen_http_request_seconds_bucket{route="/v1/tasks/{ref}",le="+Inf"} 2',
      'ormen_http_request_seconds_count{route="/v1/tasks/{ref}"} 2',
    ]
  ) assert(text.split("\n").includes(line), `${line}\n${text}`);
});

Deno.test("wrong methods get 405 with Allow, unknown paths 404", async () => {
  const rig = deckRig();
  const response = await rig.fetch("/v1/tasks/web", { method: "PUT" });
  assert.equal(response.status, 405);
  assert.deepEqual(response.headers.get("allow")?.split(", ").sort(), ["DELETE", "GET", "HEAD"]);
  assert.equal((await response.json()).code, "methodNotAllowed");
  for (const path of ["/v1", "/v1/", "/v1/nothing", "/v1/tasks/web/nothing"]) {
    const missing = await rig.fetch(path);
    assert.equal(missing.status, 404, path);
    assert.equal(missing.headers.get("content-type"), "application/problem+json");
  }
  assert.equal(await (await rig.fetch("/v1x")).text(), "404 page not found\n");
});

Deno.test("session sockets reach the deck with the caller's address; others are told to upgrade", async () => {
  const rig = deckRig();
  const upgrade = { headers: { upgrade: "websocket", connection: "upgrade" } };
  assert.equal((await rig.fetch("/v1/session", upgrade)).headers.get("upgraded"), "yes");
  assert.equal((await rig.fetch("/v1/session/streams", upgrade)).headers.get("upgraded"), "yes");
  assert.deepEqual(rig.deck.callsOf("acceptSession"), [[rig.links[0], "127.0.0.1"]]);
  assert.deepEqual(rig.deck.callsOf("acceptStreams"), [[rig.links[1]]]);
  const plain = await rig.fetch("/v1/session");
  assert.equal(plain.status, 426);
  assert.equal((await plain.json()).code, "upgradeRequired");
});

Deno.test("the OpenAPI document lists every route of /v1, and its references resolve", async () => {
  const rig = deckRig();
  const response = await rig.fetch("/v1/openapi.json");
  assert.equal(response.headers.get("content-type"), "application/json");
  const document = await response.json();
  assert.equal(document.openapi, "3.1.0");
  const listed = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path}`)
  );
  assert.deepEqual(listed.sort(), [
    "DELETE /v1/nodes/{ref}",
    "DELETE /v1/secrets/{name}",
    "DELETE /v1/services/{name}",
    "DELETE /v1/tasks/{ref}",
    "DELETE /v1/tokens/{ref}",
    "DELETE /v1/workflows/{name}",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/backup",
    "GET /v1/events",
    "GET /v1/info",
    "GET /v1/nodes",
    "GET /v1/nodes/{ref}",
    "GET /v1/openapi.json",
    "GET /v1/rollouts",
    "GET /v1/runs",
    "GET /v1/runs/{ref}",
    "GET /v1/runs/{ref}/source",
    "GET /v1/secrets",
    "GET /v1/services",
    "GET /v1/services/{name}",
    "GET /v1/services/{name}/addresses",
    "GET /v1/services/{name}/history",
    "GET /v1/services/{name}/rollouts",
    "GET /v1/services/{name}/rollouts/{number}",
    "GET /v1/tasks",
    "GET /v1/tasks/{ref}",
    "GET /v1/tasks/{ref}/exec",
    "GET /v1/tasks/{ref}/logs",
    "GET /v1/tokens",
    "GET /v1/workflows",
    "GET /v1/workflows/{name}",
    "GET /v1/workflows/{name}/source",
    "POST /v1/nodes/{ref}/drain",
    "POST /v1/nodes/{ref}/resume",
    "POST /v1/runs",
    "POST /v1/runs/{ref}/cancel",
    "POST /v1/runs/{ref}/rerun",
    "POST /v1/runs/{ref}/resume",
    "POST /v1/runs/{ref}/steps/{step}/approve",
    "POST /v1/runs/{ref}/steps/{step}/reject",
    "POST /v1/services",
    "POST /v1/services/plan",
    "POST /v1/services/{name}/restart",
    "POST /v1/services/{name}/rollback",
    "POST /v1/services/{name}/rollouts/latest/abort",
    "POST /v1/services/{name}/rollouts/latest/pause",
    "POST /v1/services/{name}/rollouts/latest/promote",
    "POST /v1/services/{name}/rollouts/latest/resume",
    "POST /v1/services/{name}/scale",
    "POST /v1/tasks",
    "POST /v1/tasks/{ref}/stop",
    "POST /v1/tokens",
    "POST /v1/workflows/{name}/pause",
    "POST /v1/workflows/{name}/unpause",
    "PUT /v1/secrets/{name}",
    "PUT /v1/workflows/{name}",
  ]);
  for (const route of listed) {
    const [method, path] = route.split(" ");
    const reference = /^\/v1\/(\w+)/.exec(path)?.[1] ?? "";
    const known = { nodes: "node-a", runs: RUN_ID }[reference] ?? TASK_ID;
    const answer = await rig.fetch(
      path.replace("{ref}", known).replace("{name}", "deploy").replace("{step}", "build"),
      {
        method,
        ...(method === "POST" || method === "PUT" ? { ...postJson({}), method } : {}),
      },
    ).catch(() => null);
    assert(answer && ![404, 405].includes(answer.status), route);
    await answer.body?.cancel();
  }
  const references: string[] = [];
  JSON.stringify(document, (key, value) => {
    if (key === "$ref") references.push(value);
    return value;
  });
  assert(references.length > 20);
  for (const reference of new Set(references)) {
    let target = document;
    for (const part of reference.replace("#/", "").split("/")) target = target?.[part];
    assert.equal(typeof target, "object", reference);
  }
  const ids = Object.values(document.paths).flatMap((item) =>
    Object.values(item as object).map((operation) => operation.operationId)
  );
  assert.equal(new Set(ids).size, ids.length);
  const task = document.components.schemas.TaskDocument;
  assert.deepEqual(task.required, ["name"]);
  assert.equal(task.additionalProperties, false);
  assert(task.properties.health.properties.startPeriod);
});

Deno.test("the OpenAPI document's parameters are those that the routes read", async () => {
  const document = await (await deckRig().fetch("/v1/openapi.json")).json();
  const parameters = document.paths["/v1/tasks"].get.parameters;
  assert.deepEqual(parameters.map((p: { name: string }) => p.name), [
    "limit",
    "cursor",
    "state",
    "node",
    "label",
    "live",
  ]);
  const limit = parameters[0].schema;
  assert.deepEqual([limit.type, limit.maximum, limit.default], ["integer", 1000, 100]);
  assert.equal(parameters[2].schema.type, "array");
});

Deno.test("the app serves real connections, and a client that leaves closes its stream", async () => {
  const rig = deckRig();
  const closed = Promise.withResolvers<void>();
  rig.deck.overrides = {
    openLogs: () =>
      Promise.resolve({
        close: () => closed.resolve(),
        async *[Symbol.asyncIterator]() {
          yield { stream: "stdout" as const, data: new TextEncoder().encode("hello\n") };
          await closed.promise;
        },
      }),
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, rig.app.fetch);
  const url = `http://127.0.0.1:${server.addr.port}`;
  try {
    const deleted = await fetch(`${url}/tasks/${TASK_ID}`, { method: "DELETE" });
    assert.equal(deleted.status, 204);
    const gone = await fetch(`${url}/tasks/00000000-0000-0000-0000-000000000000`, { method: "DELETE" });
    assert.deepEqual([gone.status, gone.headers.get("content-length"), await gone.text()], [404, "0", ""]);

    const logs = await fetch(`${url}/v1/tasks/web/logs?follow=true`);
    const reader = logs.body!.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "hello\n");
    await reader.cancel();
    await closed.promise;
  } finally {
    await server.shutdown();
  }
});

Deno.test("a client that leaves before its stream was opened closes it too", async () => {
  const rig = deckRig();
  const asked = Promise.withResolvers<void>();
  const opening = Promise.withResolvers<OutputStream>();
  const closed = Promise.withResolvers<void>();
  rig.deck.overrides = {
    openLogs() {
      asked.resolve();
      return opening.promise;
    },
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, rig.app.fetch);
  try {
    const client = new AbortController();
    const answer = fetch(`http://127.0.0.1:${server.addr.port}/v1/tasks/web/logs?follow=true`, {
      signal: client.signal,
    });
    await asked.promise;
    client.abort();
    await assert.rejects(answer);
    opening.resolve({
      close: () => closed.resolve(),
      [Symbol.asyncIterator]: () => ({ next: () => closed.promise.then(() => ({ done: true, value: undefined })) }),
    });
    await closed.promise;
  } finally {
    await server.shutdown();
  }
});

Deno.test("HEAD opens no streams", async () => {
  const rig = deckRig();
  for (const path of ["/v1/tasks/web/logs?follow=true", "/v1/events"]) {
    const response = await call(rig.app, path, { method: "HEAD", headers: { accept: "text/event-stream" } });
    assert.equal(response.status, 200);
    assert.equal(response.body, null);
  }
  assert.equal(rig.deck.callsOf("openLogs").length, 0);
  assert.equal(rig.deck.watchers.size, 0);
});
