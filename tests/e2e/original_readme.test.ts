/** The original's README as a script: its commands, its curl lines, its answers. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { Fleet, freePorts, Process } from "./support.ts";

const TASK1 = await Deno.readTextFile(new URL("../../task1.json", import.meta.url));
const ID = "bb1d59ef-9fc1-4e4b-a44d-db571eeed203";

/** As `curl -d @task1.json` sends it. */
function curlPost(url: string, body: string): Promise<Response> {
  return fetch(url, { method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } });
}

/** task1.json asks for port 7777 of the host: such tests follow one another. */
testWithEngine(
  "the original's README: three sailors, mast, curl, status, stop, nodes",
  (engine) =>
    Fleet.use(engine, { sailors: 3 }, async (fleet) => {
      const names = fleet.sailorPorts.map((port) => `localhost:${port}`);
      const mast = await fleet.ok("mast");
      assert.match(mast, /^NAME\s+MEMORY \(MiB\)\s+DISK \(GiB\)\s+ROLE\s+TASKS/);
      for (const name of names) assert.match(mast, new RegExp(`${name}\\s+\\d+\\s+\\d+\\s+worker\\s+0`));

      assert.equal(await (await fetch(`${fleet.url}/tasks`)).text(), "[]\n");
      const posted = await curlPost(`${fleet.url}/tasks`, TASK1);
      assert.equal(posted.status, 201);
      assert.equal((await posted.json()).ID, ID);

      const running = await eventually("the original's list shows it running", async () => {
        const [task] = await (await fetch(`${fleet.url}/tasks`)).json();
        return task.State === 2 && task.ContainerID && task;
      });
      assert.equal(running.Name, "test-chapter-9.1");
      assert.deepEqual(running.HostPorts["7777/tcp"][0], { HostIp: "0.0.0.0", HostPort: "7777" });
      assert.deepEqual(running.PortBindings, { "7777/tcp": "7777" });
      assert.equal(running.FinishTime, "0001-01-01T00:00:00Z");
      await eventually("it is healthy", async () => (await fleet.task(ID)).attempt!.health === "healthy");

      const echo = await fetch("http://localhost:7777/", { method: "POST", body: "ahoy" });
      assert.equal(await echo.text(), "ahoy");

      const same = await curlPost(`${fleet.url}/tasks`, TASK1);
      assert.equal(same.status, 201, "the same event twice is one task");
      await same.body?.cancel();
      assert.equal((await (await fetch(`${fleet.url}/tasks`)).json()).length, 1);
      const other = await curlPost(
        `${fleet.url}/tasks`,
        TASK1.replace("/health", "/other").replace("a7aa1d44", "a7aa1d45"),
      );
      assert.equal(other.status, 409);
      assert.equal((await other.json()).HTTPStatusCode, 409);

      const nodeName = (await fleet.task(ID)).attempt!.node!;
      const sailorUrl = `http://${nodeName}`;
      assert.equal((await (await fetch(`${sailorUrl}/tasks`)).json())[0].ID, ID);
      assert.equal((await (await fetch(`${sailorUrl}/tasks/${ID}`)).json()).State.Running, true);
      const status = await fleet.ok("status");
      assert.match(status, /^ID\s+NAME\s+CREATED\s+STATE\s+CONTAINERNAME\s+IMAGE/);
      assert.match(
        status,
        /bb1d59ef\s+test-chapter-9\.1\s+.*Running \(healthy\)\s+ormen-\S+\s+timboring\/echo-server:latest/,
      );

      const nodes = await (await fetch(`${fleet.url}/nodes`)).json();
      assert.deepEqual(nodes.map((n: { Name: string }) => n.Name).sort(), [...names].sort());
      assert.equal(nodes.reduce((sum: number, n: { TaskCount: number }) => sum + n.TaskCount, 0), 1);
      assert.ok(nodes[0].Stats.MemStats.mem_total > 1000 && nodes[0].Memory > 1000 && nodes[0].Role === "worker");

      const stop = await fleet.ok("stop", ID);
      assert.match(stop, /stop/);
      await fleet.until(ID, "stopped");
      assert.equal((await (await fetch(`${fleet.url}/tasks`)).json())[0].State, 3);
      assert.equal((await fleet.containers(false)).length, 0);
      const gone = await fetch(`${fleet.url}/tasks/00000000-0000-0000-0000-000000000000`, { method: "DELETE" });
      assert.equal(gone.status, 404);
      await gone.body?.cancel();
    }),
);

testWithEngine(
  "an event with State 3 stops its task, and DELETE does",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const event = JSON.parse(TASK1);
      (await curlPost(`${fleet.url}/tasks`, TASK1)).body?.cancel();
      await fleet.until(ID, "running");
      const stop = await curlPost(
        `${fleet.url}/tasks`,
        JSON.stringify({ ...event, ID: crypto.randomUUID(), State: 3 }),
      );
      assert.equal(stop.status, 201);
      await stop.body?.cancel();
      await fleet.until(ID, "stopped");
      const id = crypto.randomUUID();
      const second = { ...event, ID: crypto.randomUUID(), Sail: { ...event.Sail, ID: id } };
      (await curlPost(`${fleet.url}/tasks`, JSON.stringify(second))).body?.cancel();
      await fleet.until(id, "running");
      const deleted = await fetch(`${fleet.url}/tasks/${id}`, { method: "DELETE" });
      assert.equal(deleted.status, 204);
      await fleet.until(id, "stopped");
    }),
);

testWithEngine("a sailor takes tasks on its own routes without any deck", async (engine) => {
  const [port] = freePorts(1);
  const dir = await Deno.makeTempDir();
  const sailor = new Process(["sailor", "-p", `${port}`, "--data-dir", dir], { DOCKER_HOST: engine.host });
  const url = `http://localhost:${port}`;
  try {
    await eventually("the sailor answers", async () => {
      const response = await fetch(`${url}/readyz`);
      await response.body?.cancel();
      return response.status === 200;
    });
    assert.equal(await (await fetch(`${url}/tasks`)).text(), "[]\n");
    const id = crypto.randomUUID();
    const event = { ...JSON.parse(TASK1), Sail: { ...JSON.parse(TASK1).Sail, ID: id, PortBindings: {} } };
    const posted = await curlPost(`${url}/tasks`, JSON.stringify(event));
    assert.equal(posted.status, 201);
    await posted.body?.cancel();
    await eventually("it runs", async () => (await (await fetch(`${url}/tasks`)).json())[0].State === 2);
    const inspect = await (await fetch(`${url}/tasks/${id}`)).json();
    assert.equal(inspect.State.Running, true);
    assert.equal(inspect.Config.Labels["ormen.cluster"], "local");
    const stats = await (await fetch(`${url}/stats`)).json();
    assert.deepEqual(Object.keys(stats), ["MemStats", "DiskStats", "CpuStats", "LoadStats", "TaskCount"]);
    assert.equal(stats.TaskCount, 1);
    assert.equal((await fetch(`${url}/tasks/${id}`, { method: "DELETE" })).status, 204);
    await eventually("it has ended", async () => (await (await fetch(`${url}/tasks`)).json())[0].State === 3);
    await engine.docker.getContainer(inspect.Id).remove({ force: true });
  } finally {
    await sailor.end();
    await Deno.remove(dir, { recursive: true });
  }
});
