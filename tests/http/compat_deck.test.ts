/** The original manager's routes against what it said on the wire, byte for byte where its answer is determined. */
import assert from "node:assert/strict";
import type { OriginalTask } from "../../lib/deck/api.ts";
import { decodeSailEvent } from "../../lib/http/compat/go_decode.ts";
import { translateEvent } from "../../lib/http/compat/translate.ts";
import { originalNode, recorded, recordedStats } from "./recorded.ts";
import { STALL_MS } from "../../lib/http/reader_watch.ts";
import { attemptRecord, sailRecord, specOf, TASK_ID, taskDetail } from "./records.ts";
import { deckRig } from "./support.ts";

const TASK1 = Deno.readTextFileSync(new URL("../../task1.json", import.meta.url));

async function assertAnswersAs(name: string, response: Response): Promise<void> {
  const expected = recorded(name);
  const body = await response.text();
  assert.equal(response.status, expected.status);
  assert.equal(body, expected.body);
  assert.equal(response.headers.get("content-type"), expected.headers["content-type"] ?? null);
  assert.equal(response.headers.get("x-content-type-options"), expected.headers["x-content-type-options"] ?? null);
}

function form(body: string): RequestInit {
  return { method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } };
}

/** The recorded task, as records of ours. */
function recordedTask(): OriginalTask {
  const translation = translateEvent(decodeSailEvent(TASK1));
  assert(translation.kind === "task");
  const { spec, original } = translation.task;
  return {
    sail: sailRecord({ name: spec.name, state: "running" }),
    spec: { id: TASK_ID, spec: { ...spec, image: "localhost:5000/echo:1" }, original },
    attempt: attemptRecord({
      containerId: "e3dcb280dd4fbd1155ff3dd66c288db96ab7f417c29700a5129682ccdfe214ad",
      ports: [
        { container: 7777, protocol: "tcp", hostIp: "0.0.0.0", host: 32768 },
        { container: 7777, protocol: "tcp", hostIp: "::", host: 32768 },
      ],
    }),
  };
}

const FIXED = [
  { name: "deck-post-bad-uuid", path: "/tasks", init: form('{"ID":"xyz"}') },
  { name: "deck-post-malformed", path: "/tasks", init: form('{"ID":') },
  { name: "deck-post-unknown-field", path: "/tasks", init: form('{"Bogus":1}') },
  { name: "deck-unknown-path", path: "/nothing", init: {} },
  { name: "deck-wrong-method", path: "/tasks", init: { method: "PUT" } },
  {
    name: "deck-delete-unknown",
    path: "/tasks/00000000-0000-0000-0000-000000000000",
    init: { method: "DELETE" },
  },
  { name: "deck-delete", path: `/tasks/${TASK_ID}`, init: { method: "DELETE" } },
] as const;

for (const c of FIXED) {
  Deno.test(`the deck answers as recorded: ${c.name}`, async () => {
    await assertAnswersAs(c.name, await deckRig().fetch(c.path, c.init));
  });
}

Deno.test("GET /tasks answers as recorded", async () => {
  const rig = deckRig();
  rig.deck.overrides = { originalTasks: () => [recordedTask()] };
  await assertAnswersAs("deck-get-tasks", await rig.fetch("/tasks"));
  await assertAnswersAs("deck-get-tasks-after-delete", await rig.fetch("/tasks/"));
});

Deno.test("GET /nodes answers as recorded", async () => {
  const rig = deckRig();
  const stats = recordedStats();
  const second = { ...stats, load: { ...stats.load, process_running: 8 } };
  rig.deck.overrides = {
    originalNodes: () => [originalNode("localhost:8080", stats, 0), originalNode("localhost:8081", second, 1)],
  };
  await assertAnswersAs("deck-get-nodes", await rig.fetch("/nodes"));
});

Deno.test("a long GET /tasks is made while it is read, and says the same", async () => {
  const rig = deckRig();
  const { sail, ...rest } = recordedTask();
  let made = 0;
  function* tasks(count: number) {
    for (let i = 0; i < count; i++) {
      made = i + 1;
      yield { ...rest, sail: { ...sail, id: `task-${i}` } };
    }
  }
  for (const count of [1, 199, 200, 201, 400, 1_001]) {
    rig.deck.overrides = { originalTasks: () => tasks(count) };
    const text = await (await rig.fetch("/tasks")).text();
    assert.deepEqual(JSON.parse(text).map(({ ID }: { ID: string }) => ID), Array.from(tasks(count), (t) => t.sail.id));
    assert.ok(text.startsWith('[{"ID"') && text.endsWith("}]\n"));
  }
  rig.deck.overrides = { originalTasks: () => tasks(100_000) };
  const { body } = await rig.fetch("/tasks");
  assert.ok(made < 1_000, `${made} were made before anybody read`);
  await body!.cancel();
});

Deno.test("a reader of a long GET /tasks who stops reading is cut off", async () => {
  const rig = deckRig();
  rig.deck.overrides = { originalTasks: () => Array.from({ length: 5_000 }, recordedTask) };
  const reader = (await rig.fetch("/tasks")).body!.getReader();
  await reader.read();
  rig.clock.advance(STALL_MS);
  await assert.rejects(reader.read(), /the reader does not read/);
});

Deno.test("empty lists are [], not the original's null", async () => {
  const rig = deckRig();
  for (const path of ["/tasks", "/nodes"]) assert.equal(await (await rig.fetch(path)).text(), "[]\n");
});

Deno.test("POST /tasks takes task1.json as curl sends it and answers with the task as it was sent", async () => {
  const rig = deckRig();
  const response = await rig.fetch("/tasks", form(TASK1));
  assert.equal(response.status, 201);
  assert.equal(
    await response.text(),
    `{"ID":"${TASK_ID}","ContainerID":"","Name":"test-chapter-9.1","State":1,"Image":"timboring/echo-server:latest",` +
      `"Cpu":0,"Memory":0,"Disk":0,"ExposedPorts":{"7777/tcp":{}},"HostPorts":null,"PortBindings":{"7777/tcp":"7777"},` +
      `"RestartPolicy":"","StartTime":"0001-01-01T00:00:00Z","FinishTime":"0001-01-01T00:00:00Z",` +
      `"HealthCheck":"/health","RestartCount":0}\n`,
  );
  const [[task]] = rig.deck.callsOf("submit") as [[Record<string, unknown>]];
  assert.equal(task.id, TASK_ID);
  assert.equal(task.originalEventId, "a7aa1d44-08f6-443e-9378-f5884311019e");
});

Deno.test("POST /tasks answers with the id that the deck made", async () => {
  const rig = deckRig();
  const body = await (await rig.fetch("/tasks", form('{"Sail":{"Name":"a","Image":"b"}}'))).json();
  assert.equal(body.ID, TASK_ID);
  assert.equal((rig.deck.callsOf("submit")[0][0] as { id: unknown }).id, null);
});

Deno.test("POST /tasks with State 3 stops the task", async () => {
  const rig = deckRig();
  const event = (id: string) => form(JSON.stringify({ State: 3, Sail: { ID: id, Name: "web" } }));
  const response = await rig.fetch("/tasks", event(TASK_ID.toUpperCase()));
  assert.equal(response.status, 201);
  assert.deepEqual(rig.deck.callsOf("stop"), [[TASK_ID, null]]);
  assert.equal(rig.deck.callsOf("submit").length, 0);
  assert.equal((await rig.fetch("/tasks", event("11111111-1111-1111-1111-111111111111"))).status, 404);
  assert.equal((await rig.fetch("/tasks", form('{"State":3}'))).status, 400);
});

const REFUSALS = [
  { what: "a taken id", reply: { kind: "conflict", code: "idInUse", message: "the id lives" }, status: 409 },
  { what: "a store that refuses", reply: { kind: "unavailable", message: "disk full" }, status: 503 },
] as const;

for (const c of REFUSALS) {
  Deno.test(`POST /tasks tells of ${c.what} in the original's shape`, async () => {
    const rig = deckRig();
    rig.deck.overrides = { submit: () => Promise.resolve(c.reply) };
    const response = await rig.fetch("/tasks", form(TASK1));
    assert.equal(response.status, c.status);
    assert.equal(await response.text(), `{"HTTPStatusCode":${c.status},"Message":"${c.reply.message}"}\n`);
    assert.equal(response.headers.get("retry-after"), c.status === 503 ? "2" : null);
  });
}

Deno.test("POST /tasks refuses names, ports and sizes with a sentence in its own field names", async () => {
  const rig = deckRig();
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ Name: "no spaces" }, /^cannot take the task: Name: a name has 1 to 128/],
    [{ Name: "" }, /Name: a name has/],
    [{ Memory: 5 }, /Memory: an Engine takes no less than 6MiB/],
    [{ ExposedPorts: { "70000/tcp": {} } }, /ExposedPorts: not a port mapping/],
    [{ ExposedPorts: { http: {} } }, /ExposedPorts: not a port: "http"/],
    [{ PortBindings: { "80/tcp": "x" } }, /PortBindings: not a port mapping/],
    [{ HealthCheck: "health", ExposedPorts: { "80": {} } }, /HealthCheck: must be a path/],
    [{ HealthCheck: "/", Health: { tcp: 1 } }, /only one/],
    [{ RestartPolicy: "sometimes" }, /RestartPolicy: not a restart policy/],
    [{ Env: ["A"] }, /Env: not K=V: "A"/],
    [{ Env: 3 }, /Env: must be/],
    [{ Grace: "soon" }, /Grace: not a duration/],
    [{ Health: { http: "/", retires: 3 } }, /Health\.retires: unknown key `retires`; did you mean `retries`\?/],
  ];
  for (const [sail, message] of cases) {
    const response = await rig.fetch("/tasks", form(JSON.stringify({ Sail: { Name: "a", Image: "b", ...sail } })));
    assert.equal(response.status, 400, JSON.stringify(sail));
    const body = await response.json();
    assert.equal(body.HTTPStatusCode, 400);
    assert.match(body.Message, message);
  }
  assert.equal(rig.deck.callsOf("submit").length, 0);
});

Deno.test("POST /tasks reads at most 1 MiB, declared or not", async () => {
  const rig = deckRig();
  const big = " ".repeat(2 ** 20 + 1);
  for (const body of [big, new Blob([big]).stream()]) {
    const response = await rig.fetch("/tasks", { method: "POST", body });
    assert.equal(response.status, 413);
    assert.equal((await response.json()).HTTPStatusCode, 413);
  }
});

Deno.test("DELETE /tasks/{id} refuses what is no UUID, and tells of a store that refuses", async () => {
  const rig = deckRig();
  const bad = await rig.fetch("/tasks/xyz", { method: "DELETE" });
  assert.equal(bad.status, 400);
  assert.equal((await bad.json()).Message, "invalid UUID length: 3\n");
  rig.deck.overrides = { stop: () => Promise.resolve({ kind: "unavailable", message: "disk full" }) };
  assert.equal((await rig.fetch(`/tasks/${TASK_ID}`, { method: "DELETE" })).status, 503);
});

Deno.test("a task that came through /v1 is shown in the original's words, our fields behind its own", async () => {
  const rig = deckRig();
  const spec = specOf({
    name: "web",
    image: "a/b:1",
    cmd: ["-c", "a < b && c"],
    cpu: 0.5,
    memory: "64MiB",
    ports: ["8080:80", "53/udp"],
    restart: "on-failure:3",
    health: { http: "/ok" },
    env: { B: "2", A: "1" },
  });
  rig.deck.overrides = {
    originalTasks: () => [{
      sail: sailRecord({ state: "stopped" }),
      spec: { id: TASK_ID, spec, original: null },
      attempt: attemptRecord({
        startedMs: Date.parse("2026-11-22T13:31:04.120Z"),
        finishedMs: Date.parse("2026-11-22T13:31:05Z"),
        restarts: 1,
        healthRestarts: 2,
      }),
    }],
  };
  assert.equal(
    await (await rig.fetch("/tasks")).text(),
    `[{"ID":"${TASK_ID}","ContainerID":"","Name":"web","State":3,"Image":"a/b:1","Cpu":0.5,"Memory":67108864,"Disk":0,` +
      `"ExposedPorts":{"53/udp":{},"80/tcp":{}},"HostPorts":null,"PortBindings":{"80/tcp":"8080"},` +
      `"RestartPolicy":"on-failure:3","StartTime":"2026-11-22T13:31:04.12Z","FinishTime":"2026-11-22T13:31:05Z",` +
      `"HealthCheck":"/ok","RestartCount":3,"Cmd":["-c","a \\u003c b \\u0026\\u0026 c"],"Env":{"B":"2","A":"1"}}]\n`,
  );
});

Deno.test("an error inside is told without its details", async () => {
  const rig = deckRig();
  rig.deck.overrides = {
    originalTasks: () => {
      throw new Error("secret");
    },
    info: () => {
      throw new Error("secret");
    },
  };
  for (const [path, type] of [["/tasks", "text/plain; charset=utf-8"], ["/v1/info", "application/problem+json"]]) {
    const response = await rig.fetch(path);
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("content-type"), type);
    assert(!(await response.text()).includes("secret"));
  }
  assert.equal(rig.logger.errors.length, 2);
  assert.match(rig.logger.errors[0], /"route":"\/tasks".*secret/);
});

Deno.test("the task of a stop event may be sent whole, and is answered whole", async () => {
  const rig = deckRig();
  rig.deck.tasks.set(TASK_ID, taskDetail());
  const event = { ...JSON.parse(TASK1), State: 3 };
  const body = await (await rig.fetch("/tasks", form(JSON.stringify(event)))).json();
  assert.equal(body.Image, "timboring/echo-server:latest");
});
