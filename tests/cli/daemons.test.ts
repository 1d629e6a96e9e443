/** deck, sailor and dev: their options, their units, and their life. */
import assert from "node:assert/strict";
import { type DeckFlags, deckOptions, withSchedulerAndTimes } from "../../lib/cli/deck.ts";
import { devOptions } from "../../lib/cli/dev.ts";
import { runUntilSignal } from "../../lib/cli/lifetime.ts";
import { addressesOf, isLoopback, joinOf, type Running } from "../../lib/cli/options.ts";
import { type SailorFlags, sailorOptions } from "../../lib/cli/sailor.ts";
import { withoutSecrets } from "../../lib/cli/listen.ts";
import { Exited, fakeIo, type IoSetup, ormen } from "./support.ts";

const context = (setup: IoSetup = {}) => ({ io: fakeIo({ env: { HOME: "/home/a", ...setup.env } }), exitCode: 0 });
const LISTEN = { host: "127.0.0.1", dbType: "persistent" as const };
const DECK: DeckFlags = {
  ...LISTEN,
  port: "5555",
  scheduler: "epvm",
  heartbeat: "2s",
  nodeTimeout: "10s",
  keepTasks: "20000",
  keepFor: "72h",
};
const SAILOR: SailorFlags = { ...LISTEN, port: "5556", runtime: "docker", reserveCpu: "0", reserveMemory: "0" };

Deno.test("deckOptions() has the defaults of the table", () => {
  const { logFormat: _, dataDir, ...options } = deckOptions(context({ env: { STATE_DIRECTORY: "/state" } }), DECK);
  assert.equal(dataDir, "/state/deck");
  assert.deepEqual(options, {
    host: "127.0.0.1",
    port: 5555,
    tokens: null,
    insecure: false,
    tls: null,
    caCerts: [],
    dbType: "persistent",
    workers: [{ address: "localhost:5556", tls: false, token: null }],
    scheduler: "epvm",
    heartbeatMs: 2000,
    nodeTimeoutMs: 10_000,
    keepTasks: 20_000,
    keepForMs: 259_200_000,
  });
});

Deno.test("deckOptions() reads workers and their tokens", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "# tokens\nb:2 secret-of-sailor-b\n\n");
  const env = { ORMEN_TOKEN: "mine-and-long-enough" };
  const own = { kind: "text" as const, token: "mine-and-long-enough" };
  const given = deckOptions(context({ env }), { ...DECK, workers: ["a,https://b:2", "c:3"], workerTokens: file });
  assert.deepEqual(given.workers, [
    { address: "a:5556", tls: false, token: own },
    { address: "b:2", tls: true, token: { kind: "worker", path: file, address: "b:2" } },
    { address: "c:3", tls: false, token: own },
  ]);
  assert.deepEqual(deckOptions(context(), { ...DECK, workers: [""] }).workers, []);
  await Deno.remove(file);
});

Deno.test("addressesOf() keeps each address once, as it was given", () => {
  assert.deepEqual(addressesOf("-w", ["localhost:8080,localhost:8081", "localhost:8080", "[::1]:9"], 5556), [
    { address: "localhost:8080", tls: false },
    { address: "localhost:8081", tls: false },
    { address: "[::1]:9", tls: false },
  ]);
  assert.deepEqual(addressesOf("-w", ["https://a:1,http://b,https://c/"], 5556), [
    { address: "a:1", tls: true },
    { address: "b:5556", tls: false },
    { address: "c:5556", tls: true },
  ]);
});

Deno.test("sailors on other ports keep their data apart", () => {
  const env = { STATE_DIRECTORY: "/state" };
  assert.equal(sailorOptions(context({ env }), SAILOR).dataDir, "/state/sailor");
  assert.equal(sailorOptions(context({ env }), { ...SAILOR, port: "8081" }).dataDir, "/state/sailor-8081");
});

Deno.test("sailorOptions() reads all its flags", () => {
  const options = sailorOptions(context({ env: { ORMEN_TOKEN: "t-that-is-long-enough" } }), {
    ...SAILOR,
    host: "0.0.0.0",
    name: "host-a",
    join: "deck",
    labels: ["zone=eu,disk=ssd", "a="],
    runtime: "docker,process",
    allowBinds: ["/srv", "/data"],
    allowHostNetwork: true,
    reserveCpu: "0.5",
    reserveMemory: "512MiB",
    advertiseHost: "host-a.example",
    registryAuth: "/auth.json",
    adopt: true,
    dataDir: "/data",
    logFormat: "json",
  });
  assert.deepEqual(options, {
    host: "0.0.0.0",
    port: 5556,
    tokens: { kind: "text", token: "t-that-is-long-enough" },
    insecure: false,
    tls: null,
    caCerts: [],
    dbType: "persistent",
    dataDir: "/data",
    logFormat: "json",
    name: "host-a",
    join: "http://deck:5555",
    joinToken: { kind: "text", token: "t-that-is-long-enough" },
    labels: { zone: "eu", disk: "ssd", a: "" },
    runtimes: ["docker", "process"],
    allowBinds: ["/srv", "/data"],
    allowHostNetwork: true,
    http: true,
    reserveCpuCores: 0.5,
    reserveMemoryBytes: 512 * 2 ** 20,
    advertiseHost: "host-a.example",
    registryAuthFile: "/auth.json",
    adopt: true,
  });
});

Deno.test("a sailor allows nothing of its host unless told, and --allow-binds takes absolute paths", async () => {
  assert.equal(sailorOptions(context(), { ...SAILOR, http: false }).http, false);
  const { runtimes, allowBinds, allowHostNetwork } = sailorOptions(context(), SAILOR);
  assert.deepEqual({ runtimes, allowBinds, allowHostNetwork }, {
    runtimes: ["docker"],
    allowBinds: [],
    allowHostNetwork: false,
  });
  for (const path of ["srv", "./srv", "/srv:/in", ""]) {
    const { code, err } = await ormen(["sailor", "--allow-binds", "/data", path]);
    assert.equal(code, 2);
    assert.match(err, /^error: --allow-binds needs an absolute path without colons/);
  }
});

const JOINS: readonly [string, string][] = [
  ["deck", "http://deck:5555"],
  ["deck:6000", "http://deck:6000"],
  ["https://deck.example", "https://deck.example"],
  ["wss://deck:5555/", "https://deck:5555"],
];
for (const [text, url] of JOINS) Deno.test(`joinOf() ${text}`, () => assert.equal(joinOf(text), url));

Deno.test("devOptions() puts both on loopback, with data side by side", () => {
  const flags = { ...DECK, port: "0", runtime: "process", dataDir: "/data" };
  const { deck, sailor } = devOptions(context(), flags);
  assert.deepEqual([deck.host, deck.port, deck.dataDir, deck.workers], ["127.0.0.1", 0, "/data/deck", []]);
  assert.deepEqual([sailor.host, sailor.port, sailor.dataDir, sailor.runtimes], [
    "127.0.0.1",
    0,
    "/data/sailor",
    ["process"],
  ]);
});

for (
  const [host, loopback] of [["127.0.0.1", true], ["127.9.9.9", true], ["::1", true], ["localhost", true]] as const
) {
  Deno.test(`isLoopback() ${host}`, () => assert.equal(isLoopback(host), loopback));
}
for (const host of ["0.0.0.0", "::", "10.0.0.1", "deck", "127.0.0.1.example"]) {
  Deno.test(`isLoopback() not ${host}`, () => assert.equal(isLoopback(host), false));
}

for (const who of ["deck", "sailor"]) {
  Deno.test(`ormen ${who} does not listen on a network without a token`, async () => {
    const { code, err } = await ormen([who, "-H", "0.0.0.0"]);
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^error: the ${who} will not listen on 0\\.0\\.0\\.0 without a token`));
    assert.match(err, /--token-file token or ORMEN_TOKEN\n.*--insecure\n$/);
  });
}

Deno.test("an empty or missing token file is an error, not an open door", async () => {
  const file = await Deno.makeTempFile();
  const empty = await ormen(["deck", "-H", "0.0.0.0", "--token-file", file]);
  assert.match(empty.err, /^error: the token file .* is empty/);
  const missing = await ormen(["deck", "--token-file", "/nowhere/token"]);
  assert.equal(missing.err, "error: cannot read the token file /nowhere/token: no such file\n");
  await Deno.remove(file);
});

Deno.test("withoutSecrets() counts a token file as a token", () => {
  assert.equal(withoutSecrets({ ...DECK, tokenFile: "/t" }).insecure, true);
  assert.equal(withoutSecrets(DECK).insecure, false);
  assert.equal(typeof withSchedulerAndTimes, "function");
});

Deno.test("deck --print-unit repeats its flags and hands files over", async () => {
  const { code, out } = await ormen(
    ["deck", "-H", "0.0.0.0", "-w", "a:1,b:2", "--token-file=/etc/ormen/token", "--data-dir", "/da ta", "--print-unit"],
  );
  assert.equal(code, 0);
  assert.match(
    out,
    /^ExecStart=\/usr\/local\/bin\/ormen deck -H 0\.0\.0\.0 -w a:1,b:2 --token-file %d\/token-file --data-dir "\/da ta"$/m,
  );
  assert.match(out, /^LoadCredential=token-file:\/etc\/ormen\/token$/m);
  assert.match(out, /^DynamicUser=yes$/m);
  assert.match(out, /^InaccessiblePaths=.*docker\.sock/m);
  assert.doesNotMatch(out, /SupplementaryGroups/);
});

Deno.test("sailor --print-unit differs with the runtime; wrong flags make no unit", async () => {
  const docker = await ormen(["sailor", "--print-unit", "--json"]);
  assert.match(JSON.parse(docker.out).unit, /^SupplementaryGroups=docker$/m);
  const processes = await ormen(["sailor", "--print-unit", "--runtime", "process"]);
  assert.match(processes.out, /^KillMode=process$/m);
  assert.match(processes.out, /^User=root$/m);
  const wrong = await ormen(["sailor", "--print-unit", "--runtime", "podman"]);
  assert.equal(wrong.code, 2);
  assert.equal(wrong.out, "");
  const open = await ormen(["deck", "--print-unit", "-H", "0.0.0.0"], {
    env: { ORMEN_TOKEN: "t-that-is-long-enough" },
  });
  assert.equal(open.code, 1, "the variable of this shell is not in the unit");
});

/** A part that notes what is done to it. */
function part(name: string, log: string[], about?: string) {
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>();
  const running: Running = {
    url: `http://127.0.0.1/${name}`,
    about,
    finished,
    stop() {
      log.push(`stop ${name}`);
      resolve();
      return Promise.resolve();
    },
  };
  return { name, address: "127.0.0.1:5555", start: () => Promise.resolve(running), resolve, reject };
}

Deno.test("runUntilSignal() starts in order, says where, and stops in reverse", async () => {
  const log: string[] = [];
  const io = fakeIo();
  const parts = [part("deck", log, "data in /d, term 3"), part("sailor", log)];
  const done = runUntilSignal({ io, exitCode: 0 }, parts, false);
  io.signals.get("SIGTERM")!();
  assert.equal(await done, 0);
  assert.deepEqual(log, ["stop deck"], "a signal during the start starts no more");
  assert.equal(io.output.err, "deck listens on http://127.0.0.1/deck (data in /d, term 3)\n");
  assert.equal(io.signals.size, 0);
});

Deno.test("runUntilSignal() ends when a part ends, and fails with its error", async () => {
  const log: string[] = [];
  const [deck, sailor] = [part("deck", log), part("sailor", log)];
  const ending = runUntilSignal({ io: fakeIo(), exitCode: 0 }, [deck, sailor], false);
  deck.resolve();
  assert.equal(await ending, 0);
  assert.deepEqual(log, ["stop sailor", "stop deck"]);
  const failing = part("deck", log);
  const done = runUntilSignal({ io: fakeIo(), exitCode: 0 }, [failing], false);
  failing.reject(new Error("another deck has taken over"));
  await assert.rejects(done, /another deck has taken over/);
});

Deno.test("runUntilSignal() --json prints a line for programs; a second signal leaves at once", async () => {
  const io = fakeIo();
  const done = runUntilSignal({ io, exitCode: 0 }, [part("deck", [])], true);
  io.signals.get("SIGINT")!();
  assert.throws(() => io.signals.get("SIGINT")!(), new Exited(1));
  await done;
  assert.equal(io.output.out, '{"name":"deck","url":"http://127.0.0.1/deck"}\n');
});

Deno.test("runUntilSignal() names a port that is taken", async () => {
  const start = () => Promise.reject(new Deno.errors.AddrInUse("Address already in use (os error 98)"));
  const parts = [{ name: "deck", address: "127.0.0.1:5555", start }];
  await assert.rejects(runUntilSignal({ io: fakeIo(), exitCode: 0 }, parts, false), {
    message: "the deck cannot listen on 127.0.0.1:5555: the port is in use",
    exitCode: 1,
  });
});
