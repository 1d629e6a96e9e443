import assert from "node:assert/strict";
import type { FakeEngine, FakeScript } from "../../lib/adapters/fake_runtime.ts";
import { createFakeEngine, createFakeRuntime } from "../../lib/adapters/fake_runtime.ts";
import type { RuntimeEvent } from "../../lib/contracts/runtime.ts";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import type { RestartPolicy } from "../../lib/core/documents/task.ts";
import type { VirtualClock } from "../fixtures/virtual_clock.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import type { Behaviour, Subject } from "./runtime.contract.ts";
import { never, plainSpec, runtimeContract, text, withCode } from "./runtime.contract.ts";

const STEP_MS = 10;
const STEPS_MAX = 10_000;

function fakeSubject(): Promise<Subject> {
  const clock = createVirtualClock();
  const engine = createFakeEngine({ clock });
  engine.images.add("none");
  const until: Subject["until"] = async (what, look) => {
    for (let step = 0; step < STEPS_MAX; step++) {
      const seen = await look();
      if (seen) return seen;
      await clock.advance(STEP_MS);
    }
    throw new Error(`not within ${STEPS_MAX} steps: ${what}`);
  };
  return Promise.resolve({
    open: (nodeId = "node") => Promise.resolve(createFakeRuntime({ nodeId, engine, clock })),
    spec(name, behaviour) {
      engine.script(name, scriptOf(behaviour));
      return plainSpec(name);
    },
    until,
    async during(call) {
      let over = false;
      const ended = call.finally(() => over = true);
      ended.catch(() => {});
      await until("the call has ended", () => Promise.resolve(over));
      return await ended;
    },
    close: () => Promise.resolve(),
  });
}

function scriptOf({ lines, code, stubborn }: Behaviour): FakeScript {
  return {
    lines: (lines ?? []).map((text) => ({ afterMs: 0, text })),
    ...(code === undefined ? {} : { exit: { afterMs: 5, code } }),
    ...(stubborn ? { onStop: null } : {}),
    exec: (_command, stdin) => ({ code: 3, output: stdin }),
  };
}

runtimeContract((name, fn) => Deno.test(`fake runtime: ${name}`, fn), fakeSubject, {
  echoCommand: ["echo"],
  files: false,
});

interface Rig {
  readonly clock: VirtualClock;
  readonly engine: FakeEngine;
  readonly runtime: ReturnType<typeof createFakeRuntime>;
}

function test(name: string, fn: (rig: Rig) => Promise<void>): void {
  Deno.test(`fake engine: ${name}`, () => {
    const clock = createVirtualClock();
    const engine = createFakeEngine({ clock });
    engine.images.add("none");
    return fn({ clock, engine, runtime: createFakeRuntime({ nodeId: "node", engine, clock }) });
  });
}

async function run({ runtime }: Rig, name: string, restart: RestartPolicy = { kind: "no" }): Promise<void> {
  await runtime.create({ ...plainSpec(name), restart }, never());
  await runtime.start(name);
}

test("on-failure:2 starts it twice more, waiting longer each time", async (rig) => {
  rig.engine.script("a", { exit: { afterMs: 0, code: 7 } });
  await run(rig, "a", { kind: "onFailure", attemptsMax: 2 });
  const seen: string[] = [];
  for (const ms of [0, 99, 1, 199, 1, 60_000]) {
    await rig.clock.advance(ms);
    const { status, runtimeRestarts, exitCode } = (await rig.runtime.inspect("a"))!;
    seen.push(`${status} ${runtimeRestarts} ${exitCode}`);
  }
  assert.deepEqual(seen, [
    "restarting 0 7",
    "restarting 0 7",
    "restarting 1 7",
    "restarting 1 7",
    "exited 2 7",
    "exited 2 7",
  ]);
});

test("a run of 10 s resets the wait", async (rig) => {
  await run(rig, "a", { kind: "always" });
  for (const afterMs of [0, 0, 0]) {
    rig.engine.exit("a", 1);
    await rig.clock.advance(1_000 + afterMs);
  }
  await rig.clock.advance(10_000);
  rig.engine.exit("a", 1);
  await rig.clock.advance(100);
  assert.equal((await rig.runtime.inspect("a"))!.status, "running");
});

test("what exits with 0 is restarted by unless-stopped, not by on-failure", async (rig) => {
  await run(rig, "a", { kind: "unlessStopped" });
  await run(rig, "b", { kind: "onFailure", attemptsMax: null });
  rig.engine.exit("a", 0);
  rig.engine.exit("b", 0);
  await rig.clock.advance(1_000);
  assert.equal((await rig.runtime.inspect("a"))!.status, "running");
  assert.equal((await rig.runtime.inspect("b"))!.status, "exited");
});

test("killed by somebody it stays down, also while it is restarting", async (rig) => {
  await run(rig, "a", { kind: "always" });
  await run(rig, "b", { kind: "always" });
  rig.engine.kill("a");
  rig.engine.exit("b", 1);
  rig.engine.kill("b");
  await rig.clock.advance(120_000);
  assert.equal((await rig.runtime.inspect("a"))!.exitCode, 137);
  assert.equal((await rig.runtime.inspect("b"))!.status, "exited");
  assert.equal(rig.clock.pending(), 0);
});

test("stop() beats a restarting container", async (rig) => {
  await run(rig, "a", { kind: "always" });
  rig.engine.exit("a", 1);
  assert.equal((await rig.runtime.inspect("a"))!.status, "restarting");
  await rig.runtime.stop("a", 1_000);
  await rig.clock.advance(120_000);
  assert.equal((await rig.runtime.inspect("a"))!.status, "exited");
});

test("an engine that restarts starts anew what its policy says, and not what was stopped", async (rig) => {
  await run(rig, "keeps", { kind: "unlessStopped" });
  await run(rig, "once");
  await run(rig, "stopped", { kind: "always" });
  await rig.runtime.stop("stopped", 0);
  rig.engine.exit("keeps", 1);
  await rig.clock.advance(100);
  rig.engine.away();
  rig.engine.back({ restarted: true });
  const { status, runtimeRestarts } = (await rig.runtime.inspect("keeps"))!;
  assert.deepEqual([status, runtimeRestarts], ["running", 0]);
  assert.equal((await rig.runtime.inspect("once"))!.exitCode, 137);
  assert.equal((await rig.runtime.inspect("stopped"))!.status, "exited");
});

test("while it is away calls throw, containers go on, and events break", async (rig) => {
  await run(rig, "a");
  const abort = new AbortController();
  const events: RuntimeEvent[] = [];
  const reading = (async () => {
    for await (const event of rig.runtime.events(abort.signal)) events.push(event);
  })();
  await rig.clock.settle();
  rig.engine.away();
  for (const call of [() => rig.runtime.list(), () => rig.runtime.info(), () => rig.runtime.stop("a", 0)]) {
    await assert.rejects(call, withCode("unavailable"));
  }
  rig.engine.exit("a", 5);
  rig.engine.back();
  await rig.clock.settle();
  assert.deepEqual(events.map((e) => e.kind), ["back", "lost", "back"]);
  assert.equal((await rig.runtime.inspect("a"))!.exitCode, 5);
  abort.abort();
  await reading;
});

test("events() begun while it is away begin with `back`", async (rig) => {
  rig.engine.away();
  const abort = new AbortController();
  const first = rig.runtime.events(abort.signal)[Symbol.asyncIterator]().next();
  await rig.clock.settle();
  rig.engine.back();
  assert.deepEqual((await first).value, { kind: "back" });
  abort.abort();
});

test("a call that hangs ends when it is given up, released, or the engine goes away", async (rig) => {
  rig.engine.script("a", { create: "hang" });
  const abort = new AbortController();
  const given = rig.runtime.create(plainSpec("a"), abort.signal);
  await rig.clock.settle();
  abort.abort();
  await assert.rejects(given, withCode("failed"));
  const cut = rig.runtime.create(plainSpec("a"), never());
  cut.catch(() => {});
  await rig.clock.settle();
  rig.engine.away();
  await assert.rejects(cut, withCode("unavailable"));
  rig.engine.back();
  const released = rig.runtime.create(plainSpec("a"), never());
  await rig.clock.settle();
  rig.engine.release();
  assert.equal((await released).status, "created");
});

test("a start that fails leaves its words", async (rig) => {
  rig.engine.script("a", { start: new RuntimeError("failed", "no such program") });
  await rig.runtime.create(plainSpec("a"), never());
  await assert.rejects(rig.runtime.start("a"), withCode("failed"));
  assert.equal((await rig.runtime.inspect("a"))!.error, "no such program");
});

test("two that want one host port conflict until the first has ended", async (rig) => {
  const ports = [{ container: 80, host: 8080, hostIp: null, protocol: "tcp" as const }];
  for (const name of ["a", "b"]) await rig.runtime.create({ ...plainSpec(name), ports }, never());
  await rig.runtime.start("a");
  await assert.rejects(rig.runtime.start("b"), withCode("conflict"));
  rig.engine.exit("a", 0);
  await rig.runtime.start("b");
});

test("an image is there after its pull", async (rig) => {
  const spec = { ...plainSpec("a"), image: "web:1" };
  await assert.rejects(rig.runtime.create(spec, never()), withCode("noImage"));
  await assert.rejects(rig.runtime.pull("web:1", never()), withCode("failed"));
  rig.engine.registry.add("web:1");
  await rig.runtime.pull("web:1", never());
  assert.equal(await rig.runtime.hasImage("web:1"), true);
  await rig.runtime.create(spec, never());
});

test("containers outlive the runtime that made them", async (rig) => {
  await run(rig, "a");
  const next = createFakeRuntime({ nodeId: "node", engine: rig.engine, clock: rig.clock });
  assert.deepEqual((await next.list()).map((c) => `${c.name} ${c.status}`), ["a running"]);
  rig.engine.vanish("a");
  assert.equal(await next.inspect("a"), undefined);
});

test("logs() keep to `sinceMs` and put times before lines", async (rig) => {
  rig.engine.script("a", { lines: [{ afterMs: 0, text: "one" }, { afterMs: 1_000, text: "two", stream: "stderr" }] });
  await run(rig, "a");
  await rig.clock.advance(1_000);
  const options = { follow: false, tail: null, sinceMs: rig.clock.wallMs(), timestamps: true };
  const seen = [];
  for await (const chunk of rig.runtime.logs("a", options, never())) seen.push(chunk);
  assert.equal(seen.length, 1);
  assert.equal(seen[0].stream, "stderr");
  assert.equal(new TextDecoder().decode(seen[0].data), `${new Date(rig.clock.wallMs()).toISOString()} two\n`);
});

test("a step does what its script says, in the words of the fake", async (rig) => {
  const script = { text: "print hello\nerror oops\noutput A=1\nsleep 5s\nexit 3", shell: ["sh"] };
  const spec = { ...plainSpec("a"), image: "", script, outputFile: true };
  await rig.runtime.create(spec, never());
  await rig.runtime.start("a");
  await rig.clock.advance(4_999);
  assert.equal((await rig.runtime.inspect("a"))!.status, "running");
  await rig.clock.advance(1);
  assert.equal((await rig.runtime.inspect("a"))!.exitCode, 3);
  assert.deepEqual(await rig.runtime.leavings("a", 4), { output: "A=1\n", answer: null });
  await assert.rejects(rig.runtime.leavings("a", 3), /holds more than/);
  assert.equal(await text(rig.runtime, "a"), "hello\noops\n");
});

test("leavings() are what a test scripts, errors too, and nothing of a task without ORMEN_OUTPUT", async (rig) => {
  rig.engine.script("a", { output: new RuntimeError("failed", "unreadable"), exit: { afterMs: 0, code: 0 } });
  await run(rig, "a");
  await assert.rejects(rig.runtime.leavings("a", 9), /unreadable/);
  rig.engine.script("b", { output: "A=1", answer: { status: 404, headers: {} } });
  await run(rig, "b");
  assert.deepEqual(await rig.runtime.leavings("b", 9), { output: null, answer: { status: 404, headers: {} } });
});
