/** The commands of workflows against a deck out of a script: what they ask, print and exit with. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli/main.ts";
import type { RunView } from "../../lib/messages/run_api.ts";
import { eventStream, ndjson, problem, routes, scriptedDeck } from "../client/scripted_deck.ts";
import type { Asked, ScriptedDeck } from "../client/scripted_deck.ts";
import { runView, SOURCE, stepView, workflowDetail, workflowView } from "../http/records.ts";
import { at, detail, fakeIo, ormen } from "./support.ts";
import type { IoSetup, Outcome } from "./support.ts";

const ID = "deploy-7f3a";
const FILE = `name: deploy
params: { version: { type: string, required: true } }
steps:
  build: { run: make, env: { VERSION: "\${{ params.version }}" } }
  test: { needs: [build], matrix: { os: [a, b] }, task: { image: "t:\${{ params.version }}-\${{ matrix.os }}" } }
  ship: { needs: [test], when: params.version == 'v2', run: "true" }
`;

async function withFile<T>(run: (path: string, dir: string) => Promise<T>, text = FILE): Promise<T> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/deploy.yaml`, text);
    return await run(`${dir}/deploy.yaml`, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const workflow = (deck: ScriptedDeck, args: readonly string[], setup: IoSetup = {}): Promise<Outcome> =>
  ormen(["workflow", args[0], "-m", deck.address, ...args.slice(1)], setup);

const done = { state: "succeeded", outcome: "succeeded", conclusion: "succeeded", attempts: 1 } as const;
const times = { startedAt: at(9), finishedAt: at(1), node: "host-a" };
const step = (id: number) => ({ id, kind: "stepSucceeded", runId: ID });

/** The views that the deck answers one after the other; the last one stays. */
function running(views: readonly RunView[], more: Parameters<typeof routes>[0] = {}): ScriptedDeck {
  let looks = 0;
  const table = routes({
    "POST /v1/runs": () => Response.json(views[0], { status: 201 }),
    "GET /v1/events": () => eventStream(step(1)),
    ...more,
  });
  return scriptedDeck((asked, request) => {
    const isLook = asked.method === "GET" && asked.path === `/v1/runs/${ID}`;
    return isLook ? Response.json(views[Math.min(++looks, views.length - 1)]) : table(asked, request);
  });
}

const body = ({ body }: Asked) => JSON.parse(body);

Deno.test("workflow run FILE sends document and params, tells each change, and exits with 0", async () => {
  const first = runView({ steps: { build: stepView({ state: "running", attempts: 1 }), ship: stepView() } });
  const last = runView({
    ...{ state: "succeeded", startedAt: at(12), finishedAt: at(0) },
    steps: { build: stepView({ ...done, ...times }), ship: stepView({ state: "skipped" }) },
  });
  await using deck = running([first, first, last]);
  const { code, out, err } = await withFile((file) => workflow(deck, ["run", file, "-p", "version=v1"]));
  assert.equal(err, "");
  const lines = out.split("\n").map((line) => line.replace(/^\S+ \d\d:\d\d:\d\d|^\d\d:\d\d:\d\d/, "TIME"));
  assert.deepEqual(lines, [
    `run ${ID}  (ctrl-c cancels it)`,
    "TIME  build                 running",
    "TIME  build                 succeeded  8.0 s  host-a",
    "TIME  ship                  skipped",
    `succeeded in 12 s   1 ok, 1 skipped          ormen workflow status ${ID} -m ${deck.address}`,
    "",
  ]);
  assert.equal(code, 0);
  const sent = deck.asked[0];
  assert.deepEqual([body(sent).params, body(sent).workflow.name], [{ version: "v1" }, "deploy"]);
  assert.match(sent.headers.get("idempotency-key")!, /^[0-9a-f-]{36}$/);
});

Deno.test("workflow run tells what failed, with its last lines, and exits with 1", async () => {
  const failed = stepView({ ...times, state: "failed", outcome: "failed", conclusion: "failed", attempts: 3 });
  const run = runView({
    ...{ state: "failed", startedAt: at(12), finishedAt: at(0), why: "step test failed" },
    steps: {
      test: { ...failed, error: "exit 1: oh", taskId: "deploy.test.3" },
      may: stepView({ ...times, state: "failed", outcome: "failed", conclusion: "succeeded", taskId: "t2" }),
    },
  });
  await using deck = running([run], {
    "GET /v1/tasks/deploy.test.3/logs": () =>
      ndjson({ stream: "stdout", text: "one\ntw" }, { stream: "stdout", text: "o\n" }),
  });
  const { code, out } = await workflow(deck, ["run", "deploy"]);
  assert.equal(code, 1);
  assert.match(out, /\nfailed after 12 s {3}2 failed, 1 retried .*\nwhy {4}step test failed\n/);
  assert.match(
    out,
    /\ntest failed after 3 attempts: exit 1: oh\n {2}\| one\n {2}\| two\nnext {3}ormen workflow resume /,
  );
  assert(!out.includes("may failed"), "one that may fail is no reason");
  assert.deepEqual(body(deck.asked[0]), { workflow: "deploy" });
});

for (const [state, code] of [["warning", 0], ["timedOut", 1], ["cancelled", 130]] as const) {
  Deno.test(`workflow run of a run that ends as ${state} exits with ${code}`, async () => {
    await using deck = running([runView({ state, finishedAt: at(0) })]);
    assert.equal((await workflow(deck, ["run", "deploy"])).code, code);
  });
}

Deno.test("workflow run --json prints changes and then the run, one object a line", async () => {
  const last = runView({ state: "succeeded", finishedAt: at(0), steps: { build: stepView({ ...done, ...times }) } });
  await using deck = running([runView(), last]);
  const { out } = await workflow(deck, ["run", "deploy", "--json"]);
  const lines = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ id, step, state }) => [id ?? step, state]), [
    ["build", "succeeded"],
    [ID, "succeeded"],
  ]);
  assert.deepEqual(lines.at(-1), last);
});

Deno.test("workflow run --detach and --only; params of a file stand behind those of -p", async () => {
  await using deck = running([runView()]);
  await withFile(async (file, dir) => {
    await Deno.writeTextFile(`${dir}/p.yaml`, "version: v1\nn: 3\n");
    const args = ["run", file, "-d", "--only", "build", "--params-file", `${dir}/p.yaml`, "-p", "version=v2"];
    const { code, out } = await workflow(deck, args);
    assert.deepEqual([code, out], [0, `${ID}  running\nnext   ormen workflow status ${ID} -m ${deck.address}\n`]);
  });
  assert.deepEqual([body(deck.asked[0]).only, body(deck.asked[0]).params], ["build", { version: "v2", n: 3 }]);
  assert.deepEqual(deck.lines(), ["POST /v1/runs"]);
});

Deno.test("workflow run sends a request again whose answer broke off, under the same key", async () => {
  let answers = 0;
  await using deck = running([runView({ state: "succeeded", finishedAt: at(0) })], {
    "POST /v1/runs": () => {
      if (++answers > 1) return Response.json(runView(), { status: 201 });
      const start = (stream: ReadableStreamDefaultController) => stream.enqueue(new TextEncoder().encode('{"id":'));
      const pull = (stream: ReadableStreamDefaultController) => stream.error(new Error("gone"));
      return new Response(new ReadableStream({ start, pull }), { status: 201 });
    },
  });
  assert.equal((await workflow(deck, ["run", "deploy"])).code, 0);
  const keys = deck.asked.filter(({ method }) => method === "POST").map(({ headers }) =>
    headers.get("idempotency-key")
  );
  assert.deepEqual(keys, [keys[0], keys[0]]);
});

Deno.test("workflow run tells what is wrong before it sends anything", async () => {
  await using deck = running([runView()]);
  const bad = "name: deploy\nsteps:\n  a: { need: [b], run: x }\n";
  const { code, err } = await withFile((file) => workflow(deck, ["run", file]), bad);
  assert.equal(code, 1);
  assert.match(
    err,
    /^error: 1 problem in .*deploy.yaml\n {2}.*deploy.yaml:3:8 {2}unknown key `need`; did you mean `needs`/,
  );
  const step = await withFile((file) => workflow(deck, ["run", file, "--only", "buld"]));
  assert.match(
    step.err,
    /^error: workflow deploy has no step "buld"; did you mean "build"\?\n {2}its steps are build, test/,
  );
  assert.deepEqual(deck.lines(), []);
});

Deno.test("workflow run tells which param is missing or unknown, and how to give it", async () => {
  const errors = [
    { pointer: "/params/vresion", detail: "unknown parameter; did you mean `version`?" },
    { pointer: "/params/version", detail: "is required" },
  ];
  await using deck = scriptedDeck(() => problem(422, "invalid", "params", errors));
  const { code, err } = await workflow(deck, ["run", "deploy", "-p", "vresion=1"]);
  assert.equal(code, 2);
  assert.equal(
    err,
    "error: there is no parameter vresion; did you mean `version`?\n  parameter version is required\n" +
      "  give it with  -p version=VALUE\n",
  );
});

Deno.test("workflow run and apply show what a deck did not like at its place in the file", async () => {
  const errors = [{ pointer: "/workflow/steps/test/needs", detail: "not like this" }];
  await using deck = scriptedDeck(() => problem(422, "invalid", "x", errors));
  for (const verb of ["run", "apply"]) {
    const { code, err } = await withFile((file) => workflow(deck, [verb, file]));
    assert.equal(code, 1);
    assert.match(err, /deploy\.yaml:5:11 {2}.*not like this/, err);
  }
});

Deno.test("workflow run --dry-run shows the order with params filled in, and asks no deck", async () => {
  await using deck = running([runView()]);
  const { code, out } = await withFile((file) => workflow(deck, ["run", file, "--dry-run", "-p", "version=v1"]));
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      "deploy   dry run: nothing is sent",
      "params  version=v1",
      "    1  build  task on a sailor's host",
      "              env  VERSION=v1",
      "              run  make",
      "    2  test   task t:v1-${{ matrix.os }}   after build",
      "              2 instances  [a] [b]",
      "    3  ship   task on a sailor's host   after test   skipped: params.version == 'v2'",
      "",
    ].join("\n"),
  );
  const missing = await withFile((file) => workflow(deck, ["run", file, "--dry-run"]));
  assert.deepEqual([missing.code, missing.err.split("\n")[0]], [2, "error: parameter version is required"]);
  assert.deepEqual(deck.lines(), []);
});

Deno.test("workflow run on a terminal draws in place, and ends with the picture of the end", async () => {
  const first = runView({ steps: { build: stepView({ state: "running", attempts: 1 }) } });
  const last = runView({ state: "succeeded", finishedAt: at(0), steps: { build: stepView({ ...done, ...times }) } });
  await using deck = running([first, first, last]);
  const { code, out } = await workflow(deck, ["run", "deploy"], { terminal: true, env: { NO_COLOR: "1" } });
  assert.equal(code, 0);
  assert(out.startsWith(`run ${ID}  (ctrl-c asks whether to cancel or detach)\n`));
  const frames = out.split("\x1b[?7l").slice(1);
  assert(frames[0].startsWith("\r  ..  build  1/1"), frames[0]);
  const end = frames.at(-1)!;
  assert(end.startsWith("\x1b[2A\r  ok  build  1/1  8.0 s   host-a\x1b[K\n\x1b[J\x1b[?7h"), end);
});

/** A run that goes on until it is cancelled; a stubborn one goes on even then. */
function endless(isStubborn = false): ScriptedDeck {
  let cancelled = false;
  const view = () => Response.json(runView(cancelled ? { state: "cancelled", finishedAt: at(0) } : {}));
  let changed = () => {};
  return scriptedDeck(({ method, path }) => {
    if (path.startsWith("/v1/events")) {
      const head = new TextEncoder().encode("retry: 1000\n\n");
      const start = (stream: ReadableStreamDefaultController) => {
        stream.enqueue(head);
        changed = () => stream.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(step(1))}\n\n`));
      };
      return new Response(new ReadableStream({ start }), { headers: { "content-type": "text/event-stream" } });
    }
    if (method === "POST" && path.endsWith("/cancel")) {
      cancelled = !isStubborn;
      changed();
    }
    return view();
  });
}

/** Runs it, and calls `act` with its signals once `ready` of its output. */
async function interrupted(
  deck: ScriptedDeck,
  setup: IoSetup,
  ready: (out: string) => boolean,
  act: (interrupt: () => void, err: () => string) => void,
) {
  let acted = false;
  const io = fakeIo({
    ...setup,
    onOut(out) {
      if (acted || !ready(out)) return;
      acted = true;
      // Not in the middle of a picture.
      queueMicrotask(() => act(() => io.signals.get("SIGINT")!(), () => io.output.err));
    },
  });
  const code = await main(["workflow", "run", "-m", deck.address, "deploy"], io);
  return { code, io };
}

const drawn = (out: string) => out.includes("1 running");
const listed = (out: string) => out.includes("  running");

Deno.test("ctrl-C where nobody can be asked cancels the run and waits for its end", async () => {
  await using deck = endless();
  const { code, io } = await interrupted(deck, {}, listed, (interrupt) => interrupt());
  assert.equal(code, 130);
  assert.equal(io.output.err, "cancelling; ctrl-c again leaves it to the deck\n");
  assert(deck.lines().includes(`POST /v1/runs/${ID}/cancel`));
  assert.match(io.output.out, /\ncancelled after/);
  assert.equal(io.signals.size, 0, "nothing listens to signals any more");
});

Deno.test("a second ctrl-C leaves a run that is being cancelled to the deck", async () => {
  await using deck = endless(true);
  const { code, io } = await interrupted(deck, {}, listed, (interrupt) => {
    interrupt();
    interrupt();
  });
  assert.equal(code, 130);
  assert.match(io.output.out, /\ndeploy-7f3a goes on {3}ormen workflow status deploy-7f3a -m /);
});

for (const [key, cancels] of [["c", true], ["d", false], ["\x03", false]] as const) {
  Deno.test(`ctrl-C on a terminal asks; ${JSON.stringify(key)} ${cancels ? "cancels" : "detaches"}`, async () => {
    await using deck = endless();
    const setup = { terminal: true, stdin: key, env: { NO_COLOR: "1" } };
    const { code, io } = await interrupted(deck, setup, drawn, (interrupt) => interrupt());
    assert.equal(code, 130);
    assert.deepEqual(io.raw, [true, false], "the terminal is as it was");
    assert.equal(deck.lines().includes(`POST /v1/runs/${ID}/cancel`), cancels);
    if (!cancels) assert.match(io.output.out, /deploy-7f3a goes on {3}ormen workflow status/);
  });
}

Deno.test("workflow run --timeout leaves the run to the deck", async () => {
  await using deck = endless();
  const { code, err } = await workflow(deck, ["run", "deploy", "--timeout", "50ms"]);
  assert.equal(code, 1);
  assert.match(err, /^error: run deploy-7f3a has not ended within 0\.\d s; it goes on\n {2}ormen workflow status/);
  assert(!deck.lines().some((line) => line.includes("cancel")));
});

Deno.test("workflow cancel, approve, reject, rerun and resume ask and tell", async () => {
  const view = () => Response.json(runView());
  await using deck = scriptedDeck(routes({
    [`POST /v1/runs/${ID}/cancel`]: view,
    [`POST /v1/runs/${ID}/steps/ask/approve`]: view,
    [`POST /v1/runs/${ID}/steps/ask/reject`]: view,
    [`POST /v1/runs/${ID}/rerun`]: view,
    [`POST /v1/runs/${ID}/resume`]: () => Response.json({ ...runView(), kept: ["build"], again: ["test", "ship"] }),
  }));
  const next = `next   ormen workflow status ${ID} -m ${deck.address}\n`;
  const told = async (...args: string[]) => (await workflow(deck, args)).out;
  assert.equal(await told("cancel", ID), `${ID}  cancelling\n${next}`);
  assert.equal(
    await told("approve", ID, "ask.1", "-i", "n=1", "-i", "m=a=b"),
    `${ID}  ask.1 approved; the run is running\n${next}`,
  );
  assert.equal(await told("reject", ID, "ask", "--reason", "no"), `${ID}  ask rejected; the run is running\n${next}`);
  assert.equal(await told("rerun", ID, "-d"), `${ID}  running\n${next}`);
  assert.equal(
    await told("resume", ID, "-d", "--from", "test", "-p", "n=1"),
    `kept   build\nagain  test, ship\n${ID}  running\n${next}`,
  );
  assert.deepEqual(deck.asked.map(body), [
    {},
    { inputs: { n: "1", m: "a=b" }, instance: 1 },
    { reason: "no" },
    {},
    { from: "test", params: { n: "1" } },
  ]);
});

Deno.test("workflow list, history, apply, pause, unpause and rm", async () => {
  const scheduled = workflowView({
    schedule: { cron: "0 3 * * *", timezone: "UTC", nextAt: at(-3600) },
    lastRun: runView({ state: "failed" }),
  });
  await using deck = scriptedDeck(routes({
    "GET /v1/workflows": () => Response.json({ workflows: [scheduled, workflowView({ name: "idle", paused: true })] }),
    "GET /v1/workflows/deploy": () => Response.json(workflowDetail()),
    "GET /v1/runs": () => Response.json({ runs: [runView(), runView({ id: "deploy-1" })], next: "deploy-1" }),
    "PUT /v1/workflows/deploy": () => Response.json({ ...scheduled, version: 2, change: "updated" }),
    "POST /v1/workflows/deploy/pause": () => Response.json(workflowDetail()),
    "POST /v1/workflows/deploy/unpause": () => Response.json({ ...workflowDetail(), schedule: scheduled.schedule }),
    "DELETE /v1/workflows/deploy": () => new Response(null, { status: 204 }),
  }));
  const rows = (await workflow(deck, ["list"])).out.trimEnd().split("\n");
  assert.match(rows[1], /^deploy {2}1 .* {2}0 3 \* \* \* UTC {2}\S.* {2}failed +deploy-7f3a$/);
  assert.match(rows[2], /^idle .* {2}- +paused/);
  const history = (await workflow(deck, ["history", "deploy", "-n", "2"])).out;
  assert.match(history, /^VERSION .*\n1 .*\n\nRUN .*\ndeploy-7f3a +running .*\ndeploy-1 /);
  assert.equal(deck.lines().filter((line) => line.startsWith("GET /v1/runs")).length, 1, "no page more than is shown");
  const applied = await withFile((file) => workflow(deck, ["apply", file]));
  assert.match(
    applied.out,
    /^deploy {2}version 2\nschedule {2}0 3 \* \* \* UTC {3}next run at .*\nnext {3}ormen workflow run/,
  );
  assert.match((await workflow(deck, ["pause", "deploy"])).out, /^deploy {2}paused; it has no schedule\n$/);
  assert.match((await workflow(deck, ["unpause", "deploy"])).out, /^deploy {2}unpaused {3}next run at /);
  assert.equal((await workflow(deck, ["rm", "deploy"])).out, "deploy  removed\n");
});

Deno.test("workflow graph of a run shows states", async () => {
  const views = { build: stepView({ state: "succeeded" }), test: stepView({ state: "running" }), ship: stepView() };
  await using deck = scriptedDeck(routes({
    "GET /v1/runs/deploy": () => Response.json(runView({ steps: views })),
    [`GET /v1/runs/${ID}/source`]: () => Response.json(SOURCE),
  }));
  const { out } = await workflow(deck, ["graph", "deploy"]);
  assert.match(out, /^deploy\n +1 +build +succeeded /);
  const json = JSON.parse((await workflow(deck, ["graph", "deploy", "--json"])).out);
  assert.deepEqual(json.steps.map((step: { name: string; state: string }) => [step.name, step.state]), [
    ["build", "succeeded"],
  ]);
});

const timed = (second: number, text: string) => ({
  stream: "stdout",
  text: `2026-11-22T13:00:0${second}.5Z ${text}\n`,
});

function withLogs(): ScriptedDeck {
  const at = (second: number) => `2026-11-22T13:00:0${second}.000Z`;
  const ran = (taskId: string, startedAt: string) => stepView({ ...done, attempts: 2, startedAt, taskId });
  const run = runView({
    state: "succeeded",
    steps: {
      b: ran("r.b.2", at(3)),
      a: ran("r.a.2", at(1)),
      host: ran("r.host.2", at(5)),
      gone: ran("r.gone.2", at(6)),
      skipped: stepView({ state: "skipped" }),
    },
  });
  return scriptedDeck(routes({
    [`GET /v1/runs/${ID}`]: () => Response.json(run),
    "GET /v1/tasks/r.a.2": () => Response.json(detail()),
    "GET /v1/tasks/r.b.2": () => Response.json(detail()),
    "GET /v1/tasks/r.host.2": () => Response.json(detail({ spec: { runtime: "process" } })),
    "GET /v1/tasks/r.a.2/logs": () => ndjson(timed(1, "a1"), timed(4, "a4"), timed(7, "a7")),
    "GET /v1/tasks/r.b.2/logs": () => ndjson(timed(3, "b3"), { ...timed(6, "b6"), stream: "stderr" }),
    "GET /v1/tasks/r.host.2/logs": () => ndjson({ stream: "stdout", text: "h1\nh2\nno end" }),
    "GET /v1/tasks/r.a.1": () => Response.json(detail()),
    "GET /v1/tasks/r.a.1/logs": () => ndjson(timed(1, "first attempt")),
    "GET /v1/tasks/r.gone.2": () => problem(404, "notFound", "there is no task r.gone.2"),
  }));
}

Deno.test("workflow logs puts the lines of all steps in the order of their times", async () => {
  await using deck = withLogs();
  const { code, out, err } = await workflow(deck, ["logs", ID]);
  assert.equal(code, 0);
  assert.deepEqual(out.trimEnd().split("\n"), [
    "a       | a1",
    "b       | b3",
    "a       | a4",
    "host    | h1",
    "host    | h2",
    "host    | no end",
    "a       | a7",
  ]);
  assert.equal(err, "gone: no output: there is no task r.gone.2\nb       | b6\n");
});

Deno.test("workflow logs of one step has no prefix; --attempt, --timestamps, unknown steps", async () => {
  await using deck = withLogs();
  const out = async (...args: string[]) => (await workflow(deck, ["logs", ID, ...args])).out;
  assert.equal(await out("a"), "a1\na4\na7\n");
  assert.equal(await out("a", "--attempt", "1"), "first attempt\n");
  assert.equal(await out("host"), "h1\nh2\nno end\n");
  assert.equal((await out("a", "--timestamps")).split("\n")[0], "2026-11-22T13:00:01.5Z a1");
  const unknown = await workflow(deck, ["logs", ID, "hots"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /^error: run deploy-7f3a has no step "hots"; did you mean "host"\?/);
  const gone = await workflow(deck, ["logs", ID, "gone"]);
  assert.deepEqual([gone.code, gone.err], [1, "error: there is no task r.gone.2\n"]);
});

Deno.test("workflow logs -f reads each attempt as it begins, and ends with the run", async () => {
  const attempt = (number: number, state: "running" | "succeeded") =>
    runView({
      state: state === "succeeded" ? "succeeded" : "running",
      steps: { a: stepView({ state, attempts: number, startedAt: at(9), taskId: `r.a.${number}` }) },
    });
  await using deck = running([attempt(1, "running"), attempt(2, "running"), attempt(2, "succeeded")], {
    "GET /v1/tasks/r.a.1/logs": () => ndjson({ stream: "stdout", text: "one\n" }),
    "GET /v1/tasks/r.a.2/logs": () => ndjson({ stream: "stdout", text: "two\n" }),
  });
  const { code, out } = await workflow(deck, ["logs", "-f", ID]);
  assert.equal(code, 0);
  assert.match(out, /two\n/);
  assert.equal(deck.lines().filter((line) => line.includes("r.a.2/logs")).length, 1, "once");
});

Deno.test("workflow logs -f opens output that broke off again, and shows no line twice", async () => {
  const view = (state: "running" | "succeeded") =>
    runView({ state, steps: { a: stepView({ state, attempts: 1, startedAt: at(9), taskId: "r.a.1" }) } });
  let reads = 0;
  await using deck = running([view("running"), view("running"), view("succeeded")], {
    "GET /v1/tasks/r.a.1/logs": () =>
      ++reads === 1
        ? ndjson({ stream: "stdout", text: "one\ntwo\n" }, { error: "the node is away" })
        : ndjson({ stream: "stdout", text: "one\ntwo\nthree\n" }),
  });
  const { code, out, err } = await workflow(deck, ["logs", "-f", ID]);
  assert.deepEqual([code, out, err], [0, "a | one\na | two\na | three\n", ""]);
});
