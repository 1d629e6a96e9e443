/** Runs over ends of deck and sailor at moments that are chosen for what they could break: after an answer, around a deadline. */
import assert from "node:assert/strict";
import type { RunView } from "../../lib/messages/run_api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { EngineRecord, madeTwice } from "./engine_record.ts";
import { Fleet } from "./support.ts";
import {
  containersOf,
  ended,
  live,
  long,
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

const bye = { id: "bye", task: SMALL, run: "sleep 0.7" };
const isRunning = (step: string) => ({ steps }: RunView) => steps[step].state === "running";

testWithEngine(
  "what was answered before the deck's end is true after it: a cancel, also while finally runs, an approval, a sleep",
  (engine) =>
    Fleet.use(engine, { join: true }, async (fleet) => {
      const cancelled = await start(fleet, {
        name: "cancelled",
        steps: { a: long(), b: short({ needs: ["a"] }), c: twice([]) },
        finally: [bye, { ...bye, id: "bye2" }],
      });
      await until(fleet, cancelled, "a runs", isRunning("a"));
      assert.equal((await fleet.http("POST", `/v1/runs/${cancelled}/cancel`)).status, 200);
      await restartBoth(fleet);
      await until(fleet, cancelled, "what follows its end runs", isRunning("bye"));
      // Whoever asks again, having had no answer, and decks that start meanwhile take nothing from what follows the end.
      assert.equal((await fleet.http("POST", `/v1/runs/${cancelled}/cancel`)).status, 200);
      await restartDeck(fleet);
      const { state, steps } = await ended(fleet, cancelled);
      assert.deepEqual(
        [state, ...["a", "b", "c", "bye", "bye2"].map((name) => steps[name].state)],
        ["cancelled", "cancelled", "cancelled", "cancelled", "succeeded", "succeeded"],
      );
      await restartSailor(fleet);
      assert.deepEqual(await live(fleet, cancelled), []);
      assert.ok([...(await containersOf(fleet, cancelled)).values()].every((count) => count === 1));

      const waits = await start(fleet, {
        name: "waits",
        steps: { ok: { approval: { prompt: "Go?" } }, nap: { sleep: "1s" }, go: short({ needs: ["ok", "nap"] }) },
      });
      await until(fleet, waits, "asks", ({ steps }) => steps.ok.state === "waiting");
      assert.equal((await fleet.http("POST", `/v1/runs/${waits}/steps/ok/approve`)).status, 200);
      await restartDeck(fleet);
      assert.equal((await runOf(fleet, waits)).steps.ok.state, "succeeded");
      const rested = await ended(fleet, waits);
      assert.equal(rested.state, "succeeded");
      const { startedAt, finishedAt } = rested.steps.nap;
      assert.ok(new Date(finishedAt!).getTime() - new Date(startedAt!).getTime() >= 1_000, "it slept its time");

      const killed = await start(fleet, { name: "killed", steps: { a: short() }, finally: [long({ id: "tidy" })] });
      await until(fleet, killed, "its finally runs", isRunning("tidy"));
      assert.equal((await fleet.http("POST", `/v1/runs/${killed}/cancel`, { now: true })).status, 200);
      await restartDeck(fleet);
      assert.deepEqual([(await ended(fleet, killed)).state, await live(fleet, killed)], ["cancelled", []]);
    }),
);

testWithEngine(
  "deadlines that pass while the deck is away: an end before its time counts, what goes on is stopped",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const inTime = await start(fleet, {
        name: "in-time",
        steps: { a: { task: SMALL, run: 'sleep 0.5; echo "n=1" >> "$ORMEN_OUTPUT"', timeout: "5s" } },
      });
      const late = await start(fleet, {
        name: "late",
        steps: { a: { ...twice([]), run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || sleep 1000', timeout: "5s" } },
      });
      const whole = await start(fleet, { name: "whole", timeout: "5s", steps: { a: long() }, finally: [bye] });
      for (const id of [inTime, late, whole]) {
        await until(fleet, id, "a is on its way", ({ steps }) =>
          steps.a.state !== "pending" && steps.a.state !== "queued");
      }
      await fleet.deck!.end("SIGKILL");
      const overMs = Date.now() + 5_500;
      await eventually("their time is over", () =>
        Date.now() > overMs);
      assert.deepEqual(await live(fleet, inTime), []);
      assert.deepEqual([await live(fleet, late), await live(fleet, whole)], [["a.1"], ["a.1"]]);
      fleet.startDeck();
      await fleet.ready();
      const { state, steps: { a } } = await ended(fleet, inTime);
      assert.deepEqual([state, a.attempts, a.outputs], ["succeeded", 1, { n: "1" }]);
      const retried = await ended(fleet, late);
      assert.deepEqual([retried.state, retried.steps.a.attempts], ["succeeded", 2]);
      const over = await ended(fleet, whole);
      assert.deepEqual([over.state, over.steps.a.state, over.steps.bye.state], ["timedOut", "cancelled", "succeeded"]);
      for (const id of [late, whole]) {
        assert.deepEqual(await live(fleet, id), []);
      }
    }),
);

testWithEngine(
  "onCrash and a queue of runs over a deck's end; a service and a request over a sailor's",
  async (engine) => {
    const asked: string[] = [];
    const held = Promise.withResolvers<void>();
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const attempt = new URL(request.url).pathname;
      asked.push(attempt);
      if (attempt === "/1") await held.promise;
      return new Response("pong");
    });
    await Fleet.use(engine, { join: true }, async (fleet) => {
      await using record = await EngineRecord.start(engine);
      const crash = async (onCrash: string) => {
        const a = { ...twice([]), onCrash, run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || sleep 1000' };
        const id = await start(fleet, { name: onCrash, steps: { a } });
        await until(fleet, id, "a runs", isRunning("a"));
        return id;
      };
      const [retry, fail] = [await crash("retry"), await crash("fail")];
      const one = {
        name: "queued",
        concurrency: { group: "g" },
        steps: { a: { task: SMALL, run: "sleep 0.3" }, b: { task: SMALL, run: "sleep 0.3", needs: ["a"] } },
      };
      const queue = [];
      for (let n = 0; n < 3; n++) queue.push(await start(fleet, one));
      await restartDeck(fleet);
      const again = await ended(fleet, retry);
      assert.deepEqual([again.state, again.steps.a.attempts], ["succeeded", 2]);
      const failed = await ended(fleet, fail);
      assert.deepEqual([failed.state, failed.steps.a.attempts], ["failed", 1]);
      assert.match(failed.steps.a.error!, /the deck ended while it ran/);
      for (const id of [retry, fail]) assert.deepEqual(await live(fleet, id), []);
      let freeNs = 0n;
      for (const id of queue) {
        assert.equal((await ended(fleet, id)).state, "succeeded");
        const events = record.events.filter(({ task }) => task.startsWith(`${id}.`));
        const times = (action: string) =>
          events.filter((event) => event.action === action).map(({ atNs }) => atNs).sort();
        assert.ok(times("create")[0] > freeNs, `${id} had its turn`);
        freeNs = times("die").at(-1)!;
      }

      const health = { exec: ["true"], interval: "200ms" };
      const served = await start(fleet, {
        name: "served",
        steps: {
          db: long({ task: { ...SMALL, cmd: ["sleep", "1000"], health } }),
          use: { task: SMALL, run: "sleep 1", needs: [{ step: "db", condition: "healthy" }] },
          call: {
            http: { url: `http://localhost:${server.addr.port}/\${{ attempt }}` },
            retry: { limit: 1, delay: "0s" },
            outputs: { said: "${{ body }}" },
          },
        },
      });
      await until(fleet, served, "all of it runs", (run) => isRunning("use")(run) && asked.length > 0);
      await restartSailor(fleet);
      held.resolve();
      const { state, steps } = await ended(fleet, served);
      assert.equal(state, "succeeded", JSON.stringify(steps));
      assert.deepEqual([steps.db.attempts, steps.use.attempts, steps.call.attempts], [1, 1, 2]);
      assert.equal(steps.call.outputs.said, "pong");
      assert.deepEqual(asked, ["/1", "/2"], "a request whose answer was lost is one that failed");
      assert.ok(steps.db.finishedAt! >= steps.use.finishedAt!, "it served to the end");
      assert.deepEqual(await live(fleet, served), []);
      assert.deepEqual([record.broken, madeTwice(record.events)], [null, []]);
    });
  },
);

Deno.test("scripts on hosts without Docker run once an attempt, whoever is killed meanwhile", () =>
  Fleet.use(undefined, { join: true, sailorFlags: () => ["--runtime", "process"] }, async (fleet) => {
    const log = `${fleet.dir}/log`;
    const script = (needs: readonly string[]) => ({
      needs,
      env: { LOG: log },
      run:
        'echo "$ORMEN_STEP.$ORMEN_ATTEMPT" >> "$LOG"; sleep 0.7; echo "n=$ORMEN_ATTEMPT" >> "$ORMEN_OUTPUT"; [ "$ORMEN_ATTEMPT" -ge 2 ]',
      retry: { limit: 2, delay: "100ms" },
    });
    const id = await start(fleet, {
      name: "d",
      steps: { a: script([]), b: script(["a"]), c: script(["a"]), d: script(["b", "c"]) },
    });
    for (
      const [step, kill] of [["a", restartSailor], ["b", restartBoth], ["c", restartDeck], [
        "d",
        restartSailor,
      ]] as const
    ) {
      await until(
        fleet,
        id,
        `${step} runs`,
        (run) => run.steps[step].attempts > 0 && run.steps[step].state !== "queued",
      );
      await kill(fleet);
    }
    const { state, steps } = await ended(fleet, id);
    assert.equal(state, "succeeded", JSON.stringify(steps));
    for (const name of ["a", "b", "c", "d"]) {
      assert.deepEqual([steps[name].attempts, steps[name].outputs], [2, { n: "2" }], name);
    }
    const begun = (await Deno.readTextFile(log)).trim().split("\n").sort();
    assert.deepEqual(begun, ["a", "b", "c", "d"].flatMap((name) => [`${name}.1`, `${name}.2`]));
  }));

testWithEngine(
  "a step on a node that is taken out is one that failed, and is tried again elsewhere",
  (engine) =>
    Fleet.use(
      engine,
      { sailors: 2, join: true, deckFlags: ["--heartbeat", "500ms", "--node-timeout", "2s"] },
      async (fleet) => {
        const a = { ...twice([]), run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || sleep 1000' };
        const id = await start(fleet, { name: "moved", steps: { a }, finally: [bye] });
        const { steps: { a: { node } } } = await until(fleet, id, "a runs", isRunning("a"));
        const nodes = (await fleet.http("GET", "/v1/nodes")).body.nodes as { id: string; name: string }[];
        const lost = nodes.find(({ name }) => name === node)!;
        const identities = fleet.sailorPorts.map((_, index) =>
          JSON.parse(Deno.readTextFileSync(`${fleet.dir}/sailor-${index}/identity.json`)).nodeId
        );
        const index = identities.indexOf(lost.id);
        await fleet.sailors[index]!.end("SIGKILL");
        await eventually(
          "its node is down",
          async () => ((await fleet.http("GET", `/v1/nodes/${lost.id}`)).body as { status: string }).status === "down",
        );
        assert.equal((await runOf(fleet, id)).steps.a.attempts, 1, "it waits for its node");
        const { status, text } = await fleet.http("DELETE", `/v1/nodes/${lost.id}`);
        assert.equal(status, 204, text);
        const { state, steps } = await ended(fleet, id);
        assert.deepEqual([state, steps.a.attempts, steps.bye.state], ["succeeded", 2, "succeeded"]);
        fleet.startSailor(index);
        await fleet.ready();
        await eventually("what it left behind is stopped", async () => (await live(fleet, id)).length === 0);
      },
    ),
);
