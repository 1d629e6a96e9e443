/** kill -9 of deck and sailors: nothing acknowledged is lost, nothing runs twice. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

testWithEngine(
  "kill -9 of the deck while 50 tasks start: none lost, none doubled",
  (engine) =>
    Fleet.use(engine, { sailors: 3 }, async (fleet) => {
      const acknowledged: string[] = [];
      let killed: Promise<unknown> | undefined;
      const submissions = Array.from({ length: 50 }, async (_, i) => {
        try {
          const { id } = await fleet.submit({
            name: `t${i}`,
            image,
            cmd: ["sleep", "1000"],
            cpu: 0.03,
            memory: "6MiB",
          });
          acknowledged.push(id);
          // While some are answered and others on their way.
          if (acknowledged.length === 25) killed = fleet.deck!.end("SIGKILL");
        } catch (error) {
          if (!killed) throw error; // After the kill nobody answers: those were never acknowledged.
        }
      });
      await Promise.all(submissions);
      await killed;
      assert.ok(acknowledged.length >= 25);
      fleet.startDeck();
      await fleet.ready();
      const tasks = await eventually("all that were accepted run", async () => {
        const all = await fleet.tasks();
        return all.length > 0 && all.every((task) => task.state === "running") && all;
      }, 60_000);
      const known = new Set(tasks.map((task) => task.id));
      assert.deepEqual(acknowledged.filter((id) => !known.has(id)), []);
      const containers = await fleet.containers();
      assert.equal(containers.length, tasks.length);
      assert.equal(new Set(containers.map((c) => c.task)).size, tasks.length);
      assert.ok(tasks.every((task) => task.attempts === 1));
    }),
);

testWithEngine(
  "kill -9 of a sailor: containers live on and are adopted, exit codes are right",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "lives", image, cmd: ["sleep", "1000"] });
      await fleet.submit({
        name: "ends",
        image,
        cmd: ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 42"],
      });
      const lives = (await fleet.until("lives", "running")).attempt!;
      const ends = (await fleet.until("ends", "running")).attempt!;
      await fleet.sailors[0]!.end("SIGKILL");
      const inspect = async (id: string) => (await engine.docker.getContainer(id).inspect()).State;
      const startedAt = (await inspect(lives.containerId!)).StartedAt;
      const exec = await engine.docker.getContainer(ends.containerId!).exec({ Cmd: ["touch", "/tmp/go"] });
      (await exec.start({})).resume();
      await eventually("it has exited meanwhile", async () => !(await inspect(ends.containerId!)).Running);
      fleet.startSailor(0);
      const over = await fleet.until("ends", "failed");
      assert.equal(over.attempt!.exitCode, 42);
      assert.equal(over.attempts, 1);
      await fleet.ready();
      const still = await fleet.until("lives", "running");
      assert.equal(still.attempt!.containerId, lives.containerId);
      assert.equal((await inspect(lives.containerId!)).StartedAt, startedAt);
    }),
);

testWithEngine(
  "SIGTERM of deck and sailor leaves containers running, and both come back to them",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "lives", image, cmd: ["sleep", "1000"] });
      const { attempt } = await fleet.until("lives", "running");
      assert.equal(await fleet.deck!.end(), 0);
      assert.equal(await fleet.sailors[0]!.end(), 0);
      assert.deepEqual((await fleet.containers(false)).map((c) => c.id), [attempt!.containerId]);
      fleet.startSailor(0);
      fleet.startDeck();
      await fleet.ready();
      assert.equal((await fleet.until("lives", "running")).attempt!.id, attempt!.id);
      await fleet.ok("stop", "lives");
      await fleet.until("lives", "stopped");
    }),
);

testWithEngine(
  "a delayed retry is made although the deck was killed meanwhile",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "again", image, cmd: ["/no/such"], reschedule: true });
      const waiting = await eventually("it waits for its retry", async () => {
        const task = await fleet.task("again");
        return task.retryAt !== null && task;
      });
      await fleet.deck!.end("SIGKILL");
      fleet.startDeck();
      await eventually(
        "the next attempt was made",
        async () => (await fleet.task("again")).attempts > waiting.attempts,
      );
    }),
);

testWithEngine(
  "a stop that was acknowledged while the sailor was away ends in a stopped container",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "doomed", image, restart: "always", cmd: ["sleep", "1000"] });
      await fleet.until("doomed", "running");
      await fleet.sailors[0]!.end("SIGKILL");
      await fleet.ok("stop", "doomed");
      assert.equal((await fleet.containers(false)).length, 1);
      await fleet.deck!.end("SIGKILL");
      fleet.startDeck();
      fleet.startSailor(0);
      await fleet.until("doomed", "stopped");
      assert.equal((await fleet.containers(false)).length, 0);
    }),
);

testWithEngine(
  "a foreign deck on fresh data cannot touch a running fleet",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const { id } = await fleet.submit({ name: "mine", image, cmd: ["sleep", "1000"] });
      await fleet.until("mine", "running");
      await fleet.deck!.end("SIGKILL");
      await Deno.remove(`${fleet.dir}/deck`, { recursive: true });
      fleet.startDeck();
      await eventually(
        "the foreign deck was refused",
        () => /another cluster/.test(fleet.sailors[0]!.log + fleet.deck!.log),
      );
      assert.equal((await fleet.containers(false)).length, 1);
      assert.deepEqual(await fleet.tasks(), []);
      assert.match(fleet.sailors[0]!.log, /start its sailor with --adopt/);
      // Only its operator hands the sailor over; then the new deck's list holds, and what is not on it is stopped.
      await fleet.sailors[0]!.end("SIGTERM");
      fleet.startSailor(0, ["--adopt"]);
      await fleet.ready();
      await fleet.submit({ name: "new", image, cmd: ["sleep", "1000"] });
      await fleet.until("new", "running");
      await eventually("what the old deck ran is stopped", async () => {
        return (await fleet.containers(false)).every(({ task }) => task !== id) &&
          (await fleet.containers(false)).length === 1;
      });
    }),
);

testWithEngine(
  "an older deck, on data from before, is not obeyed by a fleet that has seen a newer one",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.deck!.end("SIGTERM");
      const data = `${fleet.dir}/deck`;
      await new Deno.Command("cp", { args: ["-a", data, `${data}.before`] }).output();
      fleet.startDeck();
      await fleet.ready();
      await fleet.submit({ name: "mine", image, cmd: ["sleep", "1000"] });
      await fleet.until("mine", "running");
      await fleet.deck!.end("SIGKILL");
      fleet.startDeck();
      await fleet.ready();
      // A ready node was sent the welcome; that it took it in, and with it the term, shows in what it does.
      await fleet.submit({ name: "again", image, cmd: ["sleep", "1000"] });
      await fleet.until("again", "running");
      await fleet.deck!.end("SIGKILL");
      await Deno.remove(data, { recursive: true });
      await Deno.rename(`${data}.before`, data);
      // Its next term is lower than the last that the sailor has seen: it knows nothing of the task, and may not stop it.
      fleet.startDeck();
      await eventually("it is refused", () =>
        /seen a newer deck \(term \d+, this one has \d+\)/.test(fleet.sailors[0]!.log));
      assert.equal((await fleet.containers(false)).length, 2);
    }),
);

testWithEngine(
  "kill -9 of a sailor, then of everything, while tasks start: each task runs in one container",
  (engine) =>
    Fleet.use(engine, { sailors: 2 }, async (fleet) => {
      const started = await Promise.all(Array.from({ length: 24 }, (_, i) =>
        fleet.submit({ name: `t${i}`, image, cmd: ["sleep", "1000"], cpu: 0.05, memory: "6MiB" })));
      const running = async (least: number) => {
        const tasks = await fleet.tasks();
        return tasks.filter((task) =>
              task.state === "running"
            ).length >= least && tasks;
      };
      await eventually("some run", () => running(3));
      await fleet.sailors[0]!.end("SIGKILL");
      fleet.startSailor(0);
      await eventually("more run", () => running(10), 60_000);
      await Promise.all([fleet.deck!, ...fleet.sailors].map((process) => process!.end("SIGKILL")));
      for (const index of fleet.sailorPorts.keys()) fleet.startSailor(index);
      fleet.startDeck();
      await fleet.ready();
      const tasks = await eventually("all run", () => running(started.length), 60_000);
      assert.deepEqual(tasks.map((task) => task.id).sort(), started.map((task) => task.id).sort());
      await eventually("each in the one container that the deck knows", async () => {
        const containers = await fleet.containers(false);
        return containers.length === tasks.length &&
          JSON.stringify(containers.map((c) => c.attempt).sort()) ===
            JSON.stringify((await fleet.tasks()).map((task) => task.attempt!.id).sort());
      });
    }),
);

testWithEngine(
  "kill -9 of a node's sailor: replaced on the other, and what returns with it is stopped",
  (engine) =>
    Fleet.use(
      engine,
      { sailors: 2, deckFlags: ["--heartbeat", "500ms", "--node-timeout", "2s"] },
      async (fleet) => {
        await fleet.submit({ name: "moves", image, restart: "always", cmd: ["sleep", "1000"] });
        await fleet.submit({ name: "stays", image, reschedule: false, cmd: ["sleep", "1000"] });
        const moves = (await fleet.until("moves", "running")).attempt!;
        await fleet.until("stays", "running");
        const index = fleet.sailorPorts.findIndex((port) => moves.node === `localhost:${port}`);
        await fleet.sailors[index]!.end("SIGKILL");
        const moved = await eventually("it runs elsewhere", async () => {
          const task = await fleet.task("moves");
          return task.attempt!.id !== moves.id && task.state === "running" && task;
        });
        assert.equal(moved.history[0].state, "lost");
        fleet.startSailor(index);
        await fleet.ready();
        await eventually("the stale container is stopped", async () =>
          (await fleet.containers(false)).filter((container) => container.task === moved.id).length === 1);
        assert.equal((await fleet.task("moves")).attempt!.id, moved.attempt!.id);
        const stays = await fleet.until("stays", "running");
        assert.equal(stays.attempts, 1, "its policy keeps it where it is");
        const kinds = (await fleet.http("GET", "/v1/events?limit=1000")).body.events.map((e: { kind: string }) =>
          e.kind
        );
        for (const kind of ["nodeDown", "taskUnknown", "taskReplaced"]) assert.ok(kinds.includes(kind), kind);
      },
    ),
);
