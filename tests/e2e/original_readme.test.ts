/** The original's README as a script: its commands, its curl lines, its answers. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE } from "../fixtures/images.ts";
import { recorded } from "../http/recorded.ts";
import { Fleet, freePorts, http, Process } from "./support.ts";

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
      assert.equal((await http("GET", "http://localhost:7777/health")).status, 200);

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

/** What of the answers does not change from task to task; clients of the original see no difference. */
const RECORDED: readonly (readonly [name: string, method: string, path: string, body?: string])[] = [
  ["deck-post-bad-uuid", "POST", "/tasks", '{"ID":"xyz"}'],
  ["deck-post-malformed", "POST", "/tasks", '{"ID":'],
  ["deck-post-unknown-field", "POST", "/tasks", '{"Bogus":1}'],
  ["deck-unknown-path", "GET", "/nothing"],
  ["deck-wrong-method", "PUT", "/tasks"],
  ["deck-delete-unknown", "DELETE", "/tasks/00000000-0000-0000-0000-000000000000"],
  ["sailor-get-task-unknown", "GET", "/tasks/00000000-0000-0000-0000-000000000000"],
];

testWithEngine(
  "answers on the wire are the original's; run takes its file; fields and states are as it names them",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      for (const [name, method, path, body] of RECORDED) {
        const url = name.startsWith("sailor") ? `http://localhost:${fleet.sailorPorts[0]}` : fleet.url;
        const headers = body === undefined ? undefined : { "content-type": "application/x-www-form-urlencoded" };
        const answer = await http(method, `${url}${path}`, body, headers);
        const expected = recorded(name);
        assert.deepEqual(
          [answer.status, answer.headers.get("content-type"), answer.text],
          [expected.status, expected.headers["content-type"] ?? null, expected.body],
          name,
        );
      }

      await Deno.writeTextFile(`${fleet.dir}/task.json`, TASK1);
      const file = `${fleet.dir}/task.json`;
      assert.match(
        await fleet.ok("run", "-m", `localhost:${fleet.deckPort}`, "-f", file),
        /^test-chapter-9\.1 \(bb1d59ef\)/,
      );
      await fleet.until(ID, "running");
      await fleet.ok("stop", ID);
      await fleet.until(ID, "stopped");

      const keys = Object.keys(JSON.parse(recorded("deck-get-tasks").body)[0]);
      const [task] = (await fleet.http("GET", "/tasks")).body;
      assert.deepEqual(Object.keys(task).filter((key) => keys.includes(key)), keys);
      const nodeKeys = (text: string) => {
        const [node] = JSON.parse(text);
        return [node, node.Stats, ...Object.values(node.Stats)].map((part) => Object.keys(part ?? {}));
      };
      assert.deepEqual(
        nodeKeys((await fleet.http("GET", "/nodes")).text),
        nodeKeys(recorded("deck-get-nodes").body),
      );

      const event = (name: string, fields: Record<string, unknown>) => ({
        ID: crypto.randomUUID(),
        State: 2,
        Sail: { State: 1, ID: crypto.randomUUID(), Name: name, Image: BUSYBOX_IMAGE, ...fields },
      });
      const statesOf = async (sent: ReturnType<typeof event>, last: number): Promise<number[]> => {
        assert.equal((await fleet.http("POST", "/tasks", sent)).status, 201);
        const states: number[] = [];
        await eventually(`${sent.Sail.Name} comes to state ${last}`, async () => {
          const tasks: { ID: string; State: number }[] = (await fleet.http("GET", "/tasks")).body;
          const { State } = tasks.find((each) => each.ID === sent.Sail.ID)!;
          if (states.at(-1) !== State) states.push(State);
          return State === last;
        });
        return states;
      };
      const ends = await statesOf(event("ends", { Cmd: ["sh", "-c", "echo $WHO; sleep 0.5"], Env: ["WHO=me"] }), 3);
      assert.deepEqual([...ends].sort(), ends, "0 Pending, 1 Scheduled, 2 Running, 3 Completed, never back");
      assert.ok(ends.includes(2));
      assert.equal(await fleet.ok("logs", "ends"), "me\n");
      const fails = await statesOf(event("fails", { Cmd: ["sh", "-c", "exit 5"] }), 4);
      assert.deepEqual([...fails].sort(), fails);
      const waits = event("waits", { Memory: 2 ** 50 });
      assert.deepEqual(await statesOf(waits, 0), [0]);
      const [waiting] = (await fleet.http("GET", "/tasks")).body.filter((each: { Name: string }) =>
        each.Name === "waits"
      );
      assert.deepEqual(
        [waiting.ContainerID, waiting.HostPorts, waiting.StartTime, waiting.FinishTime],
        ["", null, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
      );
    }),
);

testWithEngine("a sailor takes tasks on its own routes without any deck", async (engine) => {
  const [port] = freePorts(1);
  const dir = await Deno.makeTempDir();
  const sailor = new Process(["sailor", "-p", `${port}`, "--data-dir", dir], { env: { DOCKER_HOST: engine.host } });
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
    for (const body of ['{"Bogus":1}', '{"ID":"xyz"}']) {
      const refused = await curlPost(`${url}/tasks`, body);
      assert.deepEqual([refused.status, (await refused.json()).HTTPStatusCode], [400, 400]);
    }
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
