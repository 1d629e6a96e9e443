/** Decks and sailors as operators start them: joining and static, names, labels, tokens, schedulers, where state is kept. */
import assert from "node:assert/strict";
import type { NodeView } from "../../lib/messages/api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { command, Fleet, freePorts, http, Process } from "./support.ts";

const nodesOf = async (fleet: Fleet) => (await fleet.json<{ nodes: NodeView[] }>("mast")).nodes;
const host = (name: string, ...flags: string[]) => ["--runtime", "process", "-n", name, ...flags];
const sleeper = { runtime: "process", cmd: ["sleep", "1000"], cpu: 0.01 };

Deno.test("sailors that join bear their own names, labels and reserves, and are the same node after a restart", () => {
  let named = true;
  const flagsOfA = () => ["--labels", "zone=eu,disk=ssd", "--labels", "tier=1"];
  const reserve = ["--reserve-cpu", "0.5", "--reserve-memory", "1GiB"];
  const sailorFlags = (index: number) =>
    index === 1 ? host("host-b") : named ? [...host("host-a"), ...flagsOfA(), ...reserve] : ["--runtime", "process"];
  return Fleet.use(undefined, { sailors: 2, join: true, sailorFlags }, async (fleet) => {
    const byName = async (name: string) => (await nodesOf(fleet)).find((node) => node.name === name)!;
    const [a, b] = [await byName("host-a"), await byName("host-b")];
    assert.deepEqual(a.labels, { zone: "eu", disk: "ssd", tier: "1" });
    assert.deepEqual(a.runtimes, ["process"]);
    assert.equal(b.cpu.total - a.cpu.total, 0.5);
    assert.equal(b.memory.total - a.memory.total, 2 ** 30);
    assert.match(await fleet.ok("mast", "--wide"), /host-a .*ready .*disk=ssd,tier=1,zone=eu|host-a .*ready .*zone=eu/);
    await fleet.submit({ ...sleeper, name: "there", constraints: ["node.labels.disk == ssd", "node.name != host-b"] });
    assert.equal((await fleet.until("there", "running")).attempt!.node, "host-a");

    named = false;
    assert.equal(await fleet.sailors[0]!.end("SIGINT"), 0);
    fleet.startSailor(0);
    await eventually("it is back without its flags", async () => {
      const node = await byName("host-a");
      return node.status === "ready" && Object.keys(node.labels).length === 0;
    });
    assert.equal((await byName("host-a")).id, a.id, "name and id are kept in the data directory");
    await fleet.ok("stop", "there", "--wait");
  });
});

Deno.test("-w is a comma list and repeatable; a sailor that is not there yet is dialled until it is", async () => {
  const [port, ...workers] = freePorts(4);
  const dir = await Deno.makeTempDir();
  const names = workers.map((worker) => `localhost:${worker}`);
  const env = { ORMEN_DECK: `localhost:${port}` };
  const lists = ["-w", `${names[0]},${names[1]}`, "-w", names[2]];
  const started = [new Process(["deck", "-p", `${port}`, ...lists, "--data-dir", `${dir}/deck`])];
  try {
    const seen = async () =>
      JSON.parse((await command(["mast", "--json"], env)).stdout).nodes.map((node: NodeView) => node.name).sort();
    await eventually("the deck answers", async () => (await seen()).length === 0);
    await eventually("it has dialled in vain", () => started[0].log.includes("does not answer yet"));
    for (const worker of workers) {
      const flags = ["--runtime", "process", "--data-dir", `${dir}/${worker}`];
      started.push(new Process(["sailor", "-p", `${worker}`, ...flags]));
    }
    await eventually("all three are nodes under their addresses", async () => {
      return JSON.stringify(await seen()) === JSON.stringify([...names].sort());
    });
  } finally {
    for (const process of started) await process.end("SIGKILL");
    await Deno.remove(dir, { recursive: true });
  }
});

/** Tasks of the same size, one after the other, on two hosts. */
const SCHEDULERS: readonly (readonly [name: string, tasksPerNode: readonly number[] | null])[] = [
  ["roundrobin", [2, 2]],
  ["spread", [2, 2]],
  ["binpack", [0, 4]],
  ["greedy", null],
  ["epvm", null],
];

for (const [scheduler, perNode] of SCHEDULERS) {
  Deno.test(`deck -s ${scheduler} -d memory places tasks, and forgets them with its end`, () => {
    const deckFlags = ["-s", scheduler, "-d", "memory"];
    return Fleet.use(
      undefined,
      { sailors: 2, deckFlags, sailorFlags: () => ["--runtime", "process"] },
      async (fleet) => {
        assert.equal((await fleet.http("GET", "/v1/info")).body.scheduler, scheduler);
        for (const name of ["a", "b", "c", "d"]) {
          await fleet.submit({ ...sleeper, name });
          await fleet.until(name, "running");
        }
        const counts = (await nodesOf(fleet)).map((node) => node.tasks).sort();
        if (perNode) assert.deepEqual(counts, perNode);
        assert.equal(counts.reduce((sum, count) => sum + count, 0), 4);
        await fleet.ok("stop", "a", "b", "c", "d", "--wait");
        assert.deepEqual(await fleet.deck!.end(), 0);
        assert.deepEqual([...Deno.readDirSync(fleet.dir)].map(({ name }) => name).filter((n) => n === "deck"), []);
      },
    );
  });
}

Deno.test("tokens: a listener on the network asks for its own; sailors may have one each", async () => {
  const [deckPort, staticPort, joinPort, guestPort] = freePorts(4);
  const dir = await Deno.makeTempDir();
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(`${dir}/${name}`, text);
    return `${dir}/${name}`;
  };
  const deckToken = await write("deck-token", "deck-secret-of-a-test\n");
  const sailorToken = await write("sailor-token", "sailor-secret-of-a-test\n");
  const workerTokens = await write("worker-tokens", `localhost:${staticPort} sailor-secret-of-a-test\n`);
  const wide = ["-H", "0.0.0.0"];
  const process = ["--runtime", "process"];
  const started = [
    new Process([
      ...["deck", ...wide, "-p", `${deckPort}`, "-w", `localhost:${staticPort}`, "--data-dir", `${dir}/deck`],
      ...["--token-file", deckToken, "--worker-tokens", workerTokens],
    ]),
    new Process([
      ...["sailor", ...wide, ...process, "-p", `${staticPort}`, "--data-dir", `${dir}/static`],
      ...["--token-file", sailorToken],
    ]),
    new Process([
      ...["sailor", ...wide, ...process, "-p", `${joinPort}`, "--data-dir", `${dir}/joins`, "-n", "joins"],
      ...["--token-file", sailorToken, "--join", `http://localhost:${deckPort}`, "--join-token-file", deckToken],
      ...["--advertise-host", "127.0.0.1"],
    ]),
  ];
  const env = { ORMEN_DECK: `localhost:${deckPort}` };
  const url = `http://localhost:${deckPort}`;
  const bearer = { authorization: "Bearer deck-secret-of-a-test" };
  try {
    const nodes = await eventually("both sailors are ready", async () => {
      const { code, stdout } = await command(["mast", "--json", "--token-file", deckToken], env);
      if (code !== 0) return;
      const { nodes } = JSON.parse(stdout) as { nodes: NodeView[] };
      return nodes.length === 2 && nodes.every((node) => node.status === "ready") && nodes;
    });
    assert.deepEqual(nodes.map((node) => node.name).sort(), ["joins", `localhost:${staticPort}`]);
    const { address } = nodes.find((node) => node.name === "joins")!;
    assert.equal(address.replace(/^http:\/\//, ""), `127.0.0.1:${joinPort}`, "as it was told to say");

    const refused = await command(["status"], env);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /token[\s\S]*ORMEN_TOKEN or --token-file/);
    assert.equal((await command(["status"], { ...env, ORMEN_TOKEN: "wrong" })).code, 1);
    assert.equal((await command(["status"], { ...env, ORMEN_TOKEN: "deck-secret-of-a-test" })).code, 0);
    for (const path of ["/tasks", "/nodes", "/v1/tasks", "/v1/info", "/metrics", "/v1/session"]) {
      assert.equal((await http("GET", `${url}${path}`)).status, 401, path);
    }
    for (const path of ["/healthz", "/readyz"]) assert.equal((await http("GET", `${url}${path}`)).status, 200, path);
    assert.equal((await http("GET", `${url}/tasks`, undefined, bearer)).status, 200);
    assert.equal((await http("GET", `http://localhost:${staticPort}/tasks`)).status, 401);
    // Work, output and exec go over the sockets that those tokens open.
    const run = ["run", "--runtime", "process", "--name", "t", "--attach", "echo", "over there"];
    for (const constraint of ["node.name == joins", `node.name == localhost:${staticPort}`]) {
      const [verb, ...rest] = run;
      const answer = await command([verb, "--constraint", constraint, ...rest], {
        ...env,
        ORMEN_TOKEN: "deck-secret-of-a-test",
      });
      assert.deepEqual([answer.code, answer.stdout], [0, "over there\n"], constraint);
    }
    const logs = started.map((each) => each.log).join("");
    assert.ok(!logs.includes("secret"), logs);

    // Tokens that the deck makes: for a sailor that joins, for one who reads.
    const own = { ...env, ORMEN_TOKEN: "deck-secret-of-a-test" };
    const make = async (role: string) => {
      const made = await command(["token", "create", "--role", role, "--name", `for-${role}`], own);
      assert.equal(made.code, 0, made.stderr);
      return made.stdout.trim();
    };
    const reader = { ...env, ORMEN_TOKEN: await make("read") };
    assert.equal((await command(["status"], reader)).code, 0);
    const drained = await command(["mast", "drain", "joins"], reader);
    assert.deepEqual([drained.code, /may only read/.test(drained.stderr)], [1, true], drained.stderr);
    const joinToken = await write("join-token", `${await make("join")}\n`);
    const guest = new Process([
      ...["sailor", ...process, "-p", `${guestPort}`, "--data-dir", `${dir}/guest`, "-n", "guest"],
      ...["--join", `http://localhost:${deckPort}`, "--join-token-file", joinToken],
    ]);
    started.push(guest);
    const statusOf = async (name: string) => {
      const { stdout } = await command(["mast", "--json"], own);
      return (JSON.parse(stdout) as { nodes: NodeView[] }).nodes.find((node) => node.name === name)?.status;
    };
    await eventually("the guest is ready", async () => await statusOf("guest") === "ready");
    assert.equal((await command(["token", "revoke", "for-join"], own)).code, 0);
    await eventually("the guest is out", async () => await statusOf("guest") !== "ready");
    // A new token in the file, and it is back without a restart; the deck's own is rotated likewise.
    await write("join-token", `${await make("join")}\n`);
    await eventually("the guest is back", async () => await statusOf("guest") === "ready");
    await write("deck-token", "the-next-secret-of-a-test\ndeck-secret-of-a-test\n");
    const next = { ...env, ORMEN_TOKEN: "the-next-secret-of-a-test" };
    await eventually("the new one is right", async () => (await command(["status"], next)).code === 0);
    assert.equal((await command(["status"], own)).code, 0, "and the old one still");
    await write("deck-token", "the-next-secret-of-a-test\n");
    await eventually("the old one is wrong", async () => (await command(["status"], own)).code === 1);
  } finally {
    for (const each of started) await each.end("SIGKILL");
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a persistent deck keeps its tasks, its cluster and its order of events", () =>
  Fleet.use(
    undefined,
    { sailorFlags: () => ["--runtime", "process"] },
    async (fleet) => {
      await fleet.submit({ ...sleeper, name: "lives" });
      await fleet.until("lives", "running");
      const before = (await fleet.http("GET", "/v1/info")).body;
      const newest = (await fleet.http("GET", "/v1/events?limit=1000")).body.events.at(-1).id;
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        await fleet.deck!.end(signal);
        fleet.startDeck();
        await fleet.ready();
      }
      const after = (await fleet.http("GET", "/v1/info")).body;
      assert.deepEqual([after.clusterId, after.term], [before.clusterId, before.term + 2]);
      const { events } = (await fleet.http("GET", `/v1/events?after=${newest}`)).body;
      assert.equal(events[0].id, newest + 1);
      assert.equal((await fleet.until("lives", "running")).attempts, 1);
      await fleet.ok("stop", "lives", "--wait");
    },
  ));
