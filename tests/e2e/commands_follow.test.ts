/** Commands that follow what happens, terminals, and what programs read: JSON from every command. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image, ECHO_IMAGE } from "../fixtures/images.ts";
import { command, Fleet, invocation } from "./support.ts";

const sh = (script: string) => ["sh", "-c", script];
const jsonLines = (text: string) => text.trim().split("\n").map((line) => JSON.parse(line));

testWithEngine(
  "events -f, status --watch and mast --watch print what changes",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const node = `localhost:${fleet.sailorPorts[0]}`;
      const events = fleet.start("events", "-f");
      const eventsAsJson = fleet.start("events", "-f", "--since", "1h", "--json");
      const status = fleet.start("status", "--watch");
      const mast = fleet.start("mast", "--watch");
      await eventually("all follow", () => eventsAsJson.out.includes("nodeJoined") && mast.out.includes(node));

      await fleet.submit({ name: "web", image, cmd: sh("trap 'exit 0' TERM; while :; do sleep 0.05; done") });
      await fleet.until("web", "running");
      const one = fleet.start("status", "web", "--watch");
      await eventually("the task's own watcher follows", () => one.out.includes("web runs"));
      await fleet.ok("mast", "drain", node);
      await fleet.ok("mast", "resume", node);
      await fleet.ok("stop", "web");
      assert.equal(await one.ended(), 0, "ends with its task");
      assert.match(one.out, /web accepted\n[\s\S]*web runs\n[\s\S]*web stopped/);

      await eventually("status has told every state", () => /web {2}Running\n[\s\S]*web {2}Stopped/.test(status.out));
      await eventually("mast has told every state", () => /ready, drain(ing|ed)[\s\S]*ready {2}0 tasks/.test(mast.out));
      await eventually(
        "events are told",
        () => events.out.includes("taskStopped") && events.out.includes("nodeResumed"),
      );
      const kinds = (await eventually("and as JSON", () => {
        const lines = jsonLines(eventsAsJson.out);
        return lines.some((event) => event.kind === "taskStopped") && lines;
      })).map((event) => event.kind);
      assert.deepEqual(
        ["nodeJoined", "taskAccepted", "taskPlaced", "taskRunning", "nodeDraining", "nodeResumed", "taskStopped"]
          .filter((kind) => !kinds.includes(kind)),
        [],
      );
      // ctrl-C ends what would go on for ever.
      for (const process of [events, eventsAsJson, status, mast]) await process.end("SIGINT");
    }),
);

testWithEngine(
  "run --attach: ctrl-C stops the task, and shows what it says to that",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
      const run = fleet.start("run", "--name", "web", "--attach", image, "sh", "-c", script);
      await eventually("its output is shown", () => run.out === "ready\n");
      assert.equal(await run.end("SIGINT"), 3);
      assert.equal(run.out, "ready\nbye\n");
      await fleet.until("web", "stopped");

      const killed = fleet.start(
        "run",
        "--name",
        "stubborn",
        "--attach",
        image,
        "sh",
        "-c",
        "trap '' TERM; sleep 1000",
      );
      await fleet.until("stubborn", "running");
      assert.match(await fleet.ok("stop", "stubborn", "--grace", "100ms", "--wait"), /stopped/);
      assert.equal(await killed.ended(), 137);
      assert.equal((await fleet.task("stubborn")).attempt!.oomKilled, false);
    }),
);

testWithEngine(
  "logs --since begins in the middle; --timestamps gives the time to say",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const script = "echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two; sleep 1000";
      await fleet.submit({ name: "web", image, cmd: sh(script) });
      await eventually("it says one", async () => await fleet.ok("logs", "web") === "one\n");
      await fleet.ok("exec", "web", "touch", "/tmp/go");
      await eventually("it says two", async () => await fleet.ok("logs", "web") === "one\ntwo\n");
      const [, second] = (await fleet.ok("logs", "--timestamps", "web")).trim().split("\n");
      assert.equal(await fleet.ok("logs", "--since", second.split(" ")[0], "web"), "two\n");
      assert.equal(await fleet.ok("logs", "--since", "10m", "web"), "one\ntwo\n");
      assert.equal(await fleet.ok("logs", "--since", new Date(Date.now() + 60_000).toISOString(), "web"), "");
      assert.equal(await fleet.ok("logs", "--tail", "0", "web"), "");
      assert.equal((await fleet.run("logs", "--tail", "x", "web")).code, 2);
      assert.equal((await fleet.run("logs", "--since", "yesterday", "web")).code, 2);
      const none = await fleet.run("logs", "nobody");
      assert.deepEqual([none.code, none.stdout], [1, ""]);
    }),
);

testWithEngine("exec -it has a terminal of this one's size", (engine) =>
  Fleet.use(engine, {}, async (fleet) => {
    await fleet.submit({ name: "web", image, cmd: ["sleep", "1000"] });
    await fleet.until("web", "running");
    // `script` gives it a terminal, `stty` a size; the Engine passes that on once the command has started.
    const ormen = invocation([]).map((word) => `'${word}'`).join(" ");
    const script = "tty; until stty size 2>/dev/null | grep .; do sleep 0.02; done; exit 6";
    const inside = `stty rows 33 cols 111; ${ormen} exec -it web -- sh -c '${script}'`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", inside, "/dev/null"],
      env: { ORMEN_DECK: `localhost:${fleet.deckPort}`, TERM: "xterm" },
      stdin: "null",
      stdout: "piped",
    }).output();
    assert.equal(code, 6);
    assert.match(new TextDecoder().decode(stdout), /\/dev\/pts\/\d+\r[\s\S]*\b33 111\r/);
    const piped = await fleet.run("exec", "-t", "web", "--", "true");
    assert.equal(piped.code, 2);
    assert.match(piped.stderr, /-t needs a terminal/);
  }));

testWithEngine(
  "every command speaks JSON: one document, or one object a line",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const node = `localhost:${fleet.sailorPorts[0]}`;
      // deno-lint-ignore no-explicit-any
      const json = (...args: string[]) => fleet.json<any>(...args);
      const web = await json("run", "-f", await write(fleet, "web.yaml", `name: web\nimage: ${ECHO_IMAGE}\n`));
      assert.deepEqual([web.name, typeof web.id], ["web", "string"]);
      const waited = await json(
        "run",
        "-f",
        await write(fleet, "b.json", `{"name":"b","image":"${ECHO_IMAGE}"}`),
        "--wait",
      );
      assert.deepEqual([waited.state, waited.attempt.node], ["running", node]);
      const attached = await fleet.run("run", "--json", "--attach", "--name", "c", image, "echo", "c");
      const lines = jsonLines(attached.stdout);
      assert.deepEqual([attached.code, lines[0], lines.at(-1).state], [
        0,
        { stream: "stdout", text: "c\n" },
        "completed",
      ]);

      assert.deepEqual((await json("status")).tasks.map((task: { name: string }) => task.name), ["web", "b", "c"]);
      const detail = await json("status", "web");
      assert.deepEqual([detail.id, detail.spec.image], [web.id, ECHO_IMAGE]);
      assert.ok(!Number.isNaN(Date.parse(detail.createdAt)) && /T.*Z$/.test(detail.createdAt), "RFC 3339");
      assert.deepEqual(jsonLines(await fleet.ok("logs", "--json", "c")), [{ stream: "stdout", text: "c\n" }]);
      const exec = await fleet.run("exec", "--json", "web", "--", "sh", "-c", "echo in; exit 2");
      assert.equal(exec.code, 2);
      assert.deepEqual(jsonLines(exec.stdout), [{ stream: "stdout", text: "in\n" }, { exitCode: 2 }]);
      const [mast] = (await json("mast")).nodes;
      assert.deepEqual([mast.name, mast.status, mast.eligibility], [node, "ready", "eligible"]);
      assert.equal((await json("mast", "drain", node)).name, node);
      assert.equal((await json("mast", "resume", node)).eligibility, "eligible");
      const stopped = await fleet.run("stop", "web", "b", "nobody", "--json", "--wait");
      assert.equal(stopped.code, 1, "one of them could not be stopped");
      assert.deepEqual(
        JSON.parse(stopped.stdout).tasks.map((
          task: { reference: string; state: string },
        ) => [task.reference, task.state]),
        [["web", "stopped"], ["b", "stopped"], ["nobody", null]],
      );
      assert.ok(jsonLines(await fleet.ok("events", "--json")).every((event) => event.kind && event.at));
      for (const shell of ["bash", "zsh", "fish"]) assert.match((await json("completions", shell)).script, /ormen/);
      for (const who of ["deck", "sailor"]) {
        const unit = JSON.parse((await command([who, "--print-unit", "--json"])).stdout).unit;
        assert.match(unit, new RegExp(`ExecStart=\\S+ormen ${who}\n`));
      }
    }),
);

testWithEngine(
  "ids may be shortened while they are unique; what waits says why",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const ids = ["abcdef12-0000-4000-8000-000000000001", "abcdef12-0000-4000-8000-000000000002"];
      for (const [index, ID] of ids.entries()) {
        const Sail = { ID, Name: `twin-${index}`, Image: image, Cmd: ["sleep", "1000"] };
        assert.equal((await fleet.http("POST", "/tasks", { ID: crypto.randomUUID(), State: 2, Sail })).status, 201);
      }
      for (const verb of [["status"], ["stop"], ["logs"]]) {
        const { code, stderr } = await fleet.run(...verb, "abcdef12");
        assert.equal(code, 1);
        assert.match(stderr, /^error: .*abcdef12.*(several|ambiguous|2 tasks)/, verb[0]);
      }
      assert.match(await fleet.ok("status", ids[1]), /^twin-1 /);
      const list = await fleet.ok("status");
      for (const id of ids) assert.match(list, new RegExp(`^${id} `, "m"), "as long as it takes to tell them apart");

      const submitted = await fleet.run("run", "--name", "huge", "--memory", "100TiB", image);
      assert.equal(submitted.code, 0, "it waits; that is no failure");
      const waiting = await fleet.ok("status", "huge");
      assert.match(waiting, /^huge \(\S+\) {3}Pending for /);
      assert.match(waiting, /why {4}1 nodes?: 1 lacks? memory \(need 100 TiB, largest free [\d.]+ GiB\)/);
      assert.match(waiting, /next {3}lower `memory`/);
      assert.match(
        await fleet.ok("status"),
        /huge .* Pending .*<- 1 nodes?: 1 lacks? memory.*\(ormen status [0-9a-f]{8}\)/,
      );
      assert.match(await fleet.ok("stop", "huge"), /stopped/);
      await fleet.ok("stop", ...ids);
    }),
);

async function write(fleet: Fleet, name: string, text: string): Promise<string> {
  await Deno.writeTextFile(`${fleet.dir}/${name}`, text);
  return `${fleet.dir}/${name}`;
}
