/** Watching a run: looks when something happens, goes on over a deck that restarts, and leaves nothing behind. */
import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import type { RunView } from "../../lib/client/mod.ts";
import { runView } from "../http/records.ts";
import { all, eventStream, problem, scriptedDeck } from "./scripted_deck.ts";
import type { ScriptedDeck } from "./scripted_deck.ts";

const ID = "deploy-7f3a";
const step = (id: number) => ({ id, kind: "stepSucceeded", runId: ID });

/** A deck whose run is in the state that the number of looks says; the last one stays. */
function deckWith(states: readonly (RunView["state"] | 503)[], onEvents: () => Response): ScriptedDeck {
  let looks = 0;
  return scriptedDeck(({ path }) => {
    if (path.startsWith("/v1/events")) return onEvents();
    const state = states[Math.min(looks++, states.length - 1)];
    return state === 503 ? problem(503, "unavailable", "starting") : Response.json(runView({ state }));
  });
}

Deno.test("watchRun() looks once the stream stands, and ends with the run", async () => {
  await using deck = deckWith(["running", "waiting", "succeeded"], () => eventStream(step(1)));
  const states = (await all(connect(deck.address).watchRun("deploy", { everyMs: 1 }))).map((run) => run.state);
  assert.deepEqual(states, ["running", "waiting", "succeeded"]);
  const events = deck.lines().filter((line) => line.includes("/v1/events"));
  assert.equal(events[0], `GET /v1/events?run=${ID}`, "of this run only");
  assert.deepEqual(deck.lines().filter((line) => line.includes("/v1/runs"))[1], `GET /v1/runs/${ID}`);
});

Deno.test("watchRun() of a run that has ended asks once", async () => {
  await using deck = deckWith(["failed"], () => eventStream());
  assert.deepEqual((await all(connect(deck.address).watchRun("deploy"))).map((run) => run.state), ["failed"]);
  assert.deepEqual(deck.lines(), ["GET /v1/runs/deploy"]);
});

Deno.test("watchRun() goes on when the deck is away for a while, and says so", async () => {
  await using deck = deckWith(["running", 503, 503, "succeeded"], () => eventStream(step(1)));
  const away: unknown[] = [];
  const watch = connect(deck.address).watchRun("deploy", { everyMs: 1, onAway: (error) => away.push(error) });
  assert.deepEqual((await all(watch)).map((run) => run.state), ["running", "succeeded"]);
  assert.equal(away.length, 2);
});

Deno.test("watchRun() fails when the run is gone, and when the deck stays away", async () => {
  let looks = 0;
  await using gone = scriptedDeck(({ path }) => {
    if (path.startsWith("/v1/events")) return eventStream(step(1));
    return looks++ === 0 ? Response.json(runView()) : problem(404, "notFound", "there is no run");
  });
  await assert.rejects(all(connect(gone.address).watchRun("deploy")), /there is no run/);
  await using away = deckWith(["running", 503], () => problem(503, "unavailable", "the store refuses"));
  await assert.rejects(all(connect(away.address).watchRun("deploy", { patienceMs: 0 })), /the store refuses/);
});

Deno.test("watchRun() ends when its signal is aborted, also in the middle of waiting", async () => {
  const controller = new AbortController();
  await using deck = deckWith(["running"], () => {
    const body = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode("retry: 1000\n\n")) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const states: string[] = [];
  for await (const run of connect(deck.address).watchRun("deploy", { signal: controller.signal, everyMs: 1 })) {
    states.push(run.state);
    if (states.length === 2) controller.abort();
  }
  assert.deepEqual(states, ["running", "running"]);
});
