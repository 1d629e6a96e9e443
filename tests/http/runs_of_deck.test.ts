/** /v1/workflows and /v1/runs in front of a whole deck: what a refusal leaves behind, keys, approvals and events. */
import assert from "node:assert/strict";
import { DeckWorld } from "../fuzz/deck_world.ts";
import { postJson } from "./support.ts";

const WORKFLOW = {
  name: "deploy",
  params: { n: { type: "number", required: true } },
  steps: {
    ask: { approval: { prompt: "n is ${{ params.n }}", inputs: { ticket: { required: true } } } },
    go: { needs: ["ask"], sleep: "1s" },
  },
};

async function withDeck(
  test: (
    world: DeckWorld,
    ask: (path: string, init?: RequestInit) => Promise<{ status: number; body: Body }>,
  ) => Promise<void>,
): Promise<void> {
  const world = await DeckWorld.start();
  const info = { remoteAddr: { hostname: "127.0.0.1" } };
  try {
    await test(world, async (path, init) => {
      const request = new Request(`http://localhost:5555${path}`, init);
      const response = await world.settled(path, Promise.resolve(world.app.fetch(request, info)));
      const text = await response.text();
      return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
    });
  } finally {
    await world.end();
  }
}

// deno-lint-ignore no-explicit-any
type Body = Record<string, any>;

Deno.test("a run that is refused leaves nothing behind", () =>
  withDeck(async (world, ask) => {
    const before = world.records();
    const refused = async (body: unknown) => {
      const { status, body: problem } = await ask("/v1/runs", postJson(body));
      return `${status} ${problem.errors?.[0].pointer ?? problem.detail}`;
    };
    assert.equal(await refused({ workflow: WORKFLOW }), "422 /params/n");
    assert.equal(await refused({ workflow: WORKFLOW, params: { n: "many" } }), "422 /params/n");
    assert.equal(await refused({ workflow: WORKFLOW, params: { n: 1, m: 1 } }), "422 /params/m");
    assert.equal(
      await refused({ workflow: WORKFLOW, params: { n: 1 }, only: "gone" }),
      "404 workflow deploy has no step gone",
    );
    assert.equal(
      await refused({ workflow: { ...WORKFLOW, steps: { a: { neds: [] } } } }),
      "422 /workflow/steps/a/neds",
    );
    assert.equal(await refused({ workflow: "deploy" }), '404 there is no workflow "deploy"');
    assert.equal(world.records(), before);
  }));

Deno.test("the same key again is the same run, and another run under it is refused", () =>
  withDeck(async (_world, ask) => {
    const start = (n: number) =>
      ask("/v1/runs", postJson({ workflow: WORKFLOW, params: { n } }, { "idempotency-key": "k1" }));
    const first = await start(1);
    assert.equal(first.status, 201);
    assert.equal((await start(1)).body.id, first.body.id);
    assert.equal((await start(2)).status, 409);
    assert.equal((await ask("/v1/runs")).body.runs.length, 1);
  }));

Deno.test("a registered workflow runs by its name, waits for approval, and its events are told apart", () =>
  withDeck(async (world, ask) => {
    const put = { ...postJson({ workflow: WORKFLOW }), method: "PUT" };
    assert.deepEqual(
      [(await ask("/v1/workflows/deploy", put)).status, (await ask("/v1/workflows/deploy", put)).status],
      [
        201,
        200,
      ],
    );
    const { body: run } = await ask("/v1/runs", postJson({ workflow: "deploy", params: { n: "3" } }));
    await ask("/v1/runs", postJson({ workflow: "deploy", params: { n: 4 } }));
    assert.equal((await ask(`/v1/runs/${run.id}`)).body.steps.ask.prompt, "n is 3");
    const at = `/v1/runs/${run.id}/steps/ask/approve`;
    const missing = await ask(at, postJson({}));
    assert.deepEqual([missing.status, missing.body.errors[0].pointer], [422, "/inputs/ticket"]);
    assert.equal((await ask(at, postJson({ inputs: { ticket: "T-1" } }))).status, 200);
    await world.clock.advance(2_000);
    assert.equal((await ask(`/v1/runs/${run.id}`)).body.state, "succeeded");
    const { events } = (await ask(`/v1/events?run=${run.id}`)).body;
    assert(events.length > 3 && events.every((event: Body) => event.runId === run.id));
    assert.deepEqual([events[0].kind, events.at(-1)!.kind], ["runAccepted", "runSucceeded"]);
    assert.equal((await ask("/v1/runs/deploy")).body.state, "waiting", "the newest by the workflow's name");
    assert.equal((await ask("/v1/workflows/deploy", { method: "DELETE" })).status, 204);
    assert.equal((await ask("/v1/runs?workflow=deploy")).body.runs.length, 2, "its runs are kept");
  }));
