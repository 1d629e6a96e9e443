import assert from "node:assert/strict";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";

const open = (host: string) => createDockerRuntime({ host, nodeId: "node", clock: createSystemClock() });

Deno.test("createDockerRuntime() reaches the Engine at a tcp address that the environment does not name", async () => {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    asked.push(new URL(request.url).pathname);
    return Response.json({ ID: "E", ServerVersion: "1", NCPU: 2, MemTotal: 3, DockerRootDir: "/no/such/place" });
  });
  const { engineId, capacity } = await open(`tcp://127.0.0.1:${server.addr.port}`).info();
  assert.equal(engineId, "E");
  assert.deepEqual([capacity.cpuCores, capacity.memoryBytes], [2, 3]);
  // Its directory cannot be seen from here: the figure is of /.
  assert.ok(capacity.diskBytes > 0);
  assert.deepEqual(asked, ["/info"]);
  await server.shutdown();
});

for (const host of ["ssh://host", "somewhere", "tcp://"]) {
  Deno.test(`createDockerRuntime() refuses the address "${host}"`, () => {
    assert.throws(() => open(host), /cannot reach an Engine at ".*"; write unix:\/\/PATH or tcp:\/\/HOST:PORT/);
  });
}
