/** stop, logs, exec, mast and events. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli/main.ts";
import { splitCommand } from "../../lib/cli/exec.ts";
import { eventStream, ndjson, problem, routes, scriptedDeck } from "../client/scripted_deck.ts";
import { execDeck } from "../client/exec.test.ts";
import { at, detail, event, Exited, fakeIo, ID, node, ormen, ormenUntil, task } from "./support.ts";

const stopRoutes = {
  "GET /v1/tasks/web": () => Response.json(detail()),
  "GET /v1/tasks/done": () => Response.json(detail({ name: "done", state: "completed", endedAt: at(9) })),
  "GET /v1/tasks/nope": () => problem(404, "notFound", 'there is no task "nope"'),
  [`POST /v1/tasks/${ID}/stop`]: () => Response.json(task({ state: "stopping" })),
};

Deno.test("stop stops what it can, and fails for what it cannot", async () => {
  await using deck = scriptedDeck(routes(stopRoutes));
  const { code, out, err } = await ormen(["stop", "-m", deck.address, "--grace", "5s", "web", "nope", "done", "web"]);
  assert.equal(code, 1);
  assert.equal(out, "web (bb1d59ef)  stopping\ndone (bb1d59ef)  completed\n");
  assert.equal(err, 'error: there is no task "nope"\n');
  const stops = deck.asked.filter(({ method }) => method === "POST");
  assert.deepEqual(stops.map(({ body }) => JSON.parse(body)), [{ grace: "5s" }]);
});

Deno.test("stop --json prints one document", async () => {
  await using deck = scriptedDeck(routes(stopRoutes));
  const { code, out, err } = await ormen(["stop", "-m", deck.address, "--json", "web", "nope"]);
  assert.equal(code, 1);
  assert.equal(err, "");
  assert.deepEqual(JSON.parse(out), {
    tasks: [
      { reference: "web", id: ID, name: "web", state: "stopping", error: null },
      { reference: "nope", id: null, name: null, state: null, error: 'there is no task "nope"' },
    ],
  });
});

Deno.test("stop --wait returns when it has ended", async () => {
  const views = [detail({ state: "stopping" }), detail({ state: "stopped", endedAt: at(0) })];
  await using deck = scriptedDeck(routes({
    ...stopRoutes,
    [`GET /v1/tasks/${ID}`]: () => Response.json(views.shift()),
    "GET /v1/events": () => eventStream(event(7, "taskStopped")),
  }));
  const { out } = await ormen(["stop", "-m", deck.address, "--wait", "web"]);
  assert.equal(out, "web (bb1d59ef)  stopped\n");
});

Deno.test("logs keeps the streams apart and passes its options on", async () => {
  await using deck = scriptedDeck(() => ndjson({ stream: "stdout", text: "a\n" }, { stream: "stderr", text: "b\n" }));
  const options = ["-f", "--tail", "5", "--since", "10m", "--timestamps"];
  const { code, out, err } = await ormen(["logs", "-m", deck.address, ...options, "web"]);
  assert.equal(code, 0);
  assert.equal(out, "a\n");
  assert.equal(err, "b\n");
  const url = new URL(deck.asked[0].path, "http://deck");
  assert.equal(url.pathname, "/v1/tasks/web/logs");
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    follow: "true",
    tail: "5",
    since: at(600),
    timestamps: "true",
  });
});

Deno.test("logs --json prints an object a line", async () => {
  await using deck = scriptedDeck(() => ndjson({ stream: "stdout", text: "a\n" }, { stream: "stderr", text: "b\n" }));
  const { out } = await ormen(["logs", "-m", deck.address, "--json", "web"]);
  assert.equal(out, '{"stream":"stdout","text":"a\\n"}\n{"stream":"stderr","text":"b\\n"}\n');
});

Deno.test("logs says where a task's output cannot be had", async () => {
  await using deck = scriptedDeck(() => problem(503, "nodeAway", "node host-a is down"));
  const { code, err } = await ormen(["logs", "-m", deck.address, "web"]);
  assert.equal(code, 1);
  assert.equal(err, "error: node host-a is down\n");
});

const SPLITS: readonly [string, string[], boolean, boolean][] = [
  ["ls -l", ["ls", "-l"], false, false],
  ["-- ls -l", ["ls", "-l"], false, false],
  ["-it -- sh", ["sh"], true, true],
  ["-i --tty -- sh -- x", ["sh", "--", "x"], true, true],
  ["git log -- file", ["git", "log", "--", "file"], false, false],
];
for (const [words, command, stdin, tty] of SPLITS) {
  Deno.test(`splitCommand() ${words}`, () => {
    assert.deepEqual(splitCommand(words.split(" "), {}), { command, stdin, tty });
  });
}

const encode = (kind: number, text: string) => new Uint8Array([kind, ...new TextEncoder().encode(text)]);

Deno.test("exec shows both streams and exits with the command's code", async () => {
  const requests: string[] = [];
  await using deck = execDeck((frame, socket) => {
    requests.push(String(frame));
    socket.send(encode(1, "out\n"));
    socket.send(encode(2, "err\n"));
    socket.send('{"kind":"end","exitCode":42}');
  });
  const { code, out, err } = await ormen(["exec", "-m", deck.address, "web", "--", "ls", "-l"]);
  assert.deepEqual([code, out, err], [42, "out\n", "err\n"]);
  assert.deepEqual(JSON.parse(requests[0]), { command: ["ls", "-l"], stdin: false, tty: false });
  const json = await ormen(["exec", "-m", deck.address, "--json", "web", "ls"]);
  assert.equal(json.code, 42);
  assert.equal(
    json.out,
    '{"stream":"stdout","text":"out\\n"}\n{"stream":"stderr","text":"err\\n"}\n{"exitCode":42}\n',
  );
});

Deno.test("exec -it gives it this terminal, and gives the terminal back", async () => {
  const frames: string[] = [];
  await using deck = execDeck((frame, socket) => {
    frames.push(typeof frame === "string" ? frame : `stdin ${new TextDecoder().decode(frame.subarray(1))}`);
    if (frames.at(-1)!.includes("closeStdin")) socket.send('{"kind":"end","exitCode":5}');
  });
  const io = fakeIo({ terminal: true, columns: 90, stdin: "exit\r" });
  const code = await main(["exec", "-m", deck.address, "-it", "web", "--", "sh"], io).catch((error) => {
    if (error instanceof Exited) return error.code;
    throw error;
  });
  assert.equal(code, 1, "the fake's exit is an error to main");
  assert.match(io.output.err, /exit 5/);
  assert.deepEqual(io.raw, [true, false]);
  assert.equal(io.signals.size, 0);
  assert.deepEqual(frames, [
    '{"command":["sh"],"stdin":true,"tty":true,"columns":90,"rows":40}',
    "stdin exit\r",
    '{"kind":"closeStdin"}',
  ]);
});

Deno.test("exec -t without a terminal is wrong usage; a failed command fails", async () => {
  const { code, err } = await ormen(["exec", "-t", "web", "sh"]);
  assert.equal(code, 2);
  assert.match(err, /^error: -t needs a terminal/);
  await using deck = execDeck((_frame, socket) => socket.send('{"kind":"error","message":"web has no container"}'));
  const failed = await ormen(["exec", "-m", deck.address, "web", "sh"]);
  assert.equal(failed.code, 1);
  assert.equal(failed.err, "error: web has no container\n");
});

const NODES = [node(), node({ id: "n2", name: "localhost:8081", tasks: 2, localTasks: 1 })];

Deno.test("mast lists nodes as the original, in true MiB", async () => {
  await using deck = scriptedDeck(() => Response.json({ nodes: NODES, next: null }));
  const { code, out } = await ormen(["mast", "-m", deck.address]);
  assert.equal(code, 0);
  assert.deepEqual(out.split("\n"), [
    "NAME            MEMORY (MiB)  DISK (GiB)  ROLE    TASKS",
    "localhost:8080  24105         270         worker  1",
    "localhost:8081  24105         270         worker  3",
    "",
  ]);
  const wide = await ormen(["mast", "-m", deck.address, "--wide"]);
  assert.deepEqual(wide.out.split("\n")[0].split(/ {2,}/).slice(5), ["STATUS", "CPU", "LABELS", "VERSION"]);
  assert.deepEqual(wide.out.split("\n")[1].split(/ {2,}/).slice(5), ["ready", "1.5/8", "zone=eu", "0.1.0"]);
  const json = await ormen(["mast", "-m", deck.address, "--json"]);
  assert.deepEqual(JSON.parse(json.out), { nodes: NODES });
});

Deno.test("mast says what is wrong with a node", async () => {
  const nodes = [node(), node({ status: "down", statusSince: at(300), eligibility: "draining" })];
  await using deck = scriptedDeck(() => Response.json({ nodes, next: null }));
  const { out } = await ormen(["mast", "-m", deck.address]);
  assert.match(out, /worker {2}1 {6}<- down, draining for 5 minutes\n$/);
});

Deno.test("mast --watch piped prints changes only", async () => {
  let looks = 0;
  await using deck = scriptedDeck(routes({
    "GET /v1/events": () => eventStream(event(1, "nodeReady"), event(2, "nodeDown")),
    "GET /v1/nodes": () => Response.json({ nodes: [node(looks++ === 0 ? {} : { status: "down" })], next: null }),
  }));
  const out = await ormenUntil(["mast", "--watch", "-m", deck.address], (text) => text.includes("down"));
  assert.deepEqual(out.trimEnd().split("\n").map((line) => line.slice("13:04:11  ".length)), [
    "localhost:8080  ready  1 tasks",
    "localhost:8080  down  1 tasks",
  ]);
});

Deno.test("mast drain, resume and rm do it and say so", async () => {
  await using deck = scriptedDeck(routes({
    "POST /v1/nodes/host-a/drain": () => Response.json(node({ name: "host-a", eligibility: "draining", tasks: 2 })),
    "POST /v1/nodes/host-a/resume": () => Response.json(node({ name: "host-a" })),
    "DELETE /v1/nodes/host-a": () => new Response(null, { status: 204 }),
    "DELETE /v1/nodes/host-b": () => problem(409, "conflict", "host-b is ready; drain it first"),
  }));
  const env = { ORMEN_DECK: deck.address };
  assert.equal(
    (await ormen(["mast", "drain", "host-a"], { env })).out,
    "host-a  draining   2 tasks move away\nnext   ormen mast --watch   ormen mast resume host-a\n",
  );
  assert.equal((await ormen(["mast", "resume", "host-a"], { env })).out, "host-a  takes tasks again\n");
  assert.equal((await ormen(["mast", "rm", "host-a"], { env })).out, "host-a  removed\n");
  assert.equal(JSON.parse((await ormen(["mast", "drain", "--json", "host-a"], { env })).out).eligibility, "draining");
  assert.deepEqual(JSON.parse((await ormen(["mast", "rm", "--json", "host-a"], { env })).out), {
    node: "host-a",
    removed: true,
  });
  const refused = await ormen(["mast", "rm", "host-b", "-m", deck.address]);
  assert.equal(refused.code, 1);
  assert.equal(refused.err, "error: host-b is ready; drain it first\n");
});

const EVENTS = [
  event(1, "deckStarted", { taskId: null, task: null, message: "deck started, term 1" }),
  event(2, "nodeJoined", { taskId: null, task: null, node: "host-a", message: "host-a joined" }),
  event(3, "taskRunning", { message: "running on host-a" }),
];

Deno.test("events lists what happened, newest last", async () => {
  await using deck = scriptedDeck(() => Response.json({ events: EVENTS, next: null }));
  const { out } = await ormen(["events", "-m", deck.address, "--since", "1h"]);
  assert.deepEqual(out.replace(/\d\d:\d\d:\d\d/g, "TIME").split("\n"), [
    "TIME  deckStarted     -                         deck started, term 1",
    "TIME  nodeJoined      host-a                    host-a joined",
    "TIME  taskRunning     web (bb1d59ef)            running on host-a",
    "",
  ]);
  assert.equal(new URL(deck.asked[0].path, "http://deck").searchParams.get("since"), at(3600));
  const json = await ormen(["events", "-m", deck.address, "--json"]);
  assert.deepEqual(json.out.trimEnd().split("\n").map((line) => JSON.parse(line)), EVENTS);
});

Deno.test("events of a run are told with run and step, and --run asks for those of one", async () => {
  const run = { taskId: null, runId: "deploy-7f3a" };
  const events = [
    event(1, "runStarted", { ...run, message: "run deploy-7f3a started" }),
    event(2, "stepRetrying", { ...run, step: "test.1", message: "test.1 is tried again" }),
  ];
  await using deck = scriptedDeck(({ path }) =>
    Response.json(path.startsWith("/v1/events") ? { events, next: null } : { id: "deploy-7f3a" })
  );
  const { out } = await ormen(["events", "-m", deck.address, "--run", "deploy"]);
  assert.match(
    out,
    /runStarted +deploy-7f3a +run deploy-7f3a started\n.*stepRetrying +deploy-7f3a\/test\.1 +test\.1 is/,
  );
  assert.deepEqual(deck.lines(), ["GET /v1/runs/deploy", "GET /v1/events?run=deploy-7f3a&limit=1000"]);
});

Deno.test("events -f goes on where the list ended", async () => {
  await using deck = scriptedDeck(({ headers }) =>
    headers.get("accept") === "text/event-stream"
      ? eventStream(event(4, "taskStopped"))
      : Response.json({ events: EVENTS, next: null })
  );
  const out = await ormenUntil(["events", "-f", "--json", "-m", deck.address], (text) => text.includes("taskStopped"));
  assert.deepEqual(out.trimEnd().split("\n").map((line) => JSON.parse(line).id), [1, 2, 3, 4]);
  assert.equal(deck.asked[1].headers.get("last-event-id"), "3");
});
