/** What holds for every command: help, wrong usage, errors, and what a start may load. */
import assert from "node:assert/strict";
import { allCommands, buildProgram, pathOf } from "../../lib/cli/program.ts";
import { deadAddress, problem, scriptedDeck } from "../client/scripted_deck.ts";
import { fakeIo, ormen } from "./support.ts";

const COMMANDS = allCommands(buildProgram({ io: fakeIo(), exitCode: 0 }, []))
  .map(pathOf).filter((path) => path !== "");

Deno.test("the command line has the commands that it should", () => {
  const expected =
    "deck sailor dev run status stop logs exec mast service rollout proxy workflow events completions secret token cert backup restore"
      .split(
        " ",
      );
  const verbs = [
    "mast drain",
    "mast resume",
    "mast rm",
    "secret set",
    "secret ls",
    "secret rm",
    "token create",
    "token list",
    "token revoke",
    "cert ca",
    "cert issue",
    ...["apply", "plan", "ls", "status", "scale", "rollback", "restart", "history", "addresses", "rm"]
      .map((verb) => `service ${verb}`),
    ...["ls", "status", "pause", "resume", "promote", "abort"].map((verb) => `rollout ${verb}`),
    "workflow run",
    "workflow status",
    "workflow logs",
    "workflow cancel",
    "workflow approve",
    "workflow reject",
    "workflow resume",
    "workflow rerun",
    "workflow list",
    "workflow history",
    "workflow apply",
    "workflow pause",
    "workflow unpause",
    "workflow rm",
    "workflow validate",
    "workflow graph",
    "workflow schema",
  ];
  assert.deepEqual([...COMMANDS].sort(), [...expected, ...verbs].sort());
});

for (const path of COMMANDS) {
  Deno.test(`ormen ${path} --help has an example and --json`, async () => {
    const { code, out, err } = await ormen([...path.split(" "), "--help"]);
    assert.equal(code, 0);
    assert.equal(err, "");
    assert.match(out, new RegExp(`Examples?:\\n  \\$ .*ormen ${path}`));
    assert.match(out, /--json/);
  });

  Deno.test(`ormen ${path} --bogus is wrong usage`, async () => {
    const { code, out, err } = await ormen([...path.split(" "), "--bogus"]);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, new RegExp(`^error: unknown option '--bogus'\\n(  .*\\n)*  see  ormen ${path} --help\\n$`));
  });
}

Deno.test("ormen --version names version and commit", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const { code, out } = await ormen(["--version"]);
  assert.equal(code, 0);
  assert.equal(out, `ormen ${version} (dev)\n`);
});

Deno.test("ormen alone prints its help", async () => {
  const { code, out } = await ormen([]);
  assert.equal(code, 0);
  assert.match(out, /Usage: ormen/);
});

const WRONG: readonly [string, RegExp][] = [
  ["bogus", /^error: unknown command 'bogus'\n.* see {2}ormen --help\n$/s],
  ["stat", /Did you mean one of status, stop/],
  ["stop", /^error: missing required argument 'id'\n {2}see {2}ormen stop --help\n$/],
  ["status a b", /too many arguments/],
  ["exec web", /missing required argument 'command'/],
  ["exec web --", /no command after --/],
  ["mast drain", /missing required argument 'node'/],
  ["workflow", /^error: workflow needs a verb/],
  ["workflow validate", /missing required argument 'file'/],
  ["workflow graph --format png x.yaml", /Allowed choices are text, mermaid, dot/],
  ["completions tcsh", /^error: no completions for "tcsh"/],
  ["run -f x a:1", /^error: an image and --filename exclude each other\n {2}see {2}ormen run --help\n$/],
  ["run -f x --name n", /^error: --name needs an IMAGE; in a file it is a key/],
  ["run --cpu many a:1", /^error: --cpu needs a number, not "many"/],
  ["run --health bad a:1", /^error: --health is no check: "bad"\n {2}write/],
  ["run --env =x a:1", /^error: --env needs KEY=VALUE/],
  ["logs --tail x web", /^error: --tail needs a number/],
  ["logs --since tomorrow web", /^error: --since is neither/],
  ["stop --grace 5 web", /^error: --grace is no duration: "5"/],
  ["deck -s best", /Allowed choices are roundrobin, greedy, epvm, binpack, spread/],
  ["deck -p 99999", /^error: --port is no port: "99999"/],
  ["deck --heartbeat 5s --node-timeout 6s", /at least twice/],
  ["deck -w host:port", /^error: --workers is no address: "host:port"/],
  ["deck --tls-cert x", /belong together/],
  ["workflow run", /missing required argument 'file\|name'/],
  ["workflow run -p version a", /^error: -p needs KEY=VALUE, not "version"/],
  ["workflow run --timeout soon a", /^error: --timeout is no duration: "soon"/],
  ["workflow approve run step -i x", /^error: --input needs KEY=VALUE, not "x"/],
  ["workflow approve run a.b", /^error: "a.b" is no step/],
  ["workflow logs run --attempt x", /^error: --attempt needs a whole number, not "x"/],
  ["workflow history -n many", /^error: --limit needs a whole number, not "many"/],
  ["sailor --labels novalue", /^error: --labels needs KEY=VALUE/],
  ["sailor --runtime podman", /^error: --runtime does not know "podman"; one of docker, process/],
  ["sailor --reserve-memory lots", /^error: --reserve-memory is no size/],
];
for (const [line, message] of WRONG) {
  Deno.test(`ormen ${line} is wrong usage`, async () => {
    const { code, out, err } = await ormen(line.split(" "));
    assert.match(err, message);
    assert.equal(code, 2);
    assert.equal(out, "");
  });
}

for (
  const command of ["status", "status web", "stop web", "logs web", "exec web ls", "mast", "mast drain a", "events"]
    .concat(
      ["run x", "status x", "logs x", "cancel x", "approve x y", "resume x", "rerun x", "list", "history"].concat(
        ["history x", "pause x", "unpause x", "rm x", "graph x", "reject x y"],
      ).map((words) => `workflow ${words}`),
    )
) {
  Deno.test(`ormen ${command} says that the deck cannot be reached`, async () => {
    const address = deadAddress();
    const { code, err } = await ormen(command.split(" "), {
      env: { ORMEN_DECK: address },
    });
    assert.equal(code, 1);
    assert.equal(
      err,
      `error: cannot reach the deck at ${address}: connection refused\n` +
        "  is it running?  ormen deck   or set another with -m or ORMEN_DECK\n",
    );
  });
}

Deno.test("-m is stronger than ORMEN_DECK, and ORMEN_TOKEN is sent", async () => {
  await using deck = scriptedDeck(() => Response.json({ nodes: [], next: null }));
  const env = { ORMEN_DECK: deadAddress(), ORMEN_TOKEN: "secret" };
  assert.equal((await ormen(["mast", "-m", deck.address], { env })).code, 0);
  assert.equal(deck.asked[0].headers.get("authorization"), "Bearer secret");
});

Deno.test("a refused token says how to give one", async () => {
  await using deck = scriptedDeck(() => problem(401, "unauthorized", "a token is needed"));
  const { code, err } = await ormen(["status", "-m", deck.address]);
  assert.equal(code, 1);
  assert.equal(err, "error: a token is needed\n  give the deck's token with ORMEN_TOKEN or --token-file\n");
});

/** What is loaded before a command runs: everything that a chain of static imports reaches. */
async function staticImports(entry: string): Promise<string[]> {
  const output = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", entry], stderr: "null" }).output();
  const { modules, roots } = JSON.parse(new TextDecoder().decode(output.stdout));
  type Dependency = { isDynamic?: boolean; code?: { specifier: string } };
  const byName = new Map<string, Dependency[]>(
    modules.map((m: { specifier: string; dependencies?: Dependency[] }) => [m.specifier, m.dependencies ?? []]),
  );
  const seen = new Set<string>();
  const visit = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { isDynamic, code } of byName.get(name) ?? []) if (!isDynamic && code) visit(code.specifier);
  };
  roots.forEach(visit);
  return [...seen];
}

Deno.test("a start loads commander and no other package", async () => {
  const loaded = await staticImports(new URL("../../main.ts", import.meta.url).pathname);
  const packages = loaded.filter((name) => name.startsWith("npm:")).map((name) =>
    name.replace(/^npm:\/?|@[^@]*$/g, "")
  );
  assert.deepEqual(packages, ["commander"]);
  const heavy = loaded.filter((name) => /lib\/(adapters|deck|sailor|http|core\/documents\/task)/.test(name));
  assert.deepEqual(heavy, []);
});
