/** What a container is made of, what its task may ask for, and what the Engine is told. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image, ECHO_IMAGE } from "../fixtures/images.ts";
import { Fleet, freePorts } from "./support.ts";

const sh = (script: string) => ["sh", "-c", script];

testWithEngine(
  "a container has the labels, caps, log limits and name that it should",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({
        name: "web",
        image,
        entrypoint: ["sh"],
        cmd: ["-c", "sleep 1000"],
        cpu: 0.25,
        memory: "24MiB",
        restart: "always",
        labels: { team: "a" },
      });
      const task = await fleet.until("web", "running");
      const inspect = await engine.docker.getContainer(task.attempt!.containerId!).inspect();
      const { clusterId } = (await fleet.http("GET", "/v1/info")).body;
      const { nodeId } = task.attempt!;
      assert.equal(inspect.Name, `/${task.attempt!.containerName}`);
      for (
        const [key, value] of Object.entries({
          "ormen.cluster": clusterId,
          "ormen.node": nodeId,
          "ormen.task": task.id,
          "ormen.attempt": task.attempt!.id,
          "ormen.name": "web",
          team: "a",
        })
      ) assert.equal(inspect.Config.Labels[key], value, key);
      assert.equal(inspect.HostConfig.NanoCpus, 0.25e9);
      assert.equal(inspect.HostConfig.Memory, 24 * 2 ** 20);
      assert.deepEqual(inspect.HostConfig.LogConfig, {
        Type: "json-file",
        Config: { "max-file": "3", "max-size": "10m" },
      });
      assert.equal(inspect.HostConfig.RestartPolicy?.Name, "unless-stopped", "it would come back after a stop");
      const [node] = (await fleet.http("GET", "/v1/nodes")).body.nodes;
      assert.deepEqual([node.cpu.reserved, node.memory.reserved], [0.25, 24 * 2 ** 20]);
      await fleet.ok("stop", "web", "--wait");
      const after = (await fleet.http("GET", "/v1/nodes")).body.nodes[0];
      assert.deepEqual([after.cpu.reserved, after.memory.reserved], [0, 0], "given back");
    }),
);

testWithEngine(
  "ports: datagrams and streams, a fixed port that is taken, loopback alone",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "ear", image, cmd: ["sleep", "1000"], ports: ["9000/udp", 9000] });
      const ear = await fleet.until("ear", "running");
      const ports = ear.attempt!.ports.filter((port) => port.hostIp === "0.0.0.0");
      assert.deepEqual(ports.map((port) => `${port.container}/${port.protocol}`).sort(), ["9000/tcp", "9000/udp"]);
      const { NetworkSettings } = await engine.docker.getContainer(ear.attempt!.containerId!).inspect();
      const udp = ports.find((port) => port.protocol === "udp")!;
      assert.equal(NetworkSettings.Ports["9000/udp"][0].HostPort, String(udp.host));

      const [fixed] = freePorts(1);
      await fleet.submit({ name: "first", image: ECHO_IMAGE, ports: [`127.0.0.1:${fixed}:7777`] });
      const first = await fleet.until("first", "running");
      assert.deepEqual(first.attempt!.ports, [{ container: 7777, protocol: "tcp", host: fixed, hostIp: "127.0.0.1" }]);
      await eventually("it answers", async () => {
        const response = await fetch(`http://127.0.0.1:${fixed}/health`);
        await response.body?.cancel();
        return response.status === 200;
      });
      await fleet.submit({ name: "second", image: ECHO_IMAGE, ports: [`${fixed}:7777`] });
      const second = await fleet.task("second");
      assert.equal(second.state, "pending");
      assert.match(second.why!, new RegExp(`^1 node: 1 .*port ${fixed}`));
      await fleet.ok("stop", "first");
      await fleet.until("second", "running");

      // A port that somebody else holds is the Engine's to refuse, in its own words.
      const taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
      try {
        const { port } = taken.addr as Deno.NetAddr;
        await fleet.submit({ name: "third", image: ECHO_IMAGE, ports: [`${port}:7777`] });
        assert.match((await fleet.until("third", "failed")).why!, /address already in use|port is already allocated/);
      } finally {
        taken.close();
      }
    }),
);

testWithEngine(
  "volumes: a host path read-only, a named one that outlives its task",
  (engine) =>
    Fleet.use(engine, { sailorFlags: (_, dir) => ["--allow-binds", dir] }, async (fleet) => {
      await Deno.writeTextFile(`${fleet.dir}/given`, "given\n");
      const readOnly = { image, volumes: [`${fleet.dir}:/data:ro`] };
      await fleet.submit({ ...readOnly, name: "ro", cmd: sh("cat /data/given; echo x > /data/made") });
      await fleet.until("ro", "failed");
      assert.match(await outputOf(fleet, "ro"), /^given\n[\s\S]*Read-only file system/);

      const name = `ormen-e2e-${crypto.randomUUID()}`;
      try {
        const volumes = [`${name}:/data`];
        await fleet.submit({ name: "writes", image, volumes, cmd: sh("echo kept > /data/file") });
        await fleet.until("writes", "completed");
        await fleet.submit({ name: "reads", image, volumes, cmd: sh("cat /data/file") });
        await fleet.until("reads", "completed");
        assert.equal(await fleet.ok("logs", "reads"), "kept\n");
      } finally {
        for (const { id } of await fleet.containers()) await engine.docker.getContainer(id).remove({ force: true });
        await engine.docker.getVolume(name).remove();
      }
    }),
);

testWithEngine(
  "restart policies: always and unless-stopped never give up, on-failure leaves success alone",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      for (const restart of ["always", "unless-stopped"]) {
        await fleet.submit({ name: restart, image, restart, cmd: sh("echo again; exit 0") });
      }
      await fleet.submit({ name: "done", image, restart: "on-failure", cmd: ["true"] });
      const third = `[ -e /tmp/2 ] && exit 0; [ -e /tmp/1 ] && { touch /tmp/2; exit 1; }; touch /tmp/1; exit 1`;
      await fleet.submit({ name: "third-time", image, restart: "on-failure:5", cmd: sh(third) });
      assert.equal((await fleet.until("done", "completed")).attempt!.restarts, 0);
      assert.deepEqual(
        await fleet.until("third-time", "completed").then(({ attempt }) => [attempt!.restarts, attempt!.exitCode]),
        [2, 0],
      );
      for (const name of ["always", "unless-stopped"]) {
        await eventually(`${name} is restarted`, async () => (await fleet.task(name)).attempt!.restarts >= 2);
        await fleet.ok("stop", name, "--wait");
        const { attempt, attempts } = await fleet.task(name);
        assert.equal(attempts, 1, "in place");
        assert.equal((await engine.docker.getContainer(attempt!.containerId!).inspect()).State.Running, false);
      }
    }),
);

testWithEngine(
  "stop: the signal that was asked for, the time it has, and what ignores both",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const traps = "trap 'echo told; exit 0' USR1; trap 'echo wrong' TERM; echo up; while :; do sleep 0.05; done";
      await fleet.submit({ name: "asks", image, stopSignal: "SIGUSR1", grace: "10s", cmd: sh(traps) });
      await eventually("it is up", async () => (await fleet.ok("logs", "asks")) === "up\n");
      await fleet.ok("stop", "asks", "--wait");
      assert.equal(await fleet.ok("logs", "asks"), "up\ntold\n");
      await fleet.submit({ name: "deaf", image, grace: "200ms", cmd: sh("trap '' TERM; sleep 1000") });
      await fleet.until("deaf", "running");
      await fleet.ok("stop", "deaf", "--wait");
      assert.equal((await fleet.task("deaf")).attempt!.exitCode, 137);
    }),
);

testWithEngine(
  "health: what answers wrongly is told in words, and given up after its restarts",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const health = { interval: "150ms", timeout: "500ms", retries: 2 };
      const checks = {
        page: { http: "/nothing", port: 7777, ...health },
        closed: { tcp: 7778, ...health },
        hangs: { exec: ["sleep", "1000"], ...health, timeout: "100ms" },
      };
      for (const [name, check] of Object.entries(checks)) {
        await fleet.submit({ name, image: ECHO_IMAGE, health: check, maxRestarts: 0 });
      }
      const words = { page: /404/, closed: /refused/, hangs: /100 ?ms|time/ };
      for (const [name, word] of Object.entries(words)) {
        const task = await fleet.until(name, "failed");
        assert.match(task.why!, word, name);
        assert.match(task.attempt!.healthOutput!, word, name);
      }
    }),
);

async function outputOf(fleet: Fleet, name: string): Promise<string> {
  const { stdout, stderr } = await fleet.run("logs", name);
  return stdout + stderr;
}
