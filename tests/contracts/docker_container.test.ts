/** What a document asks of a container, seen from inside it on a real Engine. */
import assert from "node:assert/strict";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { ContainerSpec, Runtime } from "../../lib/contracts/runtime.ts";
import { LABEL_NODE } from "../../lib/contracts/runtime.ts";
import type { Engine } from "../fixtures/engine.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE, ensureImages } from "../fixtures/images.ts";
import { never, plainSpec, text } from "./runtime.contract.ts";

const GRACE_MS = 10_000;
let tests = 0;

interface Rig extends Engine {
  readonly runtime: Runtime;
  /** Of names and node: several processes may test on one Engine. */
  readonly prefix: string;
  /** Runs it to its end and gives what it said. */
  run(change: Partial<ContainerSpec>): Promise<{ said: string; exitCode: number | null }>;
  /** Runs it, until it has said something. */
  begin(change: Partial<ContainerSpec>): Promise<string>;
}

function test(name: string, fn: (rig: Rig) => Promise<void>): void {
  testWithEngine(`docker container: ${name}`, async ({ docker, host }) => {
    await ensureImages(docker);
    const prefix = `ormen-container-${Deno.pid}-${++tests}`;
    const runtime = createDockerRuntime({ host, nodeId: prefix, clock: createSystemClock() });
    const spec = (change: Partial<ContainerSpec>) => ({
      ...plainSpec(`${prefix}-a`),
      image: BUSYBOX_IMAGE,
      network: "none",
      ...change,
    });
    const start = async (change: Partial<ContainerSpec>) => {
      const { id } = await runtime.create(spec(change), never());
      await runtime.start(id);
      return id;
    };
    try {
      await fn({
        docker,
        host,
        runtime,
        prefix,
        async run(change) {
          const id = await start(change);
          const { exitCode } = await eventually("it has ended", async () => {
            const seen = await runtime.inspect(id);
            return seen?.status === "exited" && seen;
          });
          const said = await text(runtime, id);
          await runtime.remove(id);
          return { said, exitCode };
        },
        async begin(change) {
          const id = await start(change);
          await eventually("it has spoken", () => text(runtime, id));
          return id;
        },
      });
    } finally {
      const rows = await docker.listContainers({ all: true, filters: { label: [`${LABEL_NODE}=${prefix}`] } });
      await Promise.all(rows.map((row) => docker.getContainer(row.Id).remove({ force: true, v: true })));
    }
  });
}

test("user, working directory, entrypoint and environment", async ({ run }) => {
  const { said } = await run({
    entrypoint: ["sh", "-c"],
    cmd: [`id -u; pwd; printf %s "$WORD"`],
    env: { WORD: "a=b $(c) 'd'" },
    user: "1000:1000",
    workdir: "/home/user",
  });
  assert.equal(said, "1000\n/home/user\na=b $(c) 'd'");
});

test("a bound directory and a named volume, for reading only where that is asked for", async ({ docker, prefix, run }) => {
  const source = await Deno.makeTempDir({ prefix: "ormen-bound-" });
  try {
    await Deno.writeTextFile(`${source}/given`, "given\n");
    const volumes = (readOnly: boolean) => [
      { source, target: "/bound", readOnly },
      { source: prefix, target: "/named", readOnly },
    ];
    const cmd = ["sh", "-c", "cat /bound/given; for d in bound named; do touch /$d/new && echo $d; done 2>/dev/null"];
    assert.equal((await run({ volumes: volumes(true), cmd })).said, "given\n");
    assert.equal((await run({ volumes: volumes(false), cmd })).said, "given\nbound\nnamed\n");
    await Deno.stat(`${source}/new`);
    // It has a name, so it outlives the container.
    await docker.getVolume(prefix).remove();
  } finally {
    await Deno.remove(source, { recursive: true });
  }
});

test("remove() takes the volumes along that have no name", async ({ docker, runtime, prefix, begin }) => {
  const base = await docker.createContainer({ Image: BUSYBOX_IMAGE, Labels: { [LABEL_NODE]: prefix } });
  const image = `${prefix}:1`;
  await base.commit({ repo: prefix, tag: "1", changes: "VOLUME /data" });
  try {
    const id = await begin({ image, cmd: ["sh", "-c", "echo up; sleep 1000"] });
    const { Mounts: [{ Name: volume }] } = await docker.getContainer(id).inspect();
    await docker.getVolume(volume!).inspect();
    await runtime.remove(id);
    await assert.rejects(docker.getVolume(volume!).inspect(), { statusCode: 404 });
  } finally {
    await docker.getImage(image).remove({ force: true });
  }
});

test("stop() sends the document's signal", async ({ runtime, begin }) => {
  const script = "trap 'exit 7' USR1; trap '' TERM; echo up; while :; do sleep 0.1; done";
  const id = await begin({ stopSignal: "SIGUSR1", cmd: ["sh", "-c", script] });
  await runtime.stop(id, GRACE_MS);
  assert.equal((await runtime.inspect(id))!.exitCode, 7);
});

test("stop() without grace kills at once", async ({ runtime, begin }) => {
  const id = await begin({ cmd: ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"] });
  const { startedMs } = (await runtime.inspect(id))!;
  await runtime.stop(id, 0);
  const { exitCode, finishedMs } = (await runtime.inspect(id))!;
  assert.equal(exitCode, 137);
  // The Engine's own grace would be 10 s.
  assert.ok(finishedMs! - startedMs! < GRACE_MS);
});

test("a paused one is running, and can be stopped", async ({ docker, runtime, begin }) => {
  const id = await begin({ cmd: ["sh", "-c", "echo up; exec sleep 1000"] });
  await docker.getContainer(id).pause();
  assert.equal((await runtime.inspect(id))!.status, "running");
  await runtime.stop(id, 1_000);
  assert.equal((await runtime.inspect(id))!.status, "exited");
});

test("files that cannot be placed leave no container behind", async ({ runtime, prefix }) => {
  const volumes = [{ source: "/etc", target: "/held", readOnly: true }];
  const files = [{ path: "/held/new", content: "text", mode: 0o644 }];
  const spec = { ...plainSpec(`${prefix}-a`), image: BUSYBOX_IMAGE, network: "none", volumes, files };
  await assert.rejects(runtime.create(spec, never()), /files could not be placed/);
  assert.equal(await runtime.inspect(spec.name), undefined);
});

test("on-failure:0 is never restarted by the Engine", async ({ docker, run, begin }) => {
  assert.equal((await run({ restart: { kind: "onFailure", attemptsMax: 0 }, cmd: ["false"] })).exitCode, 1);
  const id = await begin({ restart: { kind: "onFailure", attemptsMax: 0 }, cmd: ["sh", "-c", "echo up; sleep 1000"] });
  assert.equal((await docker.getContainer(id).inspect()).HostConfig.RestartPolicy!.Name, "no");
});

test("exec() in one that has ended is refused with the Engine's words", async ({ runtime, begin }) => {
  const id = await begin({ cmd: ["sh", "-c", "echo up; exec sleep 1000"] });
  await runtime.stop(id, 0);
  const session = runtime.exec(id, { command: ["true"], tty: false, stdin: false });
  await assert.rejects(session, { code: "failed", message: /is not running/ });
});
