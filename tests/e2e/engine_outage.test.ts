/** An Engine that hangs, ends, dies and comes back. */
import assert from "node:assert/strict";
import type { NodeView } from "../../lib/messages/api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { testWithOwnEngine } from "./own_engine.ts";
import { resourcesAreBack, resourcesOf } from "./resources.ts";
import { Fleet } from "./support.ts";

const forever = { image, cmd: ["sleep", "1000"], cpu: 0.05, memory: "8MiB" };
const runningOf = async (fleet: Fleet, task: string) =>
  (await fleet.containers(false)).filter((container) => container.task === task).length;

testWithOwnEngine(
  "an Engine that hangs: its sailor stays, says so, gets no tasks, and all goes on when it answers",
  (own) =>
    Fleet.use(own.engine, { deckFlags: ["--heartbeat", "500ms", "--node-timeout", "3s"] }, async (fleet) => {
      const fresh = resourcesOf(fleet);
      await fleet.submit({ ...forever, name: "runs" });
      await fleet.submit({ ...forever, name: "doomed", restart: "always" });
      // Its checks go through the Engine, and are late while that hangs: no fault of its own.
      const health = { exec: ["true"], interval: "500ms", timeout: "1s", retries: 1 };
      await fleet.submit({ ...forever, name: "checked", health });
      await eventually("it is healthy", async () => (await fleet.task("checked")).attempt?.health === "healthy");
      const before = await fleet.until("runs", "running");
      const doomed = await fleet.until("doomed", "running");
      await own.hung(async () => {
        // Placed before anybody has noticed: asked of the Engine, and not answered.
        await fleet.submit({ ...forever, name: "early" });
        await fleet.ok("stop", "doomed");
        const node = await eventually("the deck was told", async () => {
          const [node] = (await fleet.json<{ nodes: NodeView[] }>("mast")).nodes;
          return node.runtimesAway.includes("docker") && node;
        }, 60_000);
        assert.equal(node.status, "ready", "heartbeats go on");
        assert.match(await fleet.ok("mast"), /<- ready, docker does not answer/);
        await fleet.submit({ ...forever, name: "late" });
        const late = await fleet.task("late");
        assert.deepEqual(
          [late.state, late.why],
          ["pending", "1 node: 1 has a container engine that does not answer"],
        );
        assert.match(await fleet.ok("status", "late"), /container engine that does not answer/);
        // A deck that comes new hears of it all the same: no hello waits for the Engine.
        await fleet.deck!.end("SIGKILL");
        fleet.startDeck();
        await fleet.ready();
        assert.equal((await fleet.task("late")).state, "pending");
        assert.equal((await fleet.task("runs")).state, "running");
        const beats = async () => (await fleet.http("GET", "/v1/events?limit=1000")).body.events;
        assert.ok(!(await beats()).some((event: { kind: string }) => event.kind === "nodeDown"));
      });
      for (const name of ["early", "late"]) await fleet.until(name, "running", 60_000);
      await fleet.until("doomed", "stopped", 60_000);
      assert.equal((await fleet.task("runs")).attempt!.id, before.attempt!.id);
      const checked = (await fleet.task("checked")).attempt!;
      assert.deepEqual([checked.health, checked.healthRestarts], ["healthy", 0]);
      const tasks = await fleet.tasks();
      for (const task of tasks) assert.equal(task.attempts, 1, task.name);
      for (const task of tasks) assert.equal(await runningOf(fleet, task.id), task.id === doomed.id ? 0 : 1, task.name);
      assert.deepEqual((await fleet.json<{ nodes: NodeView[] }>("mast")).nodes[0].runtimesAway, []);
      await resourcesAreBack(fleet, fresh);
    }),
);

/** What an Engine without live-restore does to each policy, when it ends what runs and starts again. */
const POLICIES: readonly (readonly [name: string, restart: unknown, after: "running" | "failed"])[] = [
  ["no", "no", "failed"],
  ["on-failure", "on-failure:3", "running"],
  ["always", "always", "running"],
  ["unless-stopped", "unless-stopped", "running"],
];

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  testWithOwnEngine(
    `an Engine that ${
      signal === "SIGTERM" ? "is stopped" : "dies"
    } and comes back: what should run runs, what was stopped stays stopped`,
    (own) =>
      Fleet.use(own.engine, {}, async (fleet) => {
        const fresh = resourcesOf(fleet);
        for (const [name, restart] of POLICIES) {
          // 143 after a signal to end, so that no policy takes it for success.
          const cmd = ["sh", "-c", "echo said; trap 'exit 143' TERM; while :; do sleep 0.1; done"];
          await fleet.submit({ ...forever, name, restart, reschedule: false, cmd });
          await fleet.submit({ ...forever, name: `${name}-stopped-before`, restart });
          await fleet.submit({ ...forever, name: `${name}-stopped-meanwhile`, restart });
        }
        const names = (await fleet.tasks()).map((task) => task.name);
        for (const name of names) await fleet.until(name, "running", 60_000);
        const early = names.filter((name) => name.endsWith("-before"));
        await fleet.ok("stop", ...early, "--wait");
        const meanwhile = names.filter((name) => name.endsWith("-meanwhile"));
        await own.away(signal, async () => {
          await fleet.ok("stop", ...meanwhile);
          await eventually("the deck was told", async () =>
            (await fleet.json<{ nodes: NodeView[] }>("mast")).nodes[0].runtimesAway.includes("docker"));
          await fleet.submit({ ...forever, name: "waits" });
          assert.match((await fleet.task("waits")).why!, /container engine that does not answer/);
        });
        // What the Engine ended before it was told to stop has an end of its own.
        for (const name of meanwhile) {
          await fleet.until(name, ["stopped", "failed", "completed"], 60_000);
        }
        for (const [name, , after] of POLICIES) {
          await fleet.until(name, after, 60_000);
        }
        await fleet.until("waits", "running", 60_000);
        const tasks = await fleet.tasks();
        await eventually("each task that should run does so in one container, and no other runs", async () => {
          const counts = await Promise.all(tasks.map((task) =>
            runningOf(fleet, task.id)
          ));
          return tasks.every((task, i) =>
            counts[i] === Number(
              task.name === "waits" || POLICIES.some(([name, , after]) => name === task.name && after === "running"),
            )
          );
        }, 60_000);
        const once = await fleet.task("no");
        assert.notEqual(once.attempt!.exitCode, 0);
        assert.equal(once.attempt!.oomKilled, false);
        assert.equal((await fleet.task("always")).attempts, 1, "restarted in place");
        assert.equal(await fleet.ok("logs", "no"), "said\n");
        assert.equal((await fleet.run("exec", "always", "--", "true")).code, 0);
        await resourcesAreBack(fleet, fresh);
      }),
  );
}
