/** Without Docker: host processes, where the sailor's operator asked for them. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { command, Fleet, freePorts, Process } from "./support.ts";

const processes = { sailorFlags: () => ["--runtime", "process"] };

Deno.test("process runtime: run, logs, exec, stop, and adoption after kill -9 of the sailor", () =>
  Fleet.use(undefined, processes, async (fleet) => {
    const spec = { runtime: "process", cpu: 0.01 };
    await fleet.submit({ ...spec, name: "three", cmd: ["sh", "-c", "echo out; exit 3"] });
    assert.equal((await fleet.until("three", "failed")).attempt!.exitCode, 3);
    assert.equal(await fleet.ok("logs", "three"), "out\n");

    const flag = `${fleet.dir}/go`;
    const waits = `echo ready; while [ ! -e "${flag}" ]; do sleep 0.05; done; exit 9`;
    await fleet.submit({ ...spec, name: "waits", cmd: ["sh", "-c", waits] });
    await fleet.submit({ ...spec, name: "lives", cmd: ["sleep", "1000"] });
    await fleet.until("waits", "running");
    const lives = await fleet.until("lives", "running");
    const exec = await fleet.run("exec", "lives", "--", "sh", "-c", "echo in; exit 4");
    assert.deepEqual([exec.code, exec.stdout], [4, "in\n"]);

    await fleet.sailors[0]!.end("SIGKILL");
    await Deno.writeTextFile(flag, "");
    fleet.startSailor(0);
    assert.equal((await fleet.until("waits", "failed")).attempt!.exitCode, 9);
    const still = await fleet.until("lives", "running");
    assert.equal(still.attempt!.startedAt, lives.attempt!.startedAt);

    await fleet.submit({ ...spec, name: "always", restart: "always", cmd: ["sh", "-c", "sleep 0.2"] });
    await eventually("it is restarted", async () => (await fleet.task("always")).attempt!.restarts >= 2);
    await fleet.ok("stop", "lives", "always");
    for (const name of ["lives", "always"]) await fleet.until(name, "stopped");
    await fleet.submit({ name: "docker", image: "x:1" });
    assert.match((await fleet.task("docker")).why!, /1 has no docker runtime/);
  }));

Deno.test("dev: deck and sailor in one process", async () => {
  const [port] = freePorts(1);
  const dir = await Deno.makeTempDir();
  const dev = new Process(["dev", "-p", `${port}`, "--runtime", "process"], {
    env: { HOME: dir, XDG_DATA_HOME: dir },
  });
  const env = { ORMEN_DECK: `localhost:${port}` };
  try {
    await eventually("it answers", async () => /ready/.test((await command(["mast", "--wide"], env)).stdout));
    await Deno.writeTextFile(`${dir}/t.yaml`, "name: t\nruntime: process\ncmd: [echo, ahoy]\n");
    const run = await command(["run", "-f", `${dir}/t.yaml`, "--attach"], env);
    assert.deepEqual([run.code, run.stdout], [0, "ahoy\n"]);
  } finally {
    assert.equal(await dev.end(), 0);
    await Deno.remove(dir, { recursive: true });
  }
});
