/** Who may listen where without a token: nobody, but on loopback, or with --insecure. */
import assert from "node:assert/strict";
import { type DeckFlags, deckOptions } from "../../lib/cli/deck.ts";
import { type SailorFlags, sailorOptions } from "../../lib/cli/sailor.ts";
import { skipUnless } from "../fixtures/skip.ts";
import { fakeIo, ormen } from "./support.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const LISTEN = { port: "0", dbType: "memory" as const };
const DECK: Omit<DeckFlags, "host"> = {
  ...LISTEN,
  scheduler: "epvm",
  heartbeat: "2s",
  nodeTimeout: "10s",
  keepTasks: "20000",
  keepFor: "72h",
};
const SAILOR: Omit<SailorFlags, "host"> = { ...LISTEN, runtime: "docker", reserveCpu: "0", reserveMemory: "0" };

type Env = Readonly<Record<string, string>>;

const PROGRAMS = {
  deck: (host: string, env: Env, insecure = false) =>
    deckOptions({ io: fakeIo({ env: { HOME: "/home/a", ...env } }), exitCode: 0 }, { ...DECK, host, insecure }),
  sailor: (host: string, env: Env, insecure = false) =>
    sailorOptions({ io: fakeIo({ env: { HOME: "/home/a", ...env } }), exitCode: 0 }, { ...SAILOR, host, insecure }),
};

const NETWORKS = [
  "0.0.0.0",
  "0",
  "::",
  "[::]",
  "::0",
  "0:0:0:0:0:0:0:0",
  "::ffff:0.0.0.0",
  "::ffff:127.0.0.1",
  "10.0.0.1",
  "fd00::1",
  "fe80::1%eth0",
  "deck.example",
  "localhost.example",
  "127.0.0.1.example",
  "127.0.0.1:80",
  "localhost:80",
  "[::1].example",
  "2130706433",
  "127.1",
  " 127.0.0.1",
  "",
];

for (const [who, options] of Object.entries(PROGRAMS)) {
  const refused = new RegExp(`^CommandFailure: the ${who} will not listen on .* without a token`);
  Deno.test(`${who} does not listen without a token where others may come from`, () => {
    for (const host of NETWORKS) assert.throws(() => options(host, {}), refused, `-H "${host}"`);
  });

  Deno.test(`${who}: a blank ORMEN_TOKEN is no token`, () => {
    for (const ORMEN_TOKEN of ["", " ", "\n"]) assert.throws(() => options("0.0.0.0", { ORMEN_TOKEN }), refused);
  });

  Deno.test(`${who} listens there with a token, with --insecure, and without either on loopback`, () => {
    assert.equal(options("::", { ORMEN_TOKEN: "a-token-that-is-long-enough" }).insecure, false);
    assert.equal(options("[::]", {}, true).host, "::");
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost"]) options(host, {});
  });

  Deno.test(`ormen ${who} says how it would listen, and ends`, async () => {
    const { code, out, err } = await ormen([who, "-H", "[::]", "-d", "memory"]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, new RegExp(`^error: the ${who} will not listen on :: without a token`));
    for (const way of ["--token-file", "ORMEN_TOKEN", "127.0.0.1", "--insecure"]) assert(err.includes(way), way);
  });
}

Deno.test("ormen dev listens on this machine only: it takes no other address", async () => {
  for (const flag of [["-H", "0.0.0.0"], ["--host", "::"], ["--insecure"]]) {
    const { code, err } = await ormen(["dev", "-d", "memory", ...flag]);
    assert.equal(code, 2, flag.join(" "));
    assert.match(err, /^error: unknown option/);
  }
});

const mayRemap = Deno.uid() === 0 &&
  (await new Deno.Command("unshare", { args: ["-m", "true"], stdout: "null", stderr: "null" }).output()
    .catch(() => ({ success: false }))).success;

Deno.test({
  name: "ormen deck -H localhost does not listen where that name leads to a network",
  ...skipUnless(mayRemap, "giving localhost another address for one process needs root and unshare"),
  async fn() {
    const address = Deno.networkInterfaces().find(({ family, name }) => family === "IPv4" && name !== "lo")?.address;
    assert(address, "this machine has no address but loopback");
    const hosts = await Deno.makeTempFile();
    await Deno.writeTextFile(hosts, `${address} localhost\n`);
    // Should it listen nevertheless, it is ended.
    const script = `mount --bind "$HOSTS" /etc/hosts && exec timeout 30 "$DENO" run -A --quiet "$MAIN" deck "$@"`;
    const { code, stderr } = await new Deno.Command("unshare", {
      args: ["-m", "sh", "-c", script, "sh", "-H", "localhost", "-p", "0", "-d", "memory", "-w", ""],
      env: { HOSTS: hosts, DENO: Deno.execPath(), MAIN, ORMEN_TOKEN: "" },
    }).output();
    await Deno.remove(hosts);
    const err = new TextDecoder().decode(stderr);
    assert.equal(code, 1, err);
    assert(err.includes(`cannot listen on localhost: on this machine that name leads to ${address}, a network`), err);
  },
});
