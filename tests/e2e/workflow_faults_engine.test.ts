/** Runs over an Engine that dies under them: what ran there is an attempt that failed, and what was cancelled stays down. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { EngineRecord } from "./engine_record.ts";
import { testWithOwnEngine } from "./own_engine.ts";
import { Fleet } from "./support.ts";
import { containersOf, ended, live, long, restartBoth, SMALL, start, twice, until } from "./workflow_runs.ts";

testWithOwnEngine(
  "an Engine that is killed under runs; while it is away one is cancelled and the deck is killed",
  (own) =>
    Fleet.use(own.engine, { join: true }, async (fleet) => {
      const bye = { id: "bye", task: SMALL, run: "true" };
      const again = await start(fleet, {
        name: "again",
        steps: {
          a: { ...twice([]), run: '[ "$ORMEN_ATTEMPT" -ge 2 ] || sleep 1000' },
          b: { ...twice(["a"]), run: 'echo "n=$ORMEN_ATTEMPT" >> "$ORMEN_OUTPUT"' },
        },
        finally: [bye],
      });
      const cancelled = await start(fleet, { name: "cancelled", steps: { a: long() }, finally: [bye] });
      for (const id of [again, cancelled]) {
        await until(fleet, id, "a runs", ({ steps }) => steps.a.state === "running");
      }
      await own.away("SIGKILL", async () => {
        const { status, text } = await fleet.http("POST", `/v1/runs/${cancelled}/cancel`);
        assert.equal(status, 200, text);
        await fleet.deck!.end("SIGKILL");
        fleet.startDeck();
        await eventually("the deck answers", async () => (await fleet.http("GET", "/readyz")).status === 200);
      });
      await using record = await EngineRecord.start(own.engine);
      await fleet.ready();
      const { state, steps } = await ended(fleet, again);
      assert.deepEqual([state, steps.a.attempts, steps.b.attempts], ["succeeded", 2, 1], JSON.stringify(steps));
      assert.deepEqual(steps.b.outputs, { n: "1", attempt: 1 });
      const gone = await ended(fleet, cancelled);
      assert.deepEqual([gone.state, gone.steps.a.state, gone.steps.bye.state], ["cancelled", "cancelled", "succeeded"]);
      await restartBoth(fleet);
      for (const id of [again, cancelled]) assert.deepEqual(await live(fleet, id), []);
      for (const [task, count] of await containersOf(fleet, again)) assert.equal(count, 1, task);
      assert.equal(record.broken, null);
      const begunAgain = record.events.filter(({ action, task }) => action === "start" && task === `${cancelled}.a.1`);
      assert.deepEqual(begunAgain, [], "what was cancelled did not come back");
    }),
);
