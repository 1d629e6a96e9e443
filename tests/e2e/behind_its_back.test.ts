/** What others do to containers and processes that are Ormen's: killed and removed containers, a sailor that stands still. */
import assert from "node:assert/strict";
import type { NodeView } from "../../lib/messages/api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { EngineRecord, madeTwice, overlaps } from "./engine_record.ts";
import { resourcesAreBack, resourcesOf } from "./resources.ts";
import { Fleet } from "./support.ts";

const forever = { image, cmd: ["sleep", "1000"], cpu: 0.03, memory: "6MiB" };

/** After `docker kill` and after `docker rm -f`: where the task is, by which attempt, and how its last one ended. */
interface Case {
  readonly name: string;
  readonly document: Record<string, unknown>;
  readonly killed: readonly [state: string, attempts: number];
  readonly removed: readonly [state: string, attempts: number];
}

const CASES: readonly Case[] = [
  // A kill is an end with 137 like any other: the policy says what follows. The Engine lets what it was told to kill lie.
  { name: "no", document: { restart: "no" }, killed: ["failed", 1], removed: ["running", 2] },
  { name: "on-failure", document: { restart: "on-failure:3" }, killed: ["running", 1], removed: ["running", 2] },
  { name: "always", document: { restart: "always" }, killed: ["running", 1], removed: ["running", 2] },
  { name: "unless-stopped", document: { restart: "unless-stopped" }, killed: ["running", 1], removed: ["running", 2] },
  // A container that is gone counts as a lost node does: `false` is the only one that lets it be.
  { name: "stays", document: { reschedule: false }, killed: ["failed", 1], removed: ["failed", 1] },
];

testWithEngine(
  "docker kill and docker rm -f behind its back: restarted in place or made anew, as the policy says, and never twice",
  (engine) =>
    Fleet.use(engine, { sailors: 2 }, async (fleet) => {
      await using record = await EngineRecord.start(engine);
      const fresh = resourcesOf(fleet);
      const ids = new Set<string>();
      for (const verb of ["killed", "removed"] as const) {
        for (const { name, document } of CASES) {
          ids.add((await fleet.submit({ ...forever, ...document, name: `${name}-${verb}` })).id);
        }
      }
      const containers = new Map<string, string>();
      for (
        const { name, attempt } of await Promise.all((await fleet.tasks()).map((t) => fleet.until(t.name, "running")))
      ) {
        containers.set(name, attempt!.containerId!);
      }
      await Promise.all([...containers].map(([name, id]) => {
        const container = engine.docker.getContainer(id);
        return name.endsWith("-killed") ? container.kill() : container.remove({ force: true });
      }));
      for (const { name, killed, removed } of CASES) {
        await eventually(`${name} after a kill`, async () => {
          const { state, attempts, attempt } = await fleet.task(`${name}-killed`);
          assert.deepEqual([state, attempts, attempt!.containerId], [...killed, containers.get(`${name}-killed`)]);
          assert.equal(attempt!.restarts, state === "running" ? 1 : 0);
          if (state === "failed") assert.deepEqual([attempt!.exitCode, attempt!.oomKilled], [137, false]);
          return true;
        }, 60_000);
        await eventually(`${name} after its removal`, async () => {
          const { state, attempts, history } = await fleet.task(`${name}-removed`);
          assert.deepEqual([state, attempts, history[0].state], [...removed, "lost"]);
          return true;
        }, 60_000);
      }
      const running = (await fleet.tasks()).filter((task) => task.state === "running");
      assert.deepEqual(
        (await fleet.containers(false)).map((container) => container.attempt).sort(),
        running.map((task) => task.attempt!.id).sort(),
      );
      const own = record.events.filter((event) => ids.has(event.task));
      assert.deepEqual([record.broken, overlaps(own), madeTwice(own)], [null, [], []]);
      await fleet.ok("stop", ...running.map((task) => task.id), "--wait");
      assert.deepEqual(await fleet.containers(false), []);
      await resourcesAreBack(fleet, fresh);
    }),
);

testWithEngine(
  "a sailor that stands still for longer than the node timeout: replaced elsewhere, stale attempts stopped, ready again",
  (engine) =>
    Fleet.use(
      engine,
      { sailors: 3, deckFlags: ["-s", "spread", "--heartbeat", "300ms", "--node-timeout", "1500ms"] },
      async (fleet) => {
        await using record = await EngineRecord.start(engine);
        const fresh = resourcesOf(fleet);
        const names = Array.from({ length: 9 }, (_, i) => `t${i}`);
        for (const name of names) await fleet.submit({ ...forever, name, restart: "always" });
        const frozen = `localhost:${fleet.sailorPorts[0]}`;
        const there = { ...forever, constraints: [`node.name == ${frozen}`] };
        await fleet.submit({ ...there, name: "stays", reschedule: false });
        await fleet.submit({ ...there, name: "doomed" });
        const before = await Promise.all([...names, "stays", "doomed"].map((name) => fleet.until(name, "running")));
        const moving = before.filter((task) => task.attempt!.node === frozen && task.name.startsWith("t"));
        assert.ok(moving.length > 0);
        const status = async () =>
          (await fleet.json<{ nodes: NodeView[] }>("mast")).nodes.find((node) => node.name === frozen)!.status;
        Deno.kill(fleet.sailors[0]!.pid, "SIGSTOP");
        try {
          await eventually("the node is down", async () => await status() === "down", 60_000);
          for (const { name, id } of moving) {
            await eventually(`${name} runs elsewhere`, async () => {
              const { state, attempts, attempt } = await fleet.task(name);
              return state === "running" && attempts === 2 && attempt!.node !== frozen;
            }, 60_000);
            const own = (await fleet.containers(false)).filter((container) => container.task === id);
            assert.equal(own.length, 2, "nobody could stop the old one yet");
          }
          assert.equal((await fleet.task("stays")).state, "unknown");
          await fleet.ok("stop", "doomed");
        } finally {
          Deno.kill(fleet.sailors[0]!.pid, "SIGCONT");
        }
        await eventually("the node is ready again", async () => await status() === "ready", 60_000);
        await fleet.until("doomed", "stopped", 60_000);
        await fleet.until("stays", "running");
        await eventually("each task runs in the one container that the deck knows", async () => {
          const told = (await fleet.tasks()).filter((task) => task.state === "running").map((task) => task.attempt!.id);
          const running = (await fleet.containers(false)).map((container) => container.attempt);
          return told.length === names.length + 1 && JSON.stringify(told.sort()) === JSON.stringify(running.sort());
        }, 60_000);
        for (const task of before) {
          const after = await fleet.task(task.name);
          assert.equal(after.attempts, moving.includes(task) ? 2 : 1, task.name);
          if (!moving.includes(task)) assert.equal(after.attempt!.containerId, task.attempt!.containerId, task.name);
        }
        // Two at once is what a silent node costs, and only of its own tasks.
        const replaced = new Set(moving.map((task) => task.id));
        const ids = new Set(before.map((task) => task.id));
        assert.deepEqual(overlaps(record.events.filter((e) => ids.has(e.task) && !replaced.has(e.task))), []);
        assert.equal(record.broken, null);
        // It takes tasks as before.
        await fleet.submit({ ...there, name: "next" });
        await fleet.until("next", "running");
        await resourcesAreBack(fleet, fresh);
      },
    ),
);
