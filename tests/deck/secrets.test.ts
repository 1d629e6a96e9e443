/** Where values of secrets come in and are taken out: assignments, reports, output. */
import assert from "node:assert/strict";
import { createSecretBox } from "../../lib/adapters/secret_box.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import type { Assignment, AttemptReport } from "../../lib/core/outgoing.ts";
import type { OutputPiece } from "../../lib/deck/api.ts";
import { openSecrets } from "../../lib/deck/secrets.ts";
import { TestWorld } from "../core/support.ts";
import { RecordingLogger } from "./support.ts";

const VALUE = "s3cret-value";

async function rig() {
  const world = new TestWorld();
  const box = createSecretBox(undefined);
  const logger = new RecordingLogger();
  const secrets = await openSecrets({ box, working: world.state, logger });
  const set = async (name: string, value: string) => {
    world.input({ kind: "setSecret", name, sealed: await secrets.seal(name, value) });
  };
  await set("DB", VALUE);
  world.hello("n1", { abilities: ["secrets"] });
  world.submit("web", { secrets: ["DB"] });
  world.submit("plain");
  return { world, box, logger, secrets, set };
}

const assignmentOf = (world: TestWorld, sailId: string, desired: "run" | "stop" = "run"): Assignment => ({
  ...{ attemptId: `${sailId}-1`, sailId, number: 1, desired, graceMs: 0, known: false },
  spec: world.state.specs.get(sailId)!.spec,
});

function reportOf(sailId: string): AttemptReport {
  const text = `a ${VALUE} b`;
  return {
    ...{ attemptId: `${sailId}-1`, sailId, number: 1, revision: 1, state: "failed", cause: "exited" },
    observed: { ...NOTHING_OBSERVED, message: text, healthOutput: text, outputTail: text },
    result: {
      ...{ stdout: text, stderr: text, truncated: false, output: `KEY=${VALUE}`, problem: text },
      answer: { status: 200, headers: { cookie: text } },
    },
  };
}

async function shown(pieces: AsyncIterable<OutputPiece>): Promise<string[]> {
  const texts = new Map<string, string>();
  for await (const { stream, data } of pieces) {
    texts.set(stream, (texts.get(stream) ?? "") + new TextDecoder().decode(data));
  }
  return [...texts].map(([stream, text]) => `${stream} ${text}`).sort();
}

async function* cut(...pieces: [OutputPiece["stream"], string][]): AsyncGenerator<OutputPiece> {
  for (const [stream, text] of pieces) yield await Promise.resolve({ stream, data: new TextEncoder().encode(text) });
}

Deno.test("a value goes with the assignment of a task that names it, and with nothing else", async () => {
  const { world, secrets } = await rig();
  assert.deepEqual(secrets.fill(assignmentOf(world, "web")).secrets, { DB: VALUE });
  assert.equal(secrets.fill(assignmentOf(world, "web", "stop")).secrets, undefined);
  assert.equal(secrets.fill(assignmentOf(world, "plain")).secrets, undefined);
  assert.ok(!JSON.stringify([...world.state.snapshot()]).includes(VALUE), "no record has it");
});

Deno.test("what a sailor tells of such a task is masked everywhere, of others nowhere", async () => {
  const { secrets } = await rig();
  const [web, plain] = secrets.hideInReports([reportOf("web"), reportOf("plain")]);
  assert.ok(!JSON.stringify(web).includes(VALUE), JSON.stringify(web));
  assert.deepEqual([web.observed.outputTail, web.result!.output], ["a *** b", "KEY=***"]);
  assert.deepEqual(plain, reportOf("plain"));
});

Deno.test("output is masked stream by stream, also where a value is cut in two", async () => {
  const { secrets } = await rig();
  const pieces = () => cut(["stdout", "x s3cret-"], ["stderr", "y s3c"], ["stdout", "value z"], ["stderr", "ond"]);
  assert.deepEqual(await shown(secrets.hideInOutput("web", pieces())), ["stderr y s3cond", "stdout x *** z"]);
  assert.deepEqual(await shown(secrets.hideInOutput("plain", pieces())), [
    "stderr y s3cond",
    "stdout x s3cret-value z",
  ]);
});

Deno.test("a new value is handed out from then on, and the one before stays hidden", async () => {
  const { world, secrets, set } = await rig();
  await set("DB", "another-value");
  assert.deepEqual(secrets.fill(assignmentOf(world, "web")).secrets, { DB: "another-value" });
  const both = cut(["stdout", `${VALUE} another-value`]);
  assert.deepEqual(await shown(secrets.hideInOutput("web", both)), ["stdout *** ***"]);
});

Deno.test("a deck that starts opens what it has; what another key sealed is told, and handed to nobody", async () => {
  const { world, box } = await rig();
  const again = await openSecrets({ box, working: world.state, logger: new RecordingLogger() });
  assert.deepEqual(again.fill(assignmentOf(world, "web")).secrets, { DB: VALUE });
  const logger = new RecordingLogger();
  const strange = await openSecrets({ box: createSecretBox(undefined), working: world.state, logger });
  assert.deepEqual(logger.errors, ["a secret cannot be opened"]);
  assert.deepEqual(strange.fill(assignmentOf(world, "web")).secrets, {});
  const without = await openSecrets({ box: undefined, working: world.state, logger });
  await assert.rejects(without.seal("X", "value"), /keeps no secrets/);
});
