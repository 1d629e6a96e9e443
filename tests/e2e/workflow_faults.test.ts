/** Runs of workflows on real Docker while decks and sailors die: each attempt of each step has one container (I7). */
import assert from "node:assert/strict";
import type { RunView } from "../../lib/messages/run_api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { Fleet } from "./support.ts";
import {
  containersOf,
  ended,
  live,
  long,
  OVER,
  restartBoth,
  restartDeck,
  restartSailor,
  runOf,
  short,
  SMALL,
  start,
  twice,
  until,
} from "./workflow_runs.ts";

const DIAMOND = {
  name: "diamond",
  steps: { a: twice([]), b: twice(["a"]), c: twice(["a"]), d: twice(["b", "c"]) },
  finally: [{ id: "bye", task: SMALL, run: "sleep 0.2" }],
};

const STAGES: readonly { readonly name: string; readonly reached: (run: RunView) => boolean }[] = [
  { name: "it was accepted", reached: () => true },
  { name: "a runs", reached: ({ steps }) => steps.a.state === "running" },
  { name: "a is about to be tried again", reached: ({ steps }) => steps.a.state === "retrying" },
  { name: "a's second attempt runs", reached: ({ steps }) => steps.a.attempts === 2 && steps.a.state === "running" },
  { name: "a has ended", reached: ({ steps }) => steps.a.state === "succeeded" },
  { name: "b and c run", reached: ({ steps }) => steps.b.state === "running" && steps.c.state === "running" },
  { name: "b or c has ended", reached: ({ steps }) => [steps.b, steps.c].some(({ state }) => state === "succeeded") },
  { name: "d runs", reached: ({ steps }) => steps.d.state === "running" },
  { name: "what follows runs", reached: ({ state }) => state === "finalizing" },
];

async function checkDiamond(fleet: Fleet, id: string, label: string): Promise<void> {
  const run = await ended(fleet, id);
  assert.equal(run.state, "succeeded", `${label}: ${run.why} ${JSON.stringify(run.steps)}`);
  for (const name of ["a", "b", "c", "d"]) {
    const { attempts, outputs } = run.steps[name];
    assert.deepEqual([attempts, outputs], [2, { n: "2", attempt: 2 }], `${label}: ${name}`);
  }
  const tasks = ["a", "b", "c", "d"].flatMap((name) => [1, 2].map((n) => `${id}.${name}.${n}`));
  const counts = await containersOf(fleet, id);
  assert.deepEqual(
    [...counts].sort(),
    [...tasks, `${id}.bye.1`].sort().map((task) => [task, 1]),
    `${label}: one container an attempt`,
  );
}

testWithEngine(
  "kill -9 of the deck at each stage of a diamond with retries: one container an attempt, and the same end",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      // Those before go on meanwhile: each meets all the later kills too, wherever it is by then.
      const runs: { id: string; name: string }[] = [];
      for (const { name, reached } of STAGES) {
        const id = await start(fleet, DIAMOND);
        await until(fleet, id, name, (run) => reached(run) || OVER.includes(run.state));
        await restartDeck(fleet);
        runs.push({ id, name });
      }
      for (const { id, name } of runs) await checkDiamond(fleet, id, `deck killed when ${name}`);
    }),
);

testWithEngine(
  "kill -9 of the sailor, and of both, while a diamond runs: results arrive all the same",
  (engine) =>
    Fleet.use(engine, { join: true }, async (fleet) => {
      const runs: { id: string; name: string }[] = [];
      for (const { name, reached } of [STAGES[1], STAGES[5], STAGES[7]]) {
        const id = await start(fleet, DIAMOND);
        await until(fleet, id, name, (run) => reached(run) || OVER.includes(run.state));
        await restartSailor(fleet);
        runs.push({ id, name });
      }
      for (const { id, name } of runs) await checkDiamond(fleet, id, `sailor killed when ${name}`);
      const id = await start(fleet, DIAMOND);
      await until(fleet, id, "b and c run", (run) => STAGES[5].reached(run) || OVER.includes(run.state));
      await restartBoth(fleet);
      await checkDiamond(fleet, id, "both killed");
    }),
);

testWithEngine(
  "cancel, timeouts and failFast end the containers that run, and nothing of them comes back",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const cancelled = await start(fleet, {
        name: "cancelled",
        steps: { a: long(), b: short({ needs: ["a"] }) },
        finally: [short({ id: "tidy" })],
      });
      await until(fleet, cancelled, "a runs", ({ steps }) => steps.a.state === "running");
      const answer = await fleet.http("POST", `/v1/runs/${cancelled}/cancel`);
      assert.ok(answer.status < 300, JSON.stringify(answer.body));
      const gone = await ended(fleet, cancelled);
      assert.deepEqual(
        [gone.state, gone.steps.a.state, gone.steps.b.state, gone.steps.tidy.state],
        ["cancelled", "cancelled", "cancelled", "succeeded"],
      );
      assert.deepEqual(await live(fleet, cancelled), []);

      const slow = await start(fleet, {
        name: "slow",
        steps: { a: long({ timeout: "1s", retry: { limit: 1, delay: "0s" } }) },
      });
      const timedOut = await ended(fleet, slow);
      assert.deepEqual([timedOut.state, timedOut.steps.a.state, timedOut.steps.a.attempts], ["failed", "timedOut", 2]);
      const whole = await start(fleet, { name: "whole", timeout: "1s", steps: { a: long() } });
      assert.equal((await ended(fleet, whole)).state, "timedOut");

      const fast = await start(fleet, {
        name: "fast",
        steps: {
          t: {
            matrix: { code: [0, 1] },
            task: SMALL,
            env: { CODE: "${{ matrix.code }}" },
            run: '[ "$CODE" = 0 ] && sleep 1000; sleep 0.5; exit 1',
          },
        },
      });
      const failed = await ended(fleet, fast);
      assert.deepEqual(failed.steps.t.instances!.map(({ state }) => state), ["cancelled", "failed"]);
      assert.deepEqual([...(await live(fleet, slow)), ...(await live(fleet, whole)), ...(await live(fleet, fast))], []);
    }),
);

testWithEngine(
  "a service step lives until those who need it are done; an approval and a sub-workflow go on over a killed deck",
  (engine) =>
    Fleet.use(engine, { join: true }, async (fleet) => {
      const health = { exec: ["true"], interval: "200ms" };
      const service = await start(fleet, {
        name: "service",
        steps: {
          db: { task: { ...SMALL, cmd: ["sleep", "1000"], health } },
          use: short({ needs: [{ step: "db", condition: "healthy" }] }),
          later: short({ needs: [{ step: "db", condition: "healthy" }, "use"] }),
        },
      });
      const served = await ended(fleet, service);
      assert.deepEqual([served.state, served.steps.db.state], ["succeeded", "succeeded"]);
      assert.ok(served.steps.db.finishedAt! >= served.steps.later.finishedAt!, "not stopped before");

      const asks = await start(fleet, {
        name: "asks",
        steps: {
          ok: { approval: { prompt: "Go?", inputs: { ticket: { type: "string", required: true } } } },
          go: { ...short({ needs: ["ok"] }), env: { T: "${{ steps.ok.outputs.ticket }}" } },
        },
      });
      await until(fleet, asks, "waits", ({ state }) => state === "waiting");
      await restartDeck(fleet);
      assert.equal((await runOf(fleet, asks)).state, "waiting");
      const approved = await fleet.http("POST", `/v1/runs/${asks}/steps/ok/approve`, { inputs: { ticket: "T-1" } });
      assert.ok(approved.status < 300, JSON.stringify(approved.body));
      assert.equal((await ended(fleet, asks)).state, "succeeded");

      const child = { name: "child", steps: { x: twice([]) }, outputs: { n: "${{ steps.x.outputs.n }}" } };
      const parent = await start(fleet, {
        name: "parent",
        steps: { sub: { workflow: "child.yaml" } },
        outputs: { n: "${{ steps.sub.outputs.n }}" },
      }, { included: { "child.yaml": child } });
      const { steps } = await until(fleet, parent, "the child runs", (run) => run.steps.sub.runId !== null);
      await until(fleet, steps.sub.runId!, "x runs", (run) => run.steps.x.state === "running");
      await restartDeck(fleet);
      const whole = await ended(fleet, parent);
      assert.deepEqual([whole.state, whole.outputs], ["succeeded", { n: "2" }]);
      assert.deepEqual([...(await containersOf(fleet, steps.sub.runId!)).values()], [1, 1]);
    }),
);

testWithEngine(
  "a container removed behind its back is an attempt that failed; a silent node is waited for, or not",
  (engine) =>
    Fleet.use(
      engine,
      { sailors: 2, deckFlags: ["--heartbeat", "500ms", "--node-timeout", "2s"] },
      async (fleet) => {
        const gone = await start(fleet, {
          name: "gone",
          steps: { a: { ...twice([]), run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || sleep 1000' } },
        });
        await until(fleet, gone, "a runs", ({ steps }) => steps.a.state === "running");
        const [{ id }] = await fleet.containers(false);
        await engine.docker.getContainer(id).remove({ force: true });
        const after = await ended(fleet, gone);
        assert.deepEqual([after.state, after.steps.a.attempts], ["succeeded", 2]);

        for (const onNodeLost of ["wait", "retry"]) {
          const run = await start(fleet, {
            name: onNodeLost,
            steps: { a: { ...twice([]), onNodeLost, run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || { sleep 3; exit 1; }' } },
          });
          const { steps } = await until(fleet, run, "a runs", (view) => view.steps.a.state === "running");
          const index = fleet.sailorPorts.findIndex((port) => steps.a.node === `localhost:${port}`);
          Deno.kill(fleet.sailors[index]!.pid, "SIGSTOP");
          await until(fleet, run, "its node is lost, or given up", (view) =>
            onNodeLost === "wait" ? view.steps.a.state === "running" : view.steps.a.attempts === 2);
          if (onNodeLost === "retry") {
            assert.equal((await ended(fleet, run)).state, "succeeded", "elsewhere, meanwhile");
          }
          Deno.kill(fleet.sailors[index]!.pid, "SIGCONT");
          await fleet.ready();
          const { state, steps: { a } } = await ended(fleet, run);
          // The first attempt fails by itself when its node is back; given up or failed, it is one attempt.
          assert.deepEqual([state, a.attempts], ["succeeded", 2]);
          await eventually("nothing of it runs on", async () =>
            (await fleet.containers(false)).every(({ task }) =>
              !task.startsWith(`${run}.`)
            ));
        }
      },
    ),
);
