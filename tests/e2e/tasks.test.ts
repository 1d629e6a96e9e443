/** What becomes of tasks on a real Engine. CPU shares are left alone: a tiny one throttles the start itself. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image, ECHO_IMAGE } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

const sh = (script: string) => ["sh", "-c", script];

testWithEngine(
  "tasks: exit codes, output, files, environment, user, volumes, limits, restarts",
  (engine) =>
    Fleet.use(engine, { sailorFlags: (_, dir) => ["--allow-binds", dir] }, async (fleet) => {
      await fleet.submit({ name: "three", image, cmd: sh("echo out; echo err >&2; exit 3") });
      const three = await fleet.until("three", "failed");
      assert.equal(three.attempt!.exitCode, 3);
      assert.equal(three.why, "exited with code 3");
      assert.match(three.attempt!.outputTail!, /out/);

      await fleet.submit({
        name: "equipped",
        image,
        cmd: sh("cat /etc/app.conf; /bin/tool.sh; echo $MODE; id -u; pwd"),
        env: { MODE: "prod" },
        user: "1000",
        workdir: "/tmp",
        files: {
          "/etc/app.conf": "configured\n",
          "/bin/tool.sh": { content: "#!/bin/sh\necho tooled\n", mode: "0755" },
        },
        volumes: [`${fleet.dir}:/data:ro`],
      });
      await fleet.until("equipped", "completed");
      assert.match(
        await fleet.ok("logs", "equipped"),
        /^configured\ntooled\nprod\n1000\n\/tmp\n$/,
      );

      await fleet.submit({
        name: "hog",
        image,
        memory: "16MiB",
        cmd: sh("x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x"),
      });
      const hog = await fleet.until("hog", "failed");
      assert.equal(hog.attempt!.oomKilled, true);

      await fleet.submit({ name: "killed", image, cmd: sh("kill -9 $$; sleep 1") });
      const killed = await fleet.until("killed", ["failed", "completed"]);
      assert.equal(killed.attempt!.oomKilled, false, "137 alone is no want of memory");

      await fleet.submit({ name: "twice", image, restart: "on-failure:2", cmd: sh("exit 4") });
      const twice = await fleet.until("twice", "failed");
      assert.equal(twice.attempt!.restarts, 2);
      assert.equal(twice.why, "exited with code 4 after 2 restarts");

      await fleet.submit({ name: "wrong", image, cmd: ["/no/such/program"] });
      assert.match((await fleet.until("wrong", "failed")).why!, /no such file or directory/);

      await fleet.submit({ name: "nowhere", image: "localhost:1/none:1", cmd: ["x"] });
      assert.match(
        (await fleet.until("nowhere", "failed")).why!,
        /cannot pull localhost:1\/none:1: .*connection refused/,
      );
      await fleet.submit({ name: "never", image: "none/such:1", pull: "never" });
      assert.match((await fleet.until("never", "failed")).why!, /No such image/);
    }),
);

testWithEngine(
  "health: http, tcp and exec; what fails is restarted with delay and given up",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const health = { interval: "200ms", timeout: "1s", retries: 2 };
      await fleet.submit({ name: "http", image: ECHO_IMAGE, ports: [7777], health: { http: "/health", ...health } });
      await fleet.submit({ name: "tcp", image: ECHO_IMAGE, health: { tcp: 7777, ...health } });
      await fleet.submit({ name: "exec", image, cmd: ["sleep", "1000"], health: { exec: ["true"], ...health } });
      for (const name of ["http", "tcp", "exec"]) {
        await eventually(`${name} is healthy`, async () => (await fleet.task(name)).attempt?.health === "healthy");
      }
      await fleet.submit({
        name: "sick",
        image,
        cmd: ["sleep", "1000"],
        maxRestarts: 1,
        health: { exec: sh("echo no pulse; false"), ...health },
      });
      const sick = await fleet.until("sick", "failed", 40_000);
      assert.equal(sick.attempt!.healthRestarts, 1);
      assert.match(sick.why!, /never stayed healthy, after 1 restarts: .*no pulse/);
      const kinds = sick.events.map((event) => event.kind);
      assert.ok(kinds.includes("taskUnhealthy") && kinds.includes("taskRestarted"), kinds.join());
    }),
);

testWithEngine(
  "placement: constraints by label, why it is pending, and placed once there is room",
  (engine) =>
    Fleet.use(engine, { sailors: 2, sailorFlags: (i) => ["--labels", `zone=${["eu", "us"][i]}`] }, async (fleet) => {
      await fleet.submit({ name: "here", image, cmd: ["sleep", "1000"], constraints: ["node.labels.zone == us"] });
      assert.equal((await fleet.until("here", "running")).attempt!.node, `localhost:${fleet.sailorPorts[1]}`);
      await fleet.submit({ name: "mars", image, constraints: ["node.labels.zone == mars"] });
      assert.equal((await fleet.task("mars")).why, "2 nodes: 2 do not meet node.labels.zone == mars");
      await fleet.submit({ name: "all", image, cpu: 1.5, cmd: ["sleep", "1000"] });
      await fleet.submit({ name: "next", image, cpu: 1.5, cmd: ["sleep", "1000"] });
      assert.match((await fleet.task("next")).why!, /2 lack cpu \(need 1.5 cores, largest free 0.4\)/);
      await fleet.ok("stop", "all");
      await fleet.until("next", "running");
    }),
);

testWithEngine(
  "drain moves tasks away, resume takes them again, rm refuses and forgets",
  (engine) =>
    Fleet.use(
      engine,
      { sailors: 2, deckFlags: ["--heartbeat", "300ms", "--node-timeout", "1500ms"] },
      async (fleet) => {
        await fleet.submit({ name: "web", image, cmd: ["sleep", "1000"] });
        const node = (await fleet.until("web", "running")).attempt!.node!;
        const refused = await fleet.run("mast", "rm", node);
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /drain it first/);
        await fleet.ok("mast", "drain", node);
        const moved = await eventually("it has moved", async () => {
          const task = await fleet.task("web");
          return task.attempt!.node !== node && task.state === "running" && task;
        });
        assert.equal(moved.attempts, 2);
        await eventually("drained", async () => /drained/.test(await fleet.ok("mast", "--wide")));
        await fleet.ok("mast", "resume", node);
        await fleet.ok("mast", "drain", moved.attempt!.node!);
        await eventually("it has moved back", async () => {
          const task = await fleet.task("web");
          return task.attempt!.node === node && task.state === "running";
        });
        const index = fleet.sailorPorts.findIndex((p) => moved.attempt!.node === `localhost:${p}`);
        await fleet.sailors[index]!.end();
        await eventually("the node is down", async () => /\bdown\b/.test(await fleet.ok("mast", "--wide")));
        await fleet.ok("mast", "rm", moved.attempt!.node!);
        const { nodes } = await fleet.json<{ nodes: { name: string }[] }>("mast");
        assert.deepEqual(nodes.map((n) => n.name), [node]);
      },
    ),
);
