/** 500 steps in a chain of fans: each runs once, after what it needs. */
import assert from "node:assert/strict";
import type { RunView } from "../../lib/messages/run_api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { Fleet } from "./support.ts";

const STAGES = 20;
const WIDTH = 24;

function document(): Record<string, unknown> {
  const steps: Record<string, unknown> = {};
  const script = { run: 'echo "at=$ORMEN_STEP" >> "$ORMEN_OUTPUT"' };
  for (let stage = 0; stage < STAGES; stage++) {
    const fan = Array.from({ length: WIDTH }, (_, i) => `s${stage - 1}-${i}`);
    steps[`s${stage}`] = { ...script, ...(stage === 0 ? {} : { needs: fan }) };
    for (let i = 0; i < WIDTH; i++) steps[`s${stage}-${i}`] = { ...script, needs: [`s${stage}`] };
  }
  return { name: "large", steps };
}

Deno.test("a run of 500 steps, 20 fans of 24 one after the other, over a deck that is killed halfway", () =>
  Fleet.use(undefined, { join: true, sailorFlags: () => ["--runtime", "process"] }, async (fleet) => {
    const { status, body } = await fleet.http("POST", "/v1/runs", { workflow: document() });
    assert.equal(status, 201, JSON.stringify(body));
    const { id } = body as RunView;
    const look = async () => (await fleet.http("GET", `/v1/runs/${id}`)).body as RunView;
    const done = ({ steps }: RunView) => Object.values(steps).filter(({ state }) => state === "succeeded").length;
    await eventually("half of it is done", async () => done(await look()) > STAGES * WIDTH / 2, 120_000);
    await fleet.deck!.end("SIGKILL");
    fleet.startDeck();
    await fleet.ready();
    const run = await eventually("it has ended", async () => {
      const now = await look();
      return now.finishedAt !== null && now;
    }, 120_000);
    assert.equal(run.state, "succeeded", run.why ?? "");
    assert.equal(Object.keys(run.steps).length, STAGES * (WIDTH + 1));
    for (const [name, { attempts, outputs, startedAt }] of Object.entries(run.steps)) {
      assert.deepEqual([attempts, outputs], [1, { at: name }], name);
      const [stage, instance] = name.slice(1).split("-").map(Number);
      const before = instance === undefined
        ? Array.from({ length: stage === 0 ? 0 : WIDTH }, (_, i) => `s${stage - 1}-${i}`)
        : [`s${stage}`];
      for (const need of before) assert.ok(run.steps[need].finishedAt! <= startedAt!, `${need} before ${name}`);
    }
    const tasks = new Set((await fleet.tasks()).map((task) => task.id));
    assert.equal(tasks.size, STAGES * (WIDTH + 1));
  }));
