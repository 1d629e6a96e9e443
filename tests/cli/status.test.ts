import assert from "node:assert/strict";
import { eventStream, problem, routes, scriptedDeck } from "../client/scripted_deck.ts";
import { at, attempt, detail, event, ID, node, ormen, ormenUntil, task } from "./support.ts";

const CRUNCH = "9e20b7d1-0000-4000-8000-000000000001";
const REPORT = "0c4f11aa-0000-4000-8000-000000000002";
const OLD = "11111111-0000-4000-8000-000000000003";

const WHY = "3 nodes: 2 lack memory (need 48 GiB, largest free 21.3 GiB), 1 is draining";
const TASKS = [
  task({ id: OLD, name: "old", state: "failed", endedAt: at(7200), attempt: attempt({ exitCode: 1, health: "none" }) }),
  task({ name: "test-chapter-9.1" }),
  task({
    id: REPORT,
    name: "report",
    image: "local/report:3",
    state: "completed",
    createdAt: at(3600),
    endedAt: at(3000),
    attempt: attempt({ containerName: "ormen-0c4f11aa-1", exitCode: 0, health: "none", ports: [] }),
  }),
  task({
    id: CRUNCH,
    name: "crunch",
    image: "local/crunch:1",
    state: "pending",
    createdAt: at(5),
    why: WHY,
    attempt: null,
  }),
];

const listing = (tasks = TASKS) => routes({ "GET /v1/tasks": () => Response.json({ tasks, next: null }) });

Deno.test("status lists live and lately ended tasks in the original's columns", async () => {
  await using deck = scriptedDeck(listing());
  const { code, out } = await ormen(["status", "-m", deck.address]);
  assert.equal(code, 0);
  assert.deepEqual(out.split("\n"), [
    "ID        NAME              CREATED            STATE              CONTAINERNAME     IMAGE",
    "bb1d59ef  test-chapter-9.1  2 minutes ago      Running (healthy)  ormen-bb1d59ef-1  timboring/echo-server:latest",
    "0c4f11aa  report            About an hour ago  Completed (0)      ormen-0c4f11aa-1  local/report:3",
    "9e20b7d1  crunch            5 seconds ago      Pending            -                 local/crunch:1                " +
    `<- ${WHY} (ormen status 9e20b7d1)`,
    "",
  ]);
});

Deno.test("status --all --wide adds what ended long ago, and four columns", async () => {
  await using deck = scriptedDeck(listing(TASKS.slice(0, 2)));
  const { out } = await ormen(["status", "-m", deck.address, "--all", "--wide"]);
  assert.deepEqual(out.split("\n").map((line) => line.split(/ {2,}/).slice(6)), [
    ["NODE", "HEALTH", "PORTS", "RESTARTS"],
    ["localhost:8081", "none", "-", "0"],
    ["localhost:8081", "healthy", "localhost:7777 -> 7777/tcp", "0"],
    [],
  ]);
  assert.match(out, /^11111111 {2}old .* Failed \(1\) /m);
});

Deno.test("status prints its heads when there is nothing", async () => {
  await using deck = scriptedDeck(listing([]));
  const { out } = await ormen(["status", "-m", deck.address]);
  assert.equal(out, "ID  NAME  CREATED  STATE  CONTAINERNAME  IMAGE\n");
});

Deno.test("status --json prints one document", async () => {
  await using deck = scriptedDeck(listing());
  const { out } = await ormen(["status", "-m", deck.address, "--json", "--all"]);
  assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify({ tasks: TASKS })));
});

Deno.test("status lengthens short ids until they are unique", async () => {
  const near = ID.slice(0, 12) + "0-0000-4000-8000-000000000000";
  await using deck = scriptedDeck(listing([task(), task({ id: near }), task({ id: "chosen-by-a-user" })]));
  const { out } = await ormen(["status", "-m", deck.address]);
  const ids = out.split("\n").slice(1, 4).map((line) => line.split(" ")[0]);
  assert.deepEqual(ids, [ID.slice(0, 13), near.slice(0, 13), "chosen-by-a-user"]);
});

// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b\[\d+m/g;

Deno.test("status colours states on a terminal, and cuts to its width", async () => {
  await using deck = scriptedDeck(listing());
  const { out } = await ormen(["status", "-m", deck.address], { terminal: true, columns: 100 });
  assert.ok(out.includes("\x1b[32mRunning (healthy)\x1b[39m"));
  assert.ok(out.includes("\x1b[33mPending\x1b[39m"));
  const lines = out.replace(ESCAPES, "").split("\n");
  assert.ok(lines.every((line) => [...line].length <= 100), out);
  assert.match(out, /…/);
});

for (const [name, setup] of [["piped", {}], ["with NO_COLOR", { terminal: true, env: { NO_COLOR: "1" } }]] as const) {
  Deno.test(`status ${name} has no colours`, async () => {
    await using deck = scriptedDeck(listing());
    const { out } = await ormen(["status", "-m", deck.address], setup);
    assert.equal(out.includes("\x1b"), false);
  });
}

Deno.test("status cleans what others wrote of control characters", async () => {
  await using deck = scriptedDeck(listing([task({ image: "a\x1b[2J\nb:1" })]));
  const { out } = await ormen(["status", "-m", deck.address]);
  assert.match(out, / a \[2J b:1\n$/);
});

const STATES: readonly [Parameters<typeof task>[0], string][] = [
  [{ state: "scheduled" }, "Scheduled"],
  [{ attempt: attempt({ health: "none" }) }, "Running"],
  [{ attempt: attempt({ health: "starting" }) }, "Running (starting)"],
  [{ state: "unknown" }, "Unknown"],
  [{ state: "stopping" }, "Stopping"],
  [{ state: "stopped" }, "Stopped"],
  [{ state: "failed", attempt: attempt({ oomKilled: true, exitCode: 137 }) }, "Failed (out of memory)"],
  [{ state: "failed", attempt: null }, "Failed"],
];
for (const [changes, text] of STATES) {
  Deno.test(`status shows ${text}`, async () => {
    await using deck = scriptedDeck(listing([task(changes)]));
    const { out } = await ormen(["status", "-m", deck.address]);
    assert.equal(out.split("\n")[1].split(/ {2,}/)[3], text);
  });
}

Deno.test("status ID of a waiting task says why, what happened and what would help", async () => {
  const waiting = detail({
    ...TASKS[3],
    spec: {
      name: "crunch",
      image: "local/crunch:1",
      cmd: ["sh", "-c"],
      memory: "48GiB",
      health: { http: "/", retries: 3 },
      files: { "/a": { content: "x" } },
    },
    events: [event(1, "taskAccepted", { at: at(5), message: "accepted" })],
  });
  await using deck = scriptedDeck(routes({
    "GET /v1/tasks/crunch": () => Response.json(waiting),
    "GET /v1/nodes": () =>
      Response.json({ nodes: [node(), node({ name: "host-c", eligibility: "draining" })], next: null }),
  }));
  const { code, out } = await ormen(["status", "crunch"], { env: { ORMEN_DECK: deck.address } });
  assert.equal(code, 0);
  assert.deepEqual(out.replace(/\d\d:\d\d:\d\d/g, "TIME").split("\n"), [
    `crunch (${CRUNCH})   Pending for 5 seconds`,
    `why    ${WHY}`,
    "spec   local/crunch:1  cmd sh -c  memory 48GiB  health http=/,retries=3  files /a",
    "events",
    "  TIME  accepted",
    "next   lower `memory`, or `ormen mast resume host-c`",
    "",
  ]);
});

Deno.test("status ID of a failed task shows its attempts and the end of its output", async () => {
  const first = attempt({
    state: "lost",
    reason: "node host-b is down",
    health: "none",
    finishedAt: at(60),
    number: 1,
  });
  const second = attempt({
    id: `${ID}-2`,
    number: 2,
    state: "failed",
    exitCode: 3,
    health: "none",
    startedAt: at(50),
    finishedAt: at(45),
    outputTail: "one\n\x1b[31mtwo\n",
  });
  const failed = detail({
    state: "failed",
    why: "exited with code 3",
    endedAt: at(45),
    attempt: second,
    history: [first, second],
  });
  await using deck = scriptedDeck(routes({ [`GET /v1/tasks/web`]: () => Response.json(failed) }));
  const { out } = await ormen(["status", "web", "-m", deck.address]);
  assert.match(out, /^web \(.*\) {3}Failed \(3\) 45 seconds ago\nwhy {4}exited with code 3\n/);
  assert.match(out, /^ {2}1 {2}lost .* ran 1 min 0 s, ended about a minute ago {2}node host-b is down$/m);
  assert.match(out, /^ {2}2 {2}failed \(3\) .* ran 5\.0 s, ended 45 seconds ago$/m);
  assert.match(out, /^last output\n {2}one\n {2}\[31mtwo\n/m);
  assert.match(out, new RegExp(`next {3}ormen logs bb1d59ef -m ${deck.address}\n$`));
});

Deno.test("status ID --json prints the detail, and an unknown id fails", async () => {
  await using deck = scriptedDeck(routes({
    "GET /v1/tasks/web": () => Response.json(detail()),
    "GET /v1/tasks/nope": () => problem(404, "notFound", 'there is no task "nope"'),
  }));
  const { out } = await ormen(["status", "web", "-m", deck.address, "--json"]);
  assert.equal(JSON.parse(out).history.length, 1);
  const { code, err } = await ormen(["status", "nope", "-m", deck.address]);
  assert.equal(code, 1);
  assert.equal(err, 'error: there is no task "nope"\n');
});

Deno.test("status --watch piped prints changes only", async () => {
  let looks = 0;
  await using deck = scriptedDeck(routes({
    "GET /v1/events": () => eventStream(event(1, "taskRunning"), event(2, "taskFailed")),
    "GET /v1/tasks": () =>
      Response.json({ tasks: [task(looks++ === 0 ? {} : { state: "stopped", endedAt: at(0) })], next: null }),
  }));
  const out = await ormenUntil(["status", "--watch", "-m", deck.address], (text) => text.includes("Stopped"));
  assert.deepEqual(out.trimEnd().split("\n").map((line) => line.slice("13:04:11  ".length)), [
    "bb1d59ef  web  Running (healthy)",
    "bb1d59ef  web  Stopped",
  ]);
});

Deno.test("status --watch redraws on a terminal", async () => {
  await using deck = scriptedDeck(routes({
    "GET /v1/events": () => eventStream(event(1, "taskRunning")),
    "GET /v1/tasks": () => Response.json({ tasks: TASKS, next: null }),
  }));
  const out = await ormenUntil(["status", "--watch", "-m", deck.address], (text) => text.includes("report"), {
    terminal: true,
  });
  assert.ok(out.startsWith("\x1b[2J\x1b[H\x1b[HID"));
});

Deno.test("status ID --watch prints the task's events until it has ended", async () => {
  const views = [
    detail(),
    detail({ state: "completed", endedAt: at(0), events: [event(1, "taskAccepted"), event(5, "taskCompleted")] }),
  ];
  await using deck = scriptedDeck(routes({
    "GET /v1/events": () => eventStream(event(5, "taskCompleted")),
    [`GET /v1/tasks/${ID}`]: () => Response.json(views.shift()),
    "GET /v1/tasks/web": () => Response.json(views.shift()),
  }));
  const { code, out } = await ormen(["status", "web", "--watch", "-m", deck.address]);
  assert.equal(code, 0);
  assert.deepEqual(out.replace(/\d\d:\d\d:\d\d {2}/g, "").split("\n"), ["accepted", "taskCompleted", ""]);
});
