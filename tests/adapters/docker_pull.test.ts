import assert from "node:assert/strict";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { eventually } from "../fixtures/eventually.ts";
import type { Exchange, ScriptedEngine } from "../fixtures/scripted_engine.ts";
import { scriptedEngine } from "../fixtures/scripted_engine.ts";

const never = () => new AbortController().signal;
const open = ({ host }: ScriptedEngine) => createDockerRuntime({ host, nodeId: "node", clock: createSystemClock() });

Deno.test("pull() of one image by several is one pull; who gives up does not end it for the others", async () => {
  const gate = Promise.withResolvers<void>();
  await using engine = await scriptedEngine(async (exchange) => {
    await exchange.begin();
    await gate.promise;
    await exchange.send(`{"status":"done"}\n`);
    await exchange.end();
  });
  const runtime = open(engine);
  const abort = new AbortController();
  const first = runtime.pull("web:1", abort.signal);
  const second = runtime.pull("web:1", never());
  await eventually("it was asked", () => engine.asked.length > 0);
  abort.abort();
  await assert.rejects(first, /given up/);
  gate.resolve();
  await second;
  assert.deepEqual(engine.asked, ["POST /images/create"]);
});

Deno.test("pull() that the last one gives up hangs up, and the next is a new one", async () => {
  const hungUp = Promise.withResolvers<void>();
  let pulls = 0;
  await using engine = await scriptedEngine(async (exchange) => {
    await exchange.begin();
    if (++pulls === 2) return await exchange.end();
    await exchange.left;
    hungUp.resolve();
  });
  const runtime = open(engine);
  const abort = new AbortController();
  const pull = runtime.pull("web:1", abort.signal);
  await eventually("it was asked", () => pulls === 1);
  abort.abort();
  await assert.rejects(pull, /given up/);
  await runtime.pull("web:1", never());
  await hungUp.promise;
});

const REFERENCES: readonly (readonly [string, string, string])[] = [
  ["web", "web", "latest"],
  ["registry:5000/a/web:2", "registry:5000/a/web", "2"],
  ["web@sha256:abc", "web", "sha256:abc"],
];
for (const [reference, image, tag] of REFERENCES) {
  Deno.test(`pull() asks for ${reference} as ${image} and ${tag}, never for all tags`, async () => {
    let asked: URLSearchParams | undefined;
    await using engine = await scriptedEngine(async (exchange) => {
      asked = exchange.url.searchParams;
      await exchange.begin();
      await exchange.end();
    });
    await open(engine).pull(reference, never());
    assert.deepEqual([asked!.get("fromImage"), asked!.get("tag")], [image, tag]);
  });
}

const FAILURES: readonly (readonly [string, (exchange: Exchange) => Promise<void>, string, RegExp])[] = [
  [
    "an error within its progress",
    async (exchange) => {
      await exchange.begin();
      await exchange.send(`{"status":"pulling"}\n{"error":"manifest unknown"}\n`);
      await exchange.end();
    },
    "failed",
    /^cannot pull web:1: manifest unknown$/,
  ],
  ["a refusal", (exchange) => exchange.json({ message: "pull access denied" }, 404), "failed", /pull access denied/],
];
for (const [name, answer, code, message] of FAILURES) {
  Deno.test(`pull() with ${name} tells the registry's words`, async () => {
    await using engine = await scriptedEngine(answer);
    await assert.rejects(open(engine).pull("web:1", never()), { code, message });
  });
}

Deno.test("pull() that breaks off halfway has not succeeded", async () => {
  await using engine = await scriptedEngine(async (exchange) => {
    await exchange.begin();
    await exchange.send(`{"status":"pulling"}\n`);
    exchange.cut();
  });
  await assert.rejects(open(engine).pull("web:1", never()));
});
