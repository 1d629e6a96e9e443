/** Every command and its flags, as a user types them. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image, ECHO_IMAGE } from "../fixtures/images.ts";
import { command, Fleet, freePorts } from "./support.ts";

testWithEngine("run: forms, --wait, --attach, documents, mistakes", (engine) =>
  Fleet.use(engine, {}, async (fleet) => {
    const waited = await fleet.ok(
      "run",
      "--name",
      "web",
      "--publish",
      "7777",
      "--health",
      "/health",
      "--wait",
      ECHO_IMAGE,
    );
    assert.match(waited, /^web \([0-9a-f]{8}\)\s+pending -> scheduled on localhost:\d+ -> running -> healthy\s+\d/);
    assert.match(waited, /ports\s+localhost:\d+ -> 7777\/tcp/);

    const flags = ["--env", "A=1", "--cpu", "0.5", "--memory", "32MiB", "--label", "team=a", "--restart", "no"];
    const attached = await fleet.run(
      "run",
      "--name",
      "talk",
      ...flags,
      "--attach",
      image,
      "sh",
      "-c",
      "echo $A; echo e >&2; exit 7",
    );
    assert.equal(attached.code, 7);
    assert.equal(attached.stdout, "1\n");
    assert.match(attached.stderr, /^e\n/m);
    const talk = await fleet.task("talk");
    assert.deepEqual([talk.labels.team, talk.spec.cpu, talk.spec.memory], ["a", 0.5, "32MiB"]);

    const yaml = `name: piped\nimage: ${image}\ncmd: [echo, piped]\n`;
    const piped = await fleet.runWithInput(yaml, "run", "-f", "-", "--attach");
    assert.deepEqual([piped.code, piped.stdout], [0, "piped\n"]);
    const wrong = await fleet.runWithInput(`name: piped\nimag: ${image}\n`, "run", "-f", "-");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /:2:1\s+unknown key `imag`; did you mean `image`\?/);
    const missing = await fleet.run("run", "-f", `${fleet.dir}/none.yaml`);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^error: .*none\.yaml/);
    const failed = await fleet.run("run", "--name", "bad", "--wait", image, "/no/such");
    assert.equal(failed.code, 1);
    assert.match(failed.stdout + failed.stderr, /no such file or directory/);
    const twin = await fleet.run("run", "--name", "web", image);
    assert.equal(twin.code, 1);
    assert.match(twin.stderr, /a task named "web" lives already/);
  }));

testWithEngine(
  "status, logs, exec, stop, events, completions and their exit codes",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const script = "echo one; echo two; echo three; trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done";
      await fleet.ok("run", "--name", "web", "--wait", image, "sh", "-c", script);
      const { id } = await fleet.task("web");
      await eventually("it has spoken", async () => (await fleet.ok("logs", "web")) === "one\ntwo\nthree\n");
      assert.equal(await fleet.ok("logs", "--tail", "1", id.slice(0, 8)), "three\n");
      assert.match(await fleet.ok("logs", "--timestamps", "--tail", "1", "web"), /^\d{4}-\d\d-\d\dT\S+Z three\n$/);
      assert.equal(await fleet.ok("logs", "--since", "2001-01-01T00:00:00Z", "web"), "one\ntwo\nthree\n");

      assert.match(await fleet.ok("status"), /web\s+.*Running/);
      assert.match(await fleet.ok("status", "--wide"), /NODE\s+HEALTH\s+PORTS\s+RESTARTS/);
      const detail = await fleet.ok("status", "web");
      for (const part of ["attempts", "events", "placed on", "next"]) assert.ok(detail.includes(part), part);
      assert.equal((await fleet.json<{ id: string }>("status", "web")).id, id);

      const exec = await fleet.run("exec", "web", "--", "sh", "-c", "echo in; exit 5");
      assert.deepEqual([exec.code, exec.stdout], [5, "in\n"]);
      const typed = await fleet.runWithInput("typed\n", "exec", "-i", "web", "--", "cat");
      assert.deepEqual([typed.code, typed.stdout], [0, "typed\n"]);
      const none = await fleet.run("exec", "web", "--", "/no/such");
      assert.notEqual(none.code, 0);
      assert.match(await fleet.ok("mast"), /worker\s+1/, "the deck lives on");

      const follow = fleet.run("logs", "-f", "web");
      assert.match(await fleet.ok("stop", id.slice(0, 8), "--grace", "5s"), /web/);
      assert.equal((await follow).stdout, "one\ntwo\nthree\nbye\n", "followed to the end");
      await fleet.until("web", "stopped");
      assert.match(await fleet.ok("logs", "web"), /bye/, "also after it has ended");

      const events = await fleet.ok("events", "--since", "10m");
      for (const kind of ["taskAccepted", "taskPlaced", "taskRunning", "taskStopping", "taskStopped"]) {
        assert.ok(events.includes(kind), kind);
      }
      const lines = (await fleet.ok("events", "--json")).trim().split("\n").map((line) => JSON.parse(line));
      assert.ok(lines.every((event, i) => i === 0 || event.id > lines[i - 1].id));

      const unknown = await fleet.run("stop", "nobody");
      assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
      assert.match(unknown.stderr, /^error: there is no task "nobody"/);
      assert.equal((await fleet.run("status", "--no-such-flag")).code, 2);
      const [closed] = freePorts(1);
      const away = await command(["status", "-m", `localhost:${closed}`]);
      assert.equal(away.code, 1);
      assert.match(
        away.stderr,
        /cannot reach the deck at localhost:\d+: connection refused\n\s+is it running\?\s+ormen deck/,
      );
      for (const shell of ["bash", "zsh", "fish"]) {
        assert.ok((await command(["completions", shell])).stdout.includes("ormen"));
      }
      assert.match((await command(["--version"])).stdout, /^ormen \d+\.\d+\.\d+ \(\w+/);
    }),
);

testWithEngine(
  "the deck cannot spawn, and says so of its data directory when it is taken",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const args = (await Deno.readTextFile(`/proc/${fleet.deck!.pid}/cmdline`)).split("\0");
      // A compiled file gives its rights up by itself and has no such flags.
      assert.ok(args.includes("--deny-run") || !args.some((arg) => arg.endsWith("/deno")), args.join(" "));
      const second = await command(["deck", "-p", "0", "--data-dir", `${fleet.dir}/deck`]);
      assert.equal(second.code, 1);
      assert.match(second.stderr, new RegExp(`in use by another deck \\(pid ${fleet.deck!.pid}\\)`));
      const open = await command(["deck", "-H", "0.0.0.0", "-p", "0", "--data-dir", `${fleet.dir}/other`]);
      assert.equal(open.code, 1);
      assert.match(open.stderr, /will not listen on 0\.0\.0\.0 without a token/);
    }),
);
