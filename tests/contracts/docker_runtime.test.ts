import assert from "node:assert/strict";
import type Docker from "dockerode";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { ContainerSpec, Runtime, RuntimeEvent } from "../../lib/contracts/runtime.ts";
import { LABEL_NODE } from "../../lib/contracts/runtime.ts";
import type { Engine } from "../fixtures/engine.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE, ensureImages } from "../fixtures/images.ts";
import type { Subject } from "./runtime.contract.ts";
import {
  exited,
  never,
  PATIENT_MS,
  plainSpec,
  running,
  runtimeContract,
  shellOf,
  spoken,
  text,
  withCode,
} from "./runtime.contract.ts";
import { stepContract } from "./step.contract.ts";

/** One process of several may run these tests on one Engine. */
const RUN = `ormen-contract-${Deno.pid}`;
let subjects = 0;

interface DockerSubject extends Subject {
  readonly docker: Docker;
  readonly prefix: string;
}

async function dockerSubject({ docker, host }: Engine): Promise<DockerSubject> {
  await ensureImages(docker);
  const prefix = `${RUN}-${++subjects}`;
  const nodes = new Set<string>();
  return {
    docker,
    prefix,
    open(nodeId = "node") {
      nodes.add(`${prefix}-${nodeId}`);
      return Promise.resolve(
        createDockerRuntime({ host, nodeId: `${prefix}-${nodeId}`, clock: createSystemClock() }),
      );
    },
    spec: (name, behaviour) => ({
      ...plainSpec(`${prefix}-${name}`),
      image: BUSYBOX_IMAGE,
      // Networks are the slowest part of a start.
      network: "none",
      cmd: ["sh", "-c", shellOf(behaviour)],
    }),
    until: (what, look) => eventually(what, look),
    during: (call) => call,
    async close() {
      for (const node of nodes) {
        const rows = await docker.listContainers({ all: true, filters: { label: [`${LABEL_NODE}=${node}`] } });
        await Promise.all(rows.map((row) => docker.getContainer(row.Id).remove({ force: true, v: true })));
      }
    },
  };
}

let engine: Engine;
runtimeContract(
  (name, fn) =>
    testWithEngine(`docker runtime: ${name}`, async (found) => {
      engine = found;
      await fn();
    }),
  () => dockerSubject(engine),
  { echoCommand: ["sh", "-c", "cat; exit 3"], files: true },
);

stepContract(
  (name, fn) =>
    testWithEngine(`docker runtime: ${name}`, async (found) => {
      engine = found;
      await fn();
    }),
  () => dockerSubject(engine),
);

function test(name: string, fn: (subject: DockerSubject, runtime: Runtime) => Promise<void>): void {
  testWithEngine(`docker runtime: ${name}`, async (found) => {
    const subject = await dockerSubject(found);
    try {
      await fn(subject, await subject.open());
    } finally {
      await subject.close();
    }
  });
}

function shell(subject: Subject, name: string, script: string, change: Partial<ContainerSpec> = {}): ContainerSpec {
  return { ...subject.spec(name, {}), cmd: ["sh", "-c", script], ...change };
}

async function run(runtime: Runtime, spec: ContainerSpec): Promise<void> {
  await runtime.create(spec, never());
  await runtime.start(spec.name);
}

test("what was killed for its memory says so", async (subject, runtime) => {
  const spec = shell(subject, "a", "head -c 200m /dev/zero | tail", { memoryBytes: 16 * 2 ** 20 });
  await run(runtime, { ...spec, cmd: ["tail", "/dev/zero"] });
  const seen = await exited(subject, runtime, spec.name);
  assert.deepEqual([seen.oomKilled, seen.exitCode], [true, 137]);
});

test("the Engine itself restarts on-failure:2 twice", async (subject, runtime) => {
  const spec = shell(subject, "a", "exit 5", { restart: { kind: "onFailure", attemptsMax: 2 } });
  await run(runtime, spec);
  const seen = await exited(subject, runtime, spec.name);
  assert.deepEqual([seen.runtimeRestarts, seen.exitCode], [2, 5]);
});

test("the Engine itself restarts unless-stopped, and `always` is sent as that", async (subject, runtime) => {
  for (const kind of ["unlessStopped", "always"] as const) {
    const spec = shell(subject, kind, "exit 0", { restart: { kind } });
    await run(runtime, spec);
    await subject.until("it came back", async () => (await runtime.inspect(spec.name))!.runtimeRestarts >= 1);
    const info = await subject.docker.getContainer(spec.name).inspect();
    assert.equal(info.HostConfig.RestartPolicy?.Name, "unless-stopped");
  }
});

test("stop() beats a container that is restarting", async (subject, runtime) => {
  const spec = shell(subject, "a", "exit 1", { restart: { kind: "always" } });
  await run(runtime, spec);
  await subject.until("it waits", async () => (await runtime.inspect(spec.name))!.status === "restarting");
  await runtime.stop(spec.name, 1_000);
  const stopped = await exited(subject, runtime, spec.name);
  const info = await subject.docker.getContainer(spec.name).inspect();
  assert.equal(info.HostConfig.RestartPolicy?.Name, "no");
  assert.equal(stopped.status, "exited");
});

test("restart() keeps the restart policy", async (subject, runtime) => {
  const spec = shell(subject, "a", shellOf({ lines: ["up"] }), { restart: { kind: "unlessStopped" } });
  await run(runtime, spec);
  await spoken(subject, runtime, spec.name);
  await runtime.restart(spec.name, PATIENT_MS);
  const info = await subject.docker.getContainer(spec.name).inspect();
  assert.equal(info.HostConfig.RestartPolicy?.Name, "unless-stopped");
});

test("a host port that is taken is a conflict; a free one is told", async (subject, runtime) => {
  const ports = (host: number | null) => [{ container: 80, host, hostIp: "127.0.0.1", protocol: "tcp" as const }];
  const first = shell(subject, "a", "sleep 1000", { network: "bridge", ports: ports(null) });
  await run(runtime, first);
  const bound = (await runtime.inspect(first.name))!.ports;
  assert.equal(bound.length, 1);
  assert.ok(bound[0].host > 0);
  assert.ok((await runtime.inspect(first.name))!.address);
  const second = shell(subject, "b", "sleep 1000", { network: "bridge", ports: ports(bound[0].host) });
  await runtime.create(second, never());
  await assert.rejects(runtime.start(second.name), withCode("conflict"));
});

test("create() without its image says noImage, with a senseless value invalid", async (subject, runtime) => {
  const spec = shell(subject, "a", "true");
  await assert.rejects(runtime.create({ ...spec, image: "ormen-test/none:0" }, never()), withCode("noImage"));
  assert.equal(await runtime.hasImage("ormen-test/none:0"), false);
  assert.equal(await runtime.hasImage(BUSYBOX_IMAGE), true);
  await assert.rejects(runtime.create({ ...spec, memoryBytes: 1024 }, never()), withCode("invalid"));
});

test("start() of a program that is not there tells the Engine's words", async (subject, runtime) => {
  const spec = { ...shell(subject, "a", ""), cmd: ["/no/such/program"] };
  await runtime.create(spec, never());
  await assert.rejects(runtime.start(spec.name), /no such file or directory|executable file not found/);
  assert.match((await runtime.inspect(spec.name))!.error ?? "", /no such file or directory|executable file not found/);
});

test("start() in a network that is not there is not a missing container", async (subject, runtime) => {
  const spec = shell(subject, "a", "true", { network: `${subject.prefix}-none` });
  const start = async () => {
    await runtime.create(spec, never());
    await runtime.start(spec.name);
  };
  await assert.rejects(start, withCode("failed"));
});

test("exec() with a terminal has its size", async (subject, runtime) => {
  const spec = shell(subject, "a", "sleep 1000");
  await run(runtime, spec);
  const session = await runtime.exec(spec.name, {
    command: ["sh", "-c", "read line; stty size"],
    tty: true,
    stdin: true,
    size: { columns: 91, rows: 33 },
  });
  await session.write(new TextEncoder().encode("\n"));
  let output = "";
  for await (const { data } of session.output) output += new TextDecoder().decode(data);
  assert.match(output, /33 91/);
  assert.equal(await session.exitCode, 0);
});

test("caps and limits of logs reach the Engine", async (subject, runtime) => {
  const spec = shell(subject, "a", "true", { memoryBytes: 64 * 2 ** 20, cpuCores: 0.25 });
  await runtime.create(spec, never());
  const { HostConfig: host } = await subject.docker.getContainer(spec.name).inspect();
  assert.equal(host.Memory, 64 * 2 ** 20);
  assert.equal(host.MemorySwap, 64 * 2 ** 20);
  assert.equal(host.NanoCpus, 250_000_000);
  assert.deepEqual(host.LogConfig, { Type: "json-file", Config: { "max-file": "3", "max-size": "10m" } });
});

test("nothing without the label is listed, stopped or removed", async (subject, runtime) => {
  const name = `${subject.prefix}-foreign`;
  const foreign = await subject.docker.createContainer({ name, Image: BUSYBOX_IMAGE, Cmd: ["sleep", "1000"] });
  try {
    await foreign.start();
    await runtime.stop(name, 0);
    await runtime.remove(name);
    assert.deepEqual(await runtime.list(), []);
    assert.equal((await foreign.inspect()).State.Running, true);
  } finally {
    await foreign.remove({ force: true });
  }
});

testWithEngine("docker runtime: an Engine that goes away and comes back", async ({ host }) => {
  if (!host.startsWith("unix://")) return; // The way in between is a socket.
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const runtime = createDockerRuntime({ host: `unix://${path}`, nodeId: `${RUN}-away`, clock: createSystemClock() });
  const abort = new AbortController();
  const events: RuntimeEvent[] = [];
  const reading = (async () => {
    for await (const event of runtime.events(abort.signal)) events.push(event);
  })();
  const kinds = () => events.map((e) => e.kind).join(" ");
  try {
    await assert.rejects(runtime.list(), withCode("unavailable"));
    await assert.rejects(runtime.info(), withCode("unavailable"));
    await assert.rejects(runtime.stop("a", 0), withCode("unavailable"));
    const first = relay(path, host.slice("unix://".length));
    await eventually("events flow", () => kinds() === "back");
    assert.deepEqual(await runtime.list(), []);
    await first.cut();
    await eventually("the loss was told", () => kinds() === "back lost");
    await assert.rejects(runtime.list(), withCode("unavailable"));
    const second = relay(path, host.slice("unix://".length));
    await eventually("they flow again", () => kinds() === "back lost back");
    await second.cut();
  } finally {
    abort.abort();
    await reading;
    await Deno.remove(dir, { recursive: true });
  }
});

/** Listens at `path` and passes everything on, until it is cut. */
function relay(path: string, target: string): { cut(): Promise<void> } {
  const listener = Deno.listen({ transport: "unix", path });
  const open = new Set<Deno.Conn>();
  const pipes: Promise<unknown>[] = [];
  const accepting = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({ transport: "unix", path: target });
      for (const end of [near, far]) open.add(end);
      pipes.push(near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable));
      for (const pipe of pipes) pipe.catch(() => {});
    }
  })();
  return {
    async cut() {
      listener.close();
      await accepting.catch(() => {});
      for (const end of open) {
        try {
          end.close();
        } catch {
          // Its pipe has closed it.
        }
      }
      await Promise.allSettled(pipes);
      await Deno.remove(path).catch(() => {});
    },
  };
}

test("logs() of one that runs can be read twice at once", async (subject, runtime) => {
  const spec = subject.spec("a", { lines: ["hello"] });
  await run(runtime, spec);
  await running(subject, runtime, spec.name);
  await spoken(subject, runtime, spec.name);
  assert.deepEqual(await Promise.all([text(runtime, spec.name), text(runtime, spec.name)]), ["hello\n", "hello\n"]);
});

test("leavings() of a container that is gone say that it is missing", async (_subject, runtime) => {
  await assert.rejects(runtime.leavings("no-such-one", 1_000), withCode("missing"));
});

test("any user of the image may write to ORMEN_OUTPUT, and nobody to the script", async (subject, runtime) => {
  const script = { text: 'echo k=v >>"$ORMEN_OUTPUT"; echo more >>/ormen/script', shell: ["sh"] };
  const spec = { ...subject.spec("a", {}), user: "1000", script, outputFile: true };
  await run(runtime, spec);
  assert.notEqual((await exited(subject, runtime, spec.name)).exitCode, 0);
  assert.equal((await runtime.leavings(spec.name, 1_000)).output, "k=v\n");
  const { Config } = await subject.docker.getContainer(spec.name).inspect();
  assert.deepEqual([Config.Entrypoint, Config.Cmd], [["sh", "/ormen/script"], null]);
});
