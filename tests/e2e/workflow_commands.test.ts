/** The commands of workflows as users run them, on a real deck and host processes: no Docker is needed. */
import assert from "node:assert/strict";
import type { RunView } from "../../lib/messages/run_api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { Fleet } from "./support.ts";

const processes = { sailorFlags: () => ["--runtime", "process"] };

const SHIP = `name: ship
params: { version: { type: string, required: true, pattern: "^v" } }
steps:
  build:
    run: |
      echo "building $VERSION"
      echo "digest=abc" >> "$ORMEN_OUTPUT"
    env: { VERSION: "\${{ params.version }}" }
  test:
    needs: [build]
    matrix: { os: [a, b] }
    retry: { limit: 1, delay: 100ms }
    env: { OS: "\${{ matrix.os }}", TRY: "\${{ attempt }}" }
    run: echo "testing $OS $TRY"; [ "$OS$TRY" != b1 ]
  ask: { needs: [test], approval: { prompt: "Ship?", inputs: { ticket: { required: true } } } }
  go: { needs: [ask], run: echo "went with $TICKET", env: { TICKET: "\${{ steps.ask.outputs.ticket }}" } }
finally: [{ id: clean, run: echo cleaned }]
outputs: { digest: "\${{ steps.build.outputs.digest }}" }
`;

const BREAKS = (flag: string) =>
  `name: breaks
steps:
  first: { run: echo one }
  second: { needs: [first], run: "echo before; [ -e '${flag}' ] || { echo broken >&2; exit 7; }; echo mended" }
  third: { needs: [second], run: echo three }
`;

const ENDLESS = `name: endless
steps: { a: { run: "echo begun; trap 'echo ended; exit' TERM; sleep 1000 & wait" } }
finally: [{ id: clean, run: echo cleaned }]
`;

async function write(fleet: Fleet, name: string, text: string): Promise<string> {
  const path = `${fleet.dir}/${name}`;
  await Deno.writeTextFile(path, text);
  return path;
}

const stateOf = async (fleet: Fleet, run: string) => (await fleet.json<RunView>("workflow", "status", run)).state;
const states = (run: RunView) =>
  Object.fromEntries(Object.entries(run.steps).map(([name, { state }]) => [name, state]));

Deno.test("workflow commands: apply, run, approve, logs, status, graph, history, rerun, rm", () =>
  Fleet.use(undefined, processes, async (fleet) => {
    const file = await write(fleet, "ship.yaml", SHIP);
    assert.match(await fleet.ok("workflow", "apply", file), /^ship {2}registered, version 1\n/);
    assert.match(await fleet.ok("workflow", "apply", file), /^ship {2}version 1, unchanged\n/);
    const refused = await fleet.run("workflow", "run", "ship", "-p", "version=x");
    assert.deepEqual([refused.code, refused.stderr.split("\n")[0]], [2, "error: parameter version must match ^v"]);
    const typo = await fleet.run("workflow", "run", "shpi");
    assert.equal(typo.stderr, 'error: there is no workflow "shpi"; did you mean "ship"?\n');

    const running = fleet.start("workflow", "run", "ship", "-p", "version=v1");
    await eventually("it asks how to approve", () => /ormen workflow approve ship-/.test(running.out));
    assert.equal(await stateOf(fleet, "ship"), "waiting");
    const wrong = await fleet.run("workflow", "approve", "ship", "ask", "-i", "tiket=1");
    assert.match(
      wrong.stderr,
      /^error: there is no input tiket; did you mean `ticket`\?\n {2}input ticket is required\n/,
    );
    await fleet.ok("workflow", "approve", "ship", "ask", "-i", "ticket=T-9");
    assert.equal(await running.ended(), 0);
    assert.match(running.out, /test \[b\] +succeeded .* attempt 2\n/);
    assert.match(running.out, /succeeded in .* {3}6 ok, 1 retried {10}ormen workflow status ship-/);

    const run = await fleet.json<RunView>("workflow", "status", "ship");
    assert.deepEqual(run.outputs, { digest: "abc" });
    assert.equal(run.steps.test.instances!.length, 2);
    const logs = await fleet.ok("workflow", "logs", run.id);
    for (
      const line of ["build  | building v1", "test.0 | testing a 1", "test.1 | testing b 2", "go     | went with T-9"]
    ) {
      assert(logs.split("\n").includes(line), `${line}\n${logs}`);
    }
    assert.equal(await fleet.ok("workflow", "logs", "ship", "test.1", "--attempt", "1"), "testing b 1\n");
    assert.match(await fleet.ok("workflow", "graph", "ship"), /\n +2 {2}test +succeeded \(2 ok\)/);

    const again = fleet.start("workflow", "rerun", "ship", "--json");
    await eventually("it waits again", async () => await stateOf(fleet, "ship") === "waiting");
    await fleet.ok("workflow", "reject", "ship", "ask", "--reason", "not today");
    assert.equal(await again.ended(), 1);
    const last: RunView = JSON.parse(again.out.trimEnd().split("\n").at(-1)!);
    assert.deepEqual([last.state, last.steps.ask.error], ["failed", "rejected: not today"]);
    assert.equal(last.steps.go.state, "upstreamFailed");

    const { runs } = await fleet.json<{ runs: RunView[] }>("workflow", "history", "ship");
    assert.deepEqual(runs.map(({ state, cause }) => [state, cause]), [["failed", `rerun ${run.id}`], [
      "succeeded",
      "manual",
    ]]);
    assert.match(await fleet.ok("workflow", "list"), /\nship +1 .* failed +ship-/);
    assert.match(await fleet.ok("events", "--run", run.id), /runAccepted .*\n(.*\n)*.*runSucceeded/);
    await fleet.ok("workflow", "rm", "ship");
    assert.equal((await fleet.json<{ workflows: unknown[] }>("workflow", "list")).workflows.length, 0);
    assert.equal(await stateOf(fleet, run.id), "succeeded", "its runs are kept");
  }));

Deno.test("workflow commands: a failure shows its last lines, resume keeps what succeeded, ctrl-C and cancel end a run", () =>
  Fleet.use(undefined, processes, async (fleet) => {
    const flag = `${fleet.dir}/mended`;
    const failed = await fleet.run("workflow", "run", await write(fleet, "breaks.yaml", BREAKS(flag)));
    assert.equal(failed.code, 1);
    assert.match(
      failed.stdout,
      /second failed: exited with code 7.*\n {2}\| before\n {2}\| broken\nnext {3}ormen workflow resume/,
    );
    await Deno.writeTextFile(flag, "");
    const resumed = await fleet.ok("workflow", "resume", "breaks");
    assert.match(resumed, /^kept {3}first\nagain {2}second, third\nrun breaks-/);
    const run = await fleet.json<RunView>("workflow", "status", "breaks");
    assert.deepEqual(states(run), { first: "succeeded", second: "succeeded", third: "succeeded" });
    assert.equal(run.steps.first.keptFrom, run.cause.replace("resume ", ""));

    const endless = await write(fleet, "endless.yaml", ENDLESS);
    const interrupted = fleet.start("workflow", "run", endless);
    await eventually("it runs", () => / running /.test(interrupted.out));
    assert.equal(await interrupted.end("SIGINT"), 130);
    assert.match(interrupted.log, /^cancelling; ctrl-c again leaves it to the deck\n$/);
    assert.deepEqual(states(await fleet.json<RunView>("workflow", "status", "endless")), {
      a: "cancelled",
      clean: "succeeded",
    });

    const watched = fleet.start("workflow", "run", endless);
    const following = await eventually(
      "it runs",
      () => / running /.test(watched.out) && fleet.start("workflow", "logs", "-f", "endless"),
    );
    await eventually("its output is followed", () => /^a .*\| begun$/m.test(following.out));
    await fleet.deck!.end("SIGKILL");
    await eventually("the deck is missed", () => /the deck does not answer; trying again/.test(watched.log));
    fleet.startDeck();
    await eventually("it is cancelled", async () => (await fleet.run("workflow", "cancel", "endless")).code === 0);
    assert.equal(await watched.ended(), 130, "the watch went on over the restart");
    assert.match(watched.out, /\ncancelled after /);
    assert.equal(await following.ended(), 0);
    // Lines of two steps come as they are read.
    const lines = following.out.trimEnd().split("\n").sort();
    assert.deepEqual(lines, ["a     | begun", "a     | ended", "clean | cleaned"], "each line once");
  }));
