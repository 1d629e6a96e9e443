/**
 * Containers on a real Engine: what Ormen adds to the Engine's own calls, and how it compares with the Engine's own orchestrator.
 * Both sides make the same containers of the same image; all ends are seen at the same place, the Engine's events.
 *
 *   start-1   one at a time
 *   start-n   a batch of 60, against 60 bare calls at the best of several widths
 *   swarm     60 replicas of a service, against `docker service`
 */
import type Docker from "dockerode";
import { createOptions } from "../../../lib/adapters/docker_translate.ts";
import { connect } from "../../../lib/client/mod.ts";
import { LABEL_NODE } from "../../../lib/contracts/runtime.ts";
import type { Row } from "../figures.ts";
import { median } from "../figures.ts";
import { dockerAt } from "../../fixtures/engine.ts";
import { BUSYBOX_IMAGE, ensureImages } from "../../fixtures/images.ts";
import type { DeckProcess, Watched } from "../processes.ts";
import { ORMEN, spawn, startDeck, until, watch } from "../processes.ts";
import { ask, pieces } from "../raw_http.ts";

type Client = ReturnType<typeof connect>;

const CMD = ["sleep", "1000"];
const LABEL = "ormen-bench.bare";
const SERVICE = "ormen-bench";
const MIB = 2 ** 20;
const PATIENCE_MS = 120_000;
/** Cores of each of many, so that all of them fit on a small machine. */
const SMALL = 0.03;

/** One Engine, one deck, one sailor, and what the Engine tells of its containers. */
interface Ground {
  readonly docker: Docker;
  readonly host: string;
  readonly client: Client;
  readonly deck: DeckProcess;
  readonly sailor: Watched;
  readonly nodeId: string;
  /** Resolves with the time of the last when so many more containers have started. */
  starts(count: number): Promise<number>;
  /** The same of containers that have ended. */
  ends(count: number): Promise<number>;
}

async function withGround<T>(host: string, use: (ground: Ground) => Promise<T>): Promise<T> {
  const docker = dockerAt(host);
  await ensureImages(docker);
  const deck = await startDeck();
  const child = spawn(
    ORMEN,
    [],
    [
      ...["sailor", "-H", "127.0.0.1", "-p", "0", "--join", deck.url, "--data-dir", `${deck.directory}/sailor`],
    ],
    "null",
    { DOCKER_HOST: host },
  );
  const sailor = watch(child);
  const client = connect(deck.url);
  const counts = followEvents(host);
  let nodeId = "";
  try {
    await until(async () => {
      for await (const { id, status } of client.nodes()) if (status === "ready") nodeId = id;
      return nodeId !== "";
    });
    const { starts, ends } = await counts;
    return await use({ docker, host, client, deck, sailor, nodeId, starts, ends });
  } finally {
    await sailor.end();
    await deck.end();
    await removeAll({ docker, nodeId });
    (await counts).close();
  }
}

async function followEvents(host: string) {
  const connection = await ask({ path: host.replace("unix://", "") }, {
    path: `/events?filters=${encodeURIComponent('{"type":["container"],"event":["start","die"]}')}`,
  });
  let closed = false;
  const waits: { kind: "start" | "die"; left: number; done: (atMs: number) => void }[] = [];
  void (async () => {
    try {
      for await (const piece of pieces(connection)) {
        const atMs = performance.now();
        for (const [, kind] of piece.matchAll(/"Action":"(start|die)"/g)) {
          for (const wait of [...waits]) {
            if (wait.kind !== kind || --wait.left > 0) continue;
            waits.splice(waits.indexOf(wait), 1);
            wait.done(atMs);
          }
        }
      }
    } catch (error) {
      if (!closed) throw error;
    }
  })();
  const after = (kind: "start" | "die") => (count: number) =>
    new Promise<number>((resolve, reject) => {
      const wait = { kind, left: count, done };
      const late = () =>
        reject(
          new Error(
            `${count} events of the kind ${kind} did not come, ${wait.left} are missing; has the machine room?`,
          ),
        );
      const timer = setTimeout(late, PATIENCE_MS);
      waits.push(wait);
      function done(atMs: number): void {
        clearTimeout(timer);
        resolve(atMs);
      }
    });
  const close = () => {
    closed = true;
    connection.close();
  };
  return { starts: after("start"), ends: after("die"), close };
}

/** The bench's own: bare ones, those of its sailor, and those of its swarm service; the Engine may be in use by others. */
function isOurs({ Labels }: Docker.ContainerInfo, nodeId: string): boolean {
  return LABEL in Labels || Labels[LABEL_NODE] === nodeId || Labels["com.docker.swarm.service.name"] === SERVICE;
}

async function removeAll({ docker, nodeId }: Pick<Ground, "docker" | "nodeId">): Promise<void> {
  const left = (await docker.listContainers({ all: true })).filter((each) => isOurs(each, nodeId));
  await inParallel(8, left, async ({ Id }) => {
    try {
      await docker.getContainer(Id).remove({ force: true, v: true });
    } catch (error) {
      // Gone, or going: the swarm removes its own as well.
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== 404 && statusCode !== 409) throw error;
    }
  });
}

async function inParallel<T>(width: number, items: readonly T[], work: (item: T, i: number) => Promise<unknown>) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < items.length) await work(items[next], next++);
  }));
}

/** As the sailor's runtime asks for them. */
function bareOptions(name: string, cpuCores: number | null): Docker.ContainerCreateOptions {
  return createOptions(
    {
      ...{ name, image: BUSYBOX_IMAGE, entrypoint: null, cmd: CMD, env: {}, labels: { [LABEL]: "yes" }, ports: [] },
      ...{ volumes: [], network: "bridge", restart: { kind: "no" }, cpuCores, memoryBytes: 16 * MIB, user: null },
      ...{ workdir: null, stopSignal: null },
    } as unknown as Parameters<typeof createOptions>[0],
    "bench",
  );
}

/** Removed behind its back after each measurement: it is not to come back. */
const task = (name: string, cpu?: number) => ({
  ...{ name, image: BUSYBOX_IMAGE, cmd: CMD, memory: "16MiB", reschedule: false },
  ...(cpu === undefined ? {} : { cpu }),
});

async function bareStart(docker: Docker, name: string, cpuCores: number | null = null): Promise<void> {
  const container = await docker.createContainer(bareOptions(name, cpuCores));
  await container.start();
}

export const startOne: Row = {
  name: "start-1",
  needsEngine: true,
  run: (bench) =>
    withGround(bench.engine!, async ({ docker, client, deck, sailor, nodeId, starts }) => {
      const [count, warm] = bench.full ? [50, 5] : [6, 1];
      const bare: number[] = [];
      const ormen: number[] = [];
      for (let i = -warm; i < count; i++) {
        const order = [startBare, startOrmen];
        // Whoever is second finds the Engine with one container more.
        if (i % 2 !== 0) order.reverse();
        for (const start of order) await start(i);
        await removeAll({ docker, nodeId });
        // What the sailor does about that is not to fall into the next measurement.
        await until(async () => (await client.task(`one-${i}`)).endedAt !== null);
        if (i === -1) { for (const process of [deck, sailor]) process.usage(""); }
      }
      const share = median(ormen) / median(bare);
      return {
        figures: [
          { what: `POST to running, one at a time (n = ${count})`, unit: "ms", values: ormen },
          { what: "  bare create and start", unit: "ms", values: bare },
          { what: "  ratio of the medians", unit: "x", values: [share], reach: { atMost: 1.05 } },
          { what: "  ratios of pairs", unit: "x", values: ormen.map((ms, k) => ms / bare[k]) },
        ],
        usage: [deck.usage("deck"), sailor.usage("sailor")],
      };

      async function startBare(i: number): Promise<void> {
        const running = starts(1);
        const fromMs = performance.now();
        await bareStart(docker, `bare-${i}`);
        const ms = await running - fromMs;
        if (i >= 0) bare.push(ms);
      }

      async function startOrmen(i: number): Promise<void> {
        const running = starts(1);
        const fromMs = performance.now();
        await client.submit(task(`one-${i}`));
        const ms = await running - fromMs;
        if (i >= 0) ormen.push(ms);
      }
    }),
};

export const startMany: Row = {
  name: "start-n",
  needsEngine: true,
  run: (bench) =>
    withGround(bench.engine!, async ({ docker, client, deck, sailor, nodeId, starts }) => {
      const [count, repetitions] = bench.full ? [60, 5] : [20, 1];
      const cpu = { deck: 0, sailor: 0 };
      let round = 0;

      // Which width is best for the bare calls is found out first, and warms both sides up.
      const tries = new Map<number, number>();
      for (const width of bench.full ? [6, 8, 12, 16] : [8]) tries.set(width, await bareMany(width));
      const [width] = [...tries].sort((a, b) => b[1] - a[1])[0];
      const bare: number[] = [];
      const ormen: number[] = [];
      for (let i = bench.full ? -1 : 0; i < repetitions; i++) {
        const first = i % 2 === 0 ? await bareMany(width) : 0;
        const ours = await ormenMany();
        const second = first || await bareMany(width);
        if (i < 0) continue;
        bare.push(second);
        ormen.push(ours);
        bench.say(`start-n: ${ours.toFixed(2)}/s, bare ${second.toFixed(2)}/s`);
      }
      return {
        figures: [
          { what: `${count} in a batch until all run`, unit: "/s", values: ormen },
          { what: `  bare calls, ${width} at once`, unit: "/s", values: bare },
          {
            what: "  ratio of the medians",
            unit: "x",
            values: [median(ormen) / median(bare)],
            reach: { atLeast: 0.95 },
          },
          { what: "  bare calls, once each, at other widths", unit: "/s", values: [...tries.values()] },
        ],
        usage: [
          { process: "deck", cpu: cpu.deck, peakMiB: deck.usage("").peakMiB },
          { process: "sailor", cpu: cpu.sailor, peakMiB: sailor.usage("").peakMiB },
        ],
      };

      async function many(start: (name: string) => Promise<unknown>): Promise<number> {
        const running = starts(count);
        const fromMs = performance.now();
        await start(`many-${round++}`);
        const seconds = (await running - fromMs) / 1000;
        await removeAll({ docker, nodeId });
        return count / seconds;
      }

      function bareMany(width: number): Promise<number> {
        const names = Array.from({ length: count }, (_, i) => i);
        return many((name) => inParallel(width, names, (i) => bareStart(docker, `${name}-${i}`, SMALL)));
      }

      async function ormenMany(): Promise<number> {
        const before = { deck: deck.cpuSeconds(), sailor: sailor.cpuSeconds() };
        const perSecond = await many((name) =>
          client.submitBatch(Array.from({ length: count }, (_, i) => task(`${name}-${i}`, SMALL)))
        );
        cpu.deck = (deck.cpuSeconds() - before.deck) * perSecond / count;
        cpu.sailor = (sailor.cpuSeconds() - before.sailor) * perSecond / count;
        return perSecond;
      }
    }),
};

export const swarm: Row = {
  name: "swarm",
  needsEngine: true,
  run: (bench) =>
    withGround(bench.engine!, async ({ docker, host, client, deck, sailor, nodeId, starts, ends }) => {
      const [count, repetitions] = bench.full ? [60, 5] : [10, 1];
      await dockerCommand(host, ["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:0"]);
      const times = { ormenStart: [], swarmStart: [], ormenEnd: [], swarmEnd: [] } as Record<string, number[]>;
      try {
        for (let i = bench.full ? -1 : 0; i < repetitions; i++) {
          const note = (key: string, ms: number) => {
            if (i >= 0) times[key].push(ms / 1000);
          };
          await measureSwarm(note);
          await measureOrmen(note, i);
          await until(async () => (await containers()).length === 0, 100);
          if (i >= 0) {
            bench.say(
              `swarm: ${times.swarmStart.at(-1)?.toFixed(1)} s, ormen: ${times.ormenStart.at(-1)?.toFixed(1)} s`,
            );
          }
        }
      } finally {
        await dockerCommand(host, ["swarm", "leave", "--force"]);
      }
      const ratio = (a: readonly number[], b: readonly number[]) => [median(a) / median(b)];
      return {
        figures: [
          { what: `service of ${count}, until all run: Ormen`, unit: "s", values: times.ormenStart },
          { what: "  docker service create", unit: "s", values: times.swarmStart },
          {
            what: "  how many times as fast (medians)",
            unit: "x",
            values: ratio(times.swarmStart, times.ormenStart),
            reach: { atLeast: 1.5 },
          },
          { what: `removal of ${count}, until all have ended: Ormen`, unit: "s", values: times.ormenEnd },
          { what: "  docker service rm", unit: "s", values: times.swarmEnd },
          {
            what: "  how many times as fast (medians)",
            unit: "x",
            values: ratio(times.swarmEnd, times.ormenEnd),
            reach: { atLeast: 1 },
          },
        ],
        usage: [deck.usage("deck, all of the row"), sailor.usage("sailor, all of the row")],
      };

      async function containers() {
        const all = await docker.listContainers({ all: false });
        return all.filter((each) => isOurs(each, nodeId));
      }

      /** The process ends as soon as it is told to, or removal would measure the patience of both. */
      async function measureSwarm(note: (key: string, ms: number) => void): Promise<void> {
        const running = starts(count);
        const startMs = performance.now();
        await dockerCommand(host, [
          ...["service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", SERVICE],
          ...[
            "--replicas",
            `${count}`,
            "--limit-cpu",
            `${SMALL}`,
            "--limit-memory",
            "16MiB",
            BUSYBOX_IMAGE,
            ...STOPPABLE,
          ],
        ]);
        note("swarmStart", await running - startMs);
        const over = ends(count);
        const endMs = performance.now();
        await dockerCommand(host, ["service", "rm", SERVICE]);
        note("swarmEnd", await over - endMs);
        await until(async () => (await containers()).length === 0, 50);
        await removeAll({ docker, nodeId });
      }

      async function measureOrmen(note: (key: string, ms: number) => void, i: number): Promise<void> {
        const name = `bench${i + 1}`;
        const running = starts(count);
        const startMs = performance.now();
        await client.services.apply({
          name,
          replicas: count,
          task: { image: BUSYBOX_IMAGE, cmd: STOPPABLE, cpu: SMALL, memory: "16MiB", pull: "missing" },
        });
        note("ormenStart", await running - startMs);
        const over = ends(count);
        const endMs = performance.now();
        await client.services.remove(name);
        note("ormenEnd", await over - endMs);
        await until(async () => (await containers()).length === 0, 50);
        await removeAll({ docker, nodeId });
      }
    }),
};

const STOPPABLE = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"];

async function dockerCommand(host: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("docker", { args: [...args], env: { DOCKER_HOST: host } })
    .output();
  if (!success) throw new Error(`docker ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
