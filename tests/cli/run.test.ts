import assert from "node:assert/strict";
import { eventStream, ndjson, problem, routes, scriptedDeck } from "../client/scripted_deck.ts";
import { main } from "../../lib/cli/main.ts";
import { attempt, detail, event, Exited, fakeIo, ID, ormen, task } from "./support.ts";

const accepted = () => Response.json(task({ state: "pending", attempt: null }), { status: 201 });
const body = (text: string) => JSON.parse(text);

async function inDirectory(files: Record<string, string>, run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${dir}/${name}`, text);
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("run IMAGE makes a task document of its flags; options after the image are the command's", async () => {
  await using deck = scriptedDeck(accepted);
  const flags = ["--name", "web", "-e", "A=1=2", "--env", "HOME", "-e", "GONE", "--cpu", "0.5", "--memory", "64MiB"]
    .concat(["--publish", "8080:80", "--publish", "9000/udp", "--restart", "on-failure:3", "--health", "8080/health"])
    .concat(["--label", "team=a", "--constraint", "node.name != old", "--volume", "data:/data", "--user", "1000"])
    .concat(["--workdir", "/app", "--grace", "5s", "--pull", "never", "--runtime", "docker", "--reschedule", "false"]);
  const args = ["run", "-m", deck.address, ...flags, "example/web:1", "sh", "-c", "--name x", "--wait"];
  const { code, out } = await ormen(args, { env: { HOME: "/root" } });
  assert.equal(code, 0);
  assert.equal(out, `web (bb1d59ef)  accepted\nnext   ormen status bb1d59ef -m ${deck.address}\n`);
  assert.deepEqual(deck.lines(), ["POST /v1/tasks"]);
  assert.deepEqual(body(deck.asked[0].body), {
    name: "web",
    image: "example/web:1",
    cmd: ["sh", "-c", "--name x", "--wait"],
    env: { A: "1=2", HOME: "/root" },
    cpu: 0.5,
    memory: "64MiB",
    ports: ["8080:80", "9000/udp"],
    volumes: ["data:/data"],
    restart: "on-failure:3",
    health: { http: "/health", port: 8080 },
    labels: { team: "a" },
    constraints: ["node.name != old"],
    user: "1000",
    workdir: "/app",
    grace: "5s",
    pull: "never",
    runtime: "docker",
    reschedule: false,
  });
});

Deno.test("run IMAGE names the task after its image and leaves out what was not said", async () => {
  await using deck = scriptedDeck(accepted);
  await ormen(["run", "-m", deck.address, "registry:5000/team/echo-server:latest@sha256:0", "--", "ls", "-l"]);
  const { name, ...rest } = body(deck.asked[0].body);
  assert.match(name, /^echo-server-[a-z0-9]{4}$/);
  assert.deepEqual(rest, { image: "registry:5000/team/echo-server:latest@sha256:0", cmd: ["ls", "-l"] });
});

const HEALTH: readonly [string, unknown][] = [
  ["/health", { http: "/health" }],
  ["tcp:7777", { tcp: 7777 }],
  ["exec:test -f /ok", { exec: ["sh", "-c", "test -f /ok"] }],
];
for (const [text, health] of HEALTH) {
  Deno.test(`run --health ${text}`, async () => {
    await using deck = scriptedDeck(accepted);
    await ormen(["run", "-m", deck.address, "--health", text, "a:1"]);
    assert.deepEqual(body(deck.asked[0].body).health, health);
  });
}

Deno.test("run --runtime process takes the program in the image's place", async () => {
  await using deck = scriptedDeck(accepted);
  await ormen(["run", "-m", deck.address, "--runtime", "process", "/bin/sleep", "5"]);
  const { name, ...rest } = body(deck.asked[0].body);
  assert.match(name, /^sleep-/);
  assert.deepEqual(rest, { cmd: ["/bin/sleep", "5"], runtime: "process" });
});

Deno.test("run -f posts a SailEvent of the original to its own route", async () => {
  await using deck = scriptedDeck(() => Response.json({ ID, Name: "test-chapter-9.1", State: 1 }, { status: 201 }));
  const file = new URL("../../task1.json", import.meta.url).pathname;
  const { code, out } = await ormen(["run", "-m", deck.address, "-f", file]);
  assert.equal(code, 0);
  assert.match(out, /^test-chapter-9\.1 \(bb1d59ef\) {2}accepted\n/);
  assert.deepEqual(deck.lines(), ["POST /tasks"]);
  assert.equal(body(deck.asked[0].body).Sail.Image, "timboring/echo-server:latest");
});

Deno.test("run -f - reads YAML from standard input; --json prints the task", async () => {
  await using deck = scriptedDeck(accepted);
  const stdin = "name: web\nimage: a:1\nports: ['8080:80']\n";
  const { code, out } = await ormen(["run", "-m", deck.address, "-f", "-", "--json"], { stdin });
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).id, ID);
  assert.deepEqual(body(deck.asked[0].body), { name: "web", image: "a:1", ports: ["8080:80"] });
});

Deno.test("run -f tells where YAML is broken", async () => {
  const { code, err } = await ormen(["run", "-f", "-"], { stdin: "name: web\nimage: 'a:1\n" });
  assert.equal(code, 1);
  assert.match(err, /^error: 1 problem in stdin\n {2}stdin:\d:\d+ {2}Missing closing 'quote\n$/);
});

Deno.test("run -f refuses what is no mapping", async () => {
  const { code, err } = await ormen(["run", "-f", "-"], { stdin: "- a\n- b\n" });
  assert.equal(code, 1);
  assert.match(err, /^error: stdin holds no task/);
});

Deno.test("run -f puts the deck's objections in their places", async () => {
  await using deck = scriptedDeck(() =>
    problem(422, "invalid", "/imag: unknown key (and 1 more)", [
      { pointer: "/imag", detail: "unknown key `imag`; did you mean `image`?" },
      { pointer: "/health/interval", detail: 'not a duration: "5"' },
      { pointer: "/ports/1", detail: "not a port mapping" },
      { pointer: "/image", detail: "is missing (string)" },
    ])
  );
  await inDirectory({
    "bad.yaml": "name: web\nimag: a:1\nhealth:\n  http: /\n  interval: '5'\nports:\n  - '80'\n  - x\n",
  }, async (dir) => {
    const { code, err } = await ormen(["run", "-m", deck.address, "-f", `${dir}/bad.yaml`]);
    assert.equal(code, 1);
    assert.deepEqual(err.replaceAll(`${dir}/`, "").split("\n"), [
      "error: 4 problems in bad.yaml",
      "  bad.yaml:1:1  image: is missing (string)",
      "  bad.yaml:2:1  unknown key `imag`; did you mean `image`?",
      '  bad.yaml:5:3  health.interval: not a duration: "5"',
      "  bad.yaml:8:5  ports.1: not a port mapping",
      "",
    ]);
  });
});

Deno.test("run IMAGE tells the deck's objections by their flags", async () => {
  await using deck = scriptedDeck(() =>
    problem(422, "invalid", "/memory: x", [{ pointer: "/memory", detail: 'not a size: "64XB"' }, {
      pointer: "/ports/0",
      detail: "not a port mapping",
    }])
  );
  const { code, err } = await ormen(["run", "-m", deck.address, "--memory", "64XB", "--publish", "x", "a:1"]);
  assert.equal(code, 1);
  assert.equal(
    err,
    'error: --memory: not a size: "64XB"\n  --publish: not a port mapping\n  see  ormen run --help\n',
  );
});

Deno.test("run says that a name is taken", async () => {
  await using deck = scriptedDeck(() => problem(409, "nameInUse", 'a live task is called "web"'));
  const { code, err } = await ormen(["run", "-m", deck.address, "--name", "web", "a:1"]);
  assert.equal(code, 1);
  assert.equal(err, 'error: a live task is called "web"\n');
});

Deno.test("run -f names a file that is not there; run alone needs a task.json", async () => {
  const missing = await ormen(["run", "-f", "/nowhere/x.json"]);
  assert.equal(missing.err, "error: cannot read the task file /nowhere/x.json: no such file\n");
  assert.equal(missing.code, 1);
  const nothing = await ormen(["run"]);
  assert.match(nothing.err, /^error: nothing to run: no IMAGE given, and there is no task\.json here\n/);
  assert.equal(nothing.code, 2);
});

/** A deck whose task moves one step on each time it is looked at, an event for each step. */
function movingDeck(steps: readonly Partial<ReturnType<typeof detail>>[], more: Parameters<typeof routes>[0] = {}) {
  let step = 0;
  return scriptedDeck(routes({
    "POST /v1/tasks": accepted,
    [`GET /v1/tasks/${ID}`]: () => Response.json(detail(steps[Math.min(step++, steps.length - 1)])),
    "GET /v1/events": () =>
      eventStream(...steps.map((_, index) => event(10 * (index + 1), "taskRunning")), event(1000, "taskRunning")),
    ...more,
  }));
}

const EVENTS = [
  event(1, "taskAccepted"),
  event(11, "taskPlaced", { node: "localhost:8081" }),
  event(21, "taskRunning"),
  event(31, "taskHealthy"),
];

Deno.test("run --wait shows each state up to healthy, the ports, and what next", async () => {
  await using deck = movingDeck([
    {
      state: "pending",
      attempt: null,
      events: [EVENTS[0], event(2, "taskNotPlaced", { message: "web not placed: full" })],
    },
    { state: "scheduled", attempt: attempt({ state: "assigned", health: "none" }), events: EVENTS.slice(0, 2) },
    { attempt: attempt({ health: "starting" }), events: EVENTS.slice(0, 3) },
    { events: EVENTS },
  ]);
  const { code, out, err } = await ormen(["run", "-m", deck.address, "--wait", "--name", "web", "a:1"]);
  assert.equal(err, "");
  assert.equal(code, 0);
  assert.deepEqual(out.split("\n"), [
    "web (bb1d59ef)  pending -> not placed: full -> scheduled on localhost:8081 -> running -> healthy   0.0 s",
    "ports  localhost:7777 -> 7777/tcp",
    `next   ormen logs -f bb1d59ef -m ${deck.address}`,
    "",
  ]);
  const stream = deck.asked.find(({ path }) => path === "/v1/events")!;
  assert.equal(stream.headers.get("last-event-id"), "2", "nothing falls between the look and the stream");
});

Deno.test("run --wait fails with the reason and the end of the output", async () => {
  const ended = attempt({ state: "failed", exitCode: 3, outputTail: "one\ntwo\n", health: "none" });
  await using deck = movingDeck([{
    state: "failed",
    why: "exited with code 3",
    attempt: ended,
    endedAt: "2026-11-22T13:04:11Z",
    events: [EVENTS[0], EVENTS[1], event(12, "taskFailed")],
  }]);
  const { code, out, err } = await ormen(["run", "-m", deck.address, "--wait", "a:1"]);
  assert.equal(code, 1);
  assert.equal(out, "web (bb1d59ef)  pending -> scheduled on localhost:8081 -> failed   0.0 s\n");
  assert.deepEqual(err.split("\n"), [
    "error: web failed: exited with code 3",
    "  last output:  one",
    "                two",
    "  more   ormen status bb1d59ef   ormen logs bb1d59ef",
    "",
  ]);
});

Deno.test("run --wait --json prints one document", async () => {
  await using deck = movingDeck([{ events: EVENTS }]);
  const { code, out } = await ormen(["run", "-m", deck.address, "--wait", "--json", "a:1"]);
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).state, "running");
});

const ended = (exitCode: number) => ({
  state: exitCode === 0 ? "completed" as const : "failed" as const,
  endedAt: "2026-11-22T13:04:11Z",
  attempt: attempt({ state: exitCode === 0 ? "completed" : "failed", exitCode, health: "none" }),
});

for (const exitCode of [0, 7]) {
  Deno.test(`run --attach shows the output and exits with ${exitCode}`, async () => {
    await using deck = movingDeck([{ state: "pending", attempt: null }, {}, {}, ended(exitCode)], {
      [`GET /v1/tasks/${ID}/logs`]: () =>
        ndjson({ stream: "stdout", text: "hello\n" }, { stream: "stderr", text: "oh\n" }),
    });
    const { code, out, err } = await ormen(["run", "-m", deck.address, "--attach", "a:1"]);
    assert.equal(out, "hello\n");
    assert.equal(err, "oh\n");
    assert.equal(code, exitCode);
    assert.equal(deck.lines().filter((line) => line.includes("/logs")).length, 1);
  });
}

Deno.test("run --attach goes on after a restart with what is new", async () => {
  const restarted = attempt({ startedAt: "2026-11-22T13:04:10Z", restarts: 1 });
  await using deck = movingDeck([{}, { attempt: restarted }, { ...ended(0), attempt: { ...restarted, exitCode: 0 } }], {
    [`GET /v1/tasks/${ID}/logs`]: ({ path }) =>
      ndjson({ stream: "stdout", text: path.includes("since") ? "2\n" : "1\n" }),
  });
  const { code, out } = await ormen(["run", "-m", deck.address, "--attach", "a:1"]);
  assert.equal(code, 0);
  assert.equal(out, "1\n2\n");
});

Deno.test("run --attach says why a task never started", async () => {
  const why = "pull access denied for a:1";
  await using deck = movingDeck([{ state: "failed", why, attempt: attempt({ state: "failed", startedAt: null }) }]);
  const { code, err } = await ormen(["run", "-m", deck.address, "--attach", "a:1"]);
  assert.equal(code, 1);
  assert.match(err, /^error: web failed: pull access denied for a:1\n/);
});

Deno.test("run --attach: the first ctrl-C stops the task and keeps following, the second leaves", async () => {
  const logs = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  const stopped = Promise.withResolvers<void>();
  await using deck = movingDeck([{}, { ...ended(143), state: "stopped" }], {
    [`GET /v1/tasks/${ID}/logs`]: () => new Response(new ReadableStream({ start: (out) => logs.resolve(out) })),
    [`POST /v1/tasks/${ID}/stop`]: () => {
      stopped.resolve();
      return Response.json(task({ state: "stopping" }));
    },
  });
  const io = fakeIo();
  const done = main(["run", "-m", deck.address, "--attach", "a:1"], io);
  const output = await logs.promise;
  const interrupt = io.signals.get("SIGINT")!;
  interrupt();
  await stopped.promise;
  assert.throws(interrupt, new Exited(130));
  output.enqueue(new TextEncoder().encode('{"stream":"stdout","text":"bye\\n"}\n'));
  output.close();
  assert.equal(await done, 143);
  assert.equal(io.output.out, "bye\n");
  assert.equal(io.output.err, "\nstopping web; ctrl-C again leaves it to the deck\n");
  assert.equal(io.signals.size, 0);
});
