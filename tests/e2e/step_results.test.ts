/** Steps of workflows at a true sailor: what they leave behind reaches the deck with their end, also over kill -9. */
import assert from "node:assert/strict";
import { isFinal } from "../../lib/core/attempt.ts";
import { LABEL_OWNER } from "../../lib/contracts/runtime.ts";
import type { StepTask, TaskDocument, TaskSpec } from "../../lib/core/documents/task.ts";
import type { Assignment, AttemptReport } from "../../lib/messages/session.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE, ensureImages } from "../fixtures/images.ts";
import type { ScriptedDeck } from "../sailor/support/rig.ts";
import { assignment } from "../sailor/support/rig.ts";
import type { SocketDeck } from "./socket_deck.ts";
import { endsOf, openSocketDeck } from "./socket_deck.ts";
import { freePorts, Process } from "./support.ts";

/** Networks are the slowest part of a start. */
const CONTAINER = { image: BUSYBOX_IMAGE, network: "none", grace: "0s" };

function step(
  sailId: string,
  task: Partial<TaskDocument>,
  script: string | null,
  change: Partial<TaskSpec> = {},
): Assignment {
  const given = assignment(sailId, { task });
  const stepTask: StepTask = { script: script === null ? null : { text: script, shell: ["sh", "-eu"] }, capture: true };
  return { ...given, spec: { ...given.spec, step: stepTask, ...change } };
}

function request(sailId: string, url: string): Assignment {
  const http = { url, method: "GET", headers: {}, body: null, timeoutMs: 20_000 };
  return step(sailId, {}, null, { runtime: "http", image: "", http });
}

interface Scene {
  readonly deck: SocketDeck;
  readonly clusterId: string;
  readonly dir: string;
  start(): Process;
}

async function withSailor(
  flags: readonly string[],
  env: Record<string, string>,
  play: (scene: Scene) => Promise<void>,
) {
  const dir = await Deno.makeTempDir({ prefix: "ormen-steps-" });
  const [port] = freePorts(1);
  const deck = openSocketDeck();
  const started: Process[] = [];
  const start = () => {
    const join = ["--join", `http://127.0.0.1:${deck.port}`];
    const sailor = new Process(["sailor", "-p", `${port}`, ...join, "--data-dir", `${dir}/sailor`, ...flags], { env });
    started.push(sailor);
    return sailor;
  };
  try {
    await play({ deck, clusterId: crypto.randomUUID(), dir, start });
  } catch (error) {
    console.error(started.map((sailor) => sailor.log).join("\n--\n"));
    throw error;
  } finally {
    for (const sailor of started) await sailor.end("SIGKILL");
    await deck.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const resultsOf = (reports: readonly AttemptReport[]) =>
  Object.fromEntries(reports.map(({ sailId, state, result }) => [sailId, { state, result }]));

/** What is told before the acknowledgement is told again by the next process; what was acknowledged is not. */
async function overTheCrash({ deck, clusterId, start }: Scene, assignments: readonly Assignment[]) {
  const first = start();
  const before = await deck.next(false);
  before.welcome(assignments, { clusterId });
  const ends = await endsOf(before, assignments);
  await first.end("SIGKILL");
  const second = start();
  const again = await deck.next(true);
  again.welcome(assignments, { clusterId });
  assert.deepEqual(resultsOf(Object.values(await endsOf(again, assignments))), resultsOf(Object.values(ends)));
  await allAcknowledged(second, deck, clusterId, start);
  return ends;
}

async function allAcknowledged(running: Process, deck: SocketDeck, clusterId: string, start: () => Process) {
  let sailor = running;
  await eventually("nothing is told any more", async () => {
    // In order: one that is killed at once each time may never come to write down what was acknowledged.
    await sailor.end("SIGTERM");
    sailor = start();
    const next: ScriptedDeck = await deck.next(true);
    if (next.hello.attempts.length === 0) return true;
    next.welcome([], { clusterId });
    // All of them: what has to be read from its container again is told later than the others.
    await eventually("they are told again", () => {
      const reports = next.messages.flatMap((message) => message.kind === "reports" ? message.reports : []);
      const told = new Set(reports.filter(({ state }) => isFinal(state)).map(({ attemptId }) => attemptId));
      return next.hello.attempts.every(({ attemptId }) => told.has(attemptId));
    }, 30_000);
    return false;
  }, 60_000);
}

testWithEngine("steps: what containers left behind outlives kill -9 of the sailor", async ({ docker, host }) => {
  await ensureImages(docker);
  const large = "x".repeat(40_000);
  const assignments = [
    step(
      "prints",
      { ...CONTAINER, user: "1000", env: { WHO: "Jörg $(id)" } },
      'echo "hello $WHO"; echo oops >&2; echo A=1 >>"$ORMEN_OUTPUT"',
    ),
    step("fails", { ...CONTAINER, cmd: ["sh", "-c", 'echo B=2 >"$ORMEN_OUTPUT"; exit 3'] }, null),
    step("large", CONTAINER, `echo ${large} >"$ORMEN_OUTPUT"`),
    step("much", CONTAINER, 'yes | head -c 100000; yes | head -c 300000 >"$ORMEN_OUTPUT"'),
    step("hidden", { ...CONTAINER, volumes: ["some:/ormen"] }, "true"),
  ];
  await withSailor([], { DOCKER_HOST: host }, async (scene) => {
    try {
      const { prints, fails, large: largeOne, much, hidden } = await overTheCrash(scene, assignments);
      assert.deepEqual([prints.state, prints.observed.exitCode], ["completed", 0]);
      assert.deepEqual(prints.result, {
        stdout: "hello Jörg $(id)\n",
        stderr: "oops\n",
        truncated: false,
        output: "A=1\n",
        answer: null,
        problem: null,
      });
      assert.deepEqual([fails.state, fails.observed.exitCode, fails.result?.output], ["failed", 3, "B=2\n"]);
      assert.equal(largeOne.result?.output, `${large}\n`);
      assert.deepEqual([much.result?.stdout.length, much.result?.truncated], [64 * 1024, true]);
      assert.match(much.result?.problem ?? "", /\/ormen\/output holds more than 256 KiB/);
      assert.match(hidden.observed.message ?? "", /the volume some:\/ormen hides \/ormen/);
      const filters = { label: [`${LABEL_OWNER}=${scene.clusterId}`] };
      const rows = await docker.listContainers({ all: true, filters });
      assert.deepEqual(rows.map((row) => row.State), Array(4).fill("exited"), "each was made once");
    } finally {
      const filters = { label: [`${LABEL_OWNER}=${scene.clusterId}`] };
      const rows = await docker.listContainers({ all: true, filters });
      await Promise.all(rows.map((row) => docker.getContainer(row.Id).remove({ force: true, v: true })));
    }
  });
});

Deno.test("steps: what host processes left behind and what servers answered outlive kill -9 of the sailor", async () => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => Response.json({ up: true }));
  const assignments = [
    step("script", { runtime: "process", image: undefined, cmd: ["false"] }, 'echo hello; echo A=1 >>"$ORMEN_OUTPUT"'),
    request("asks", `http://127.0.0.1:${server.addr.port}/up`),
    request("refused", "http://169.254.169.254/latest"),
  ];
  try {
    await withSailor(["--runtime", "process"], {}, async (scene) => {
      const { script, asks, refused } = await overTheCrash(scene, assignments);
      assert.deepEqual([script.state, script.result?.stdout, script.result?.output], ["completed", "hello\n", "A=1\n"]);
      assert.deepEqual([asks.state, asks.result?.stdout, asks.result?.answer?.status], [
        "completed",
        '{"up":true}',
        200,
      ]);
      assert.deepEqual([refused.state, refused.result?.answer], ["failed", null]);
      assert.match(refused.observed.message ?? "", /link-local/);
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test("steps: a sailor says that it makes requests, unless it was started with --no-http", async () => {
  for (const [flags, asks] of [[[], true], [["--no-http"], false]] as const) {
    await withSailor(["--runtime", "process", ...flags], {}, async ({ deck, clusterId, start }) => {
      start();
      const session = await deck.next(true);
      assert.deepEqual([session.hello.runtimes, session.hello.abilities?.includes("http")], [["process"], asks]);
      if (asks) return;
      const ask = request("asks", "http://127.0.0.1:1/");
      session.welcome([ask], { clusterId });
      const { asks: end } = await endsOf(session, [ask]);
      assert.deepEqual([end.cause, end.observed.message], ["notCreated", "this sailor has no http runtime"]);
    });
  }
});
