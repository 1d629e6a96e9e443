/** /v1/services and /v1/rollouts in front of a whole deck: what is answered, refused and left behind, and the address stream. */
import assert from "node:assert/strict";
import { DeckWorld, NODE_ID } from "../fuzz/deck_world.ts";
import { postJson } from "./support.ts";

const SERVICE = {
  name: "web",
  replicas: 2,
  task: { image: "web:1", ports: [80] },
  update: { minHealthyTime: "1s", monitor: "0s", shutdownDelay: "0s" },
};
const INFO = { remoteAddr: { hostname: "127.0.0.1" } };

// deno-lint-ignore no-explicit-any
type Body = Record<string, any>;
type Ask = (path: string, init?: RequestInit) => Promise<{ status: number; body: Body }>;

async function withDeck(test: (world: DeckWorld, ask: Ask) => Promise<void>): Promise<void> {
  const world = await DeckWorld.start();
  world.sailor.send({ kind: "leaving", reason: "to come back with what it can" });
  world.sailor.pair.near.close("to come back with what it can");
  await world.clock.settle();
  const sailor = new (world.sailor.constructor as new (id: string) => typeof world.sailor)(NODE_ID);
  Object.assign(world, { sailor });
  world.deck.api.acceptSession(sailor.link, "10.0.0.9");
  sailor.hello({ name: "node-a", address: "10.0.0.9:5556", abilities: ["steps", "http", "services"] });
  await world.clock.settle();
  try {
    await test(world, async (path, init) => {
      const request = new Request(`http://localhost:5555${path}`, init);
      const response = await world.settled(path, Promise.resolve(world.app.fetch(request, INFO)));
      const text = await response.text();
      return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
    });
  } finally {
    await world.end();
  }
}

/** Every replica that is to run is healthy. */
async function bloom(world: DeckWorld): Promise<void> {
  let port = 32_000;
  for (const { slots } of [world.deck.api.findService("web")!]) {
    for (const { taskId, state } of slots) {
      port++;
      if (state === "pending" || state === "stopping") continue;
      world.sailor.report(`${taskId}-1`, "running", {
        revision: 2,
        observed: {
          settled: true,
          health: "healthy",
          startedMs: 1,
          ports: [{ container: 80, protocol: "tcp", hostIp: "0.0.0.0", host: port }],
        },
      });
    }
  }
  await world.clock.settle();
}

Deno.test("apply makes it, the same again changes nothing, scale and plan say what they do", () =>
  withDeck(async (world, ask) => {
    const made = await ask("/v1/services", postJson(SERVICE));
    assert.deepEqual([made.status, made.body.change, made.body.rollout], [201, "created", 1]);
    assert.deepEqual(made.body.service.slots.map(({ name }: Body) => name), ["web.0@1", "web.1@1"]);
    const again = await ask("/v1/services", postJson(SERVICE));
    assert.deepEqual([again.status, again.body.change], [200, "unchanged"]);
    const plan = await ask("/v1/services/plan", postJson({ ...SERVICE, task: { ...SERVICE.task, image: "web:2" } }));
    assert.deepEqual([plan.body.change, plan.body.from, plan.body.to], ["updated", 1, 2]);
    assert.deepEqual(plan.body.differences, [{ key: "task.image", from: "web:1", to: "web:2" }]);
    await bloom(world);
    assert.equal((await ask("/v1/services/web")).body.state, "healthy");
    assert.deepEqual((await ask("/v1/services")).body.services[0].replicas, { desired: 2, running: 2, healthy: 2 });
    const scaled = await ask("/v1/services/web/scale", postJson({ replicas: 3 }));
    assert.deepEqual([scaled.body.change, scaled.body.rollout, scaled.body.service.slots.length], ["scaled", null, 3]);
    // What it shows is what apply takes.
    const shown = (await ask("/v1/services/web")).body.document;
    assert.equal((await ask("/v1/services", postJson(shown))).body.change, "unchanged");
  }));

Deno.test("a rollout is told, steered, and kept in the history", () =>
  withDeck(async (world, ask) => {
    await ask("/v1/services", postJson(SERVICE));
    await bloom(world);
    assert.equal((await ask("/v1/services/web/rollouts/latest")).body.state, "succeeded");
    const next = { ...SERVICE, task: { ...SERVICE.task, image: "web:2" } };
    assert.equal((await ask("/v1/services", postJson(next))).body.rollout, 2);
    assert.equal((await ask("/v1/services/web/rollouts/latest/pause", postJson({}))).body.state, "paused");
    assert.equal((await ask("/v1/services/web")).body.state, "paused");
    const early = await ask("/v1/services/web/rollouts/latest/promote", postJson({}));
    assert.deepEqual([early.status, early.body.code], [409, "conflict"]);
    assert.equal((await ask("/v1/services/web/rollouts/latest/resume", postJson({}))).body.state, "running");
    const reverting = await ask("/v1/services/web/rollouts/latest/abort", postJson({}));
    assert.deepEqual([reverting.body.number, reverting.body.cause, reverting.body.to], [3, "revert", 1]);
    const { revisions, rollouts } = (await ask("/v1/services/web/history")).body;
    assert.deepEqual(revisions.map((each: Body) => [each.revision, each.stable]), [[2, false], [1, true]]);
    assert.deepEqual(rollouts.map(({ number }: Body) => number), [3, 2, 1]);
    assert.equal((await ask("/v1/services/web/rollouts/2")).body.revertedBy, 3);
    assert.deepEqual((await ask("/v1/rollouts")).body.rollouts.map(({ number }: Body) => number), [3]);
    assert.equal((await ask("/v1/rollouts?service=web")).body.rollouts.length, 3);
  }));

Deno.test("what is refused leaves nothing behind, and says where and why", () =>
  withDeck(async (world, ask) => {
    await ask("/v1/services", postJson(SERVICE));
    const before = world.records();
    const pointer = async (document: unknown) => {
      const { status, body } = await ask("/v1/services", postJson(document));
      return `${status} ${body.errors?.map((each: Body) => each.pointer).join(" ") ?? body.detail}`;
    };
    assert.equal(await pointer({ ...SERVICE, replica: 3 }), "422 /replica");
    assert.equal(await pointer({ ...SERVICE, task: { imag: "a" } }), "422 /task/imag /task/image");
    assert.equal(await pointer({ ...SERVICE, update: { minHealthyTime: "10m" } }), "422 /update/minHealthyTime");
    assert.equal(
      await pointer({ ...SERVICE, update: { order: "stop-first", maxUnavailable: 0 } }),
      "422 /update/maxUnavailable",
    );
    assert.match(await pointer({ ...SERVICE, task: { image: "a", secrets: ["NOBODY"] } }), /^409 .*NOBODY/);
    assert.match(await pointer({ ...SERVICE, mode: "global", replicas: undefined }), /^409 .*is replicated/);
    const missing = await ask("/v1/services/wbe");
    assert.deepEqual([missing.status, missing.body.detail], [404, 'there is no service "wbe"; did you mean "web"?']);
    assert.equal((await ask("/v1/services/web/scale", postJson({ replicas: -1 }))).status, 422);
    assert.equal((await ask("/v1/services/web/rollback", postJson({ to: 9 }))).status, 404);
    assert.equal((await ask("/v1/services/web/rollouts/9")).status, 404);
    assert.equal(world.records(), before);
  }));

Deno.test("addresses: a list, and a stream that tells the whole list at each change and ends with the service", () =>
  withDeck(async (world, ask) => {
    await ask("/v1/services", postJson(SERVICE));
    const request = new Request("http://localhost:5555/v1/services/web/addresses", {
      headers: { accept: "text/event-stream" },
    });
    const response = await world.app.fetch(request, INFO);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const next = async () => (await world.settled("the stream", reader.read())).value;
    assert.equal(await next(), 'event: addresses\ndata: {"service":"web","addresses":[]}\n\n');
    await bloom(world);
    const listed = (await ask("/v1/services/web/addresses")).body.addresses.map(({ address }: Body) => address);
    assert.deepEqual(listed, ["10.0.0.9:32001", "10.0.0.9:32002"]);
    const told = await next();
    assert.deepEqual(JSON.parse(told!.split("data: ")[1]).addresses.map(({ address }: Body) => address), listed);
    assert.equal((await ask("/v1/services/web", { method: "DELETE" })).status, 202);
    assert.match((await next())!, /"addresses":\[\]/);
    for (const { taskId } of world.deck.api.findService("web")!.slots) {
      world.sailor.report(`${taskId}-1`, "stopped", { revision: 3, cause: "stopped" });
    }
    await world.clock.settle();
    assert.equal(await next(), "event: gone\ndata: {}\n\n");
    assert.equal((await world.settled("the end", reader.read())).done, true);
    assert.equal((await ask("/v1/services/web")).status, 404);
  }));
