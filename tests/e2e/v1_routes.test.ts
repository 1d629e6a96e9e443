/** The routes of /v1 that the other files leave: what is refused and how, stop and drain over HTTP, exec, live streams. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

const sh = (script: string) => ["sh", "-c", script];

testWithEngine(
  "what is wrong is told as a problem document, and changes nothing",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "web", image, cmd: ["sleep", "1000"] });
      const form = { "content-type": "application/x-www-form-urlencoded" };
      const page = { origin: "http://elsewhere.example" };
      const cases: readonly (readonly [string, string, unknown, Record<string, string>, number, string])[] = [
        ["GET", "/v1/tasks/nobody", undefined, {}, 404, "notFound"],
        ["DELETE", "/v1/tasks/nobody", undefined, {}, 404, "notFound"],
        ["GET", "/v1/tasks/nobody/logs", undefined, {}, 404, "notFound"],
        ["GET", "/v1/nodes/nowhere", undefined, {}, 404, "notFound"],
        ["GET", "/v1/nothing", undefined, {}, 404, "notFound"],
        ["PUT", "/v1/tasks", undefined, {}, 405, "methodNotAllowed"],
        ["GET", "/v1/tasks?limit=0", undefined, {}, 400, "invalidQuery"],
        ["GET", "/v1/tasks?cursor=x", undefined, {}, 400, "invalidQuery"],
        ["GET", "/v1/tasks?bogus=1", undefined, {}, 400, "invalidQuery"],
        ["GET", "/v1/events", undefined, { accept: "text/event-stream", "last-event-id": "x" }, 400, "badRequest"],
        ["GET", "/v1/tasks/web/exec", undefined, {}, 426, "upgradeRequired"],
        ["POST", "/v1/tasks", "{", {}, 400, "malformed"],
        ["POST", "/v1/tasks", "name=web", form, 415, "unsupportedMediaType"],
        ["POST", "/v1/tasks", { name: "x", imag: image }, {}, 422, "invalid"],
        ["POST", "/v1/tasks", { name: "web", image }, {}, 409, "nameInUse"],
        ["POST", "/v1/tasks", { tasks: [] }, {}, 422, "invalid"],
        ["POST", "/v1/tasks", { tasks: [{ name: "y", image }, { name: "z", image, cpu: -1 }] }, {}, 422, "invalid"],
        ["POST", "/v1/tasks", { name: "x", image }, page, 403, "originRefused"],
        ["POST", "/tasks", { name: "x", image }, page, 403, "originRefused"],
        ["POST", "/v1/tasks/web/stop", { grace: "soon" }, {}, 422, "invalid"],
        ["DELETE", `/v1/nodes/localhost:${fleet.sailorPorts[0]}`, undefined, {}, 409, "conflict"],
      ];
      for (const [method, path, body, headers, status, code] of cases) {
        const answer = await fleet.http(method, path, body, headers);
        const what = `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`;
        assert.equal(answer.status, status, what);
        if (path === "/tasks") continue; // The original's routes have an error of their own.
        assert.equal(answer.headers.get("content-type"), "application/problem+json", what);
        assert.deepEqual([answer.body.status, answer.body.code, answer.body.type], [status, code, "about:blank"], what);
        assert.ok(answer.body.title && answer.body.detail, what);
      }
      const wrong = await fleet.http("POST", "/v1/tasks", {
        tasks: [{ name: "y", image }, { name: "z", image, cpu: -1 }],
      });
      assert.deepEqual(wrong.body.errors.map((error: { pointer: string }) => error.pointer), ["/tasks/1/cpu"]);
      const yaml = await fleet.http("POST", "/v1/tasks", `name: y\nimage: ${image}\ncpu: much\n`, {
        "content-type": "application/yaml",
      });
      assert.deepEqual([yaml.status, yaml.body.errors[0].pointer], [422, "/cpu"]);
      assert.match(yaml.body.errors[0].detail, /line 3|3:6/);
      const large = await fleet.http("POST", "/v1/tasks", " ".repeat(17 * 2 ** 20));
      assert.deepEqual([large.status, large.body.code], [413, "tooLarge"]);
      assert.deepEqual((await fleet.tasks()).map((task) => task.name), ["web"]);
    }),
);

testWithEngine(
  "one task under a key is made once; stop, DELETE, drain and resume over HTTP",
  (engine) =>
    Fleet.use(engine, { sailors: 2 }, async (fleet) => {
      const key = { "idempotency-key": "once" };
      const document = { name: "web", image, cmd: ["sleep", "1000"], grace: "0s" };
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => fleet.http("POST", "/v1/tasks", document, key)),
      );
      assert.deepEqual(answers.map((answer) => answer.status), [201, 201, 201, 201, 201]);
      assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
      const { id } = answers[0].body;
      assert.equal(answers[0].headers.get("location"), `/v1/tasks/${id}`);
      assert.equal((await fleet.http("POST", "/v1/tasks", { ...document, name: "other" }, key)).body.code, "keyReused");

      const { attempt } = await fleet.until("web", "running");
      const node = attempt!.node!;
      const drained = await fleet.http("POST", `/v1/nodes/${node}/drain`);
      assert.deepEqual([drained.status, drained.body.name], [200, node]);
      await eventually("it has moved", async () => {
        const task = await fleet.task(id.slice(0, 8));
        return task.state === "running" && task.attempt!.node !== node;
      });
      await eventually("the node is drained", async () => {
        return (await fleet.http("GET", `/v1/nodes/${node}`)).body.eligibility === "drained";
      });
      assert.equal((await fleet.http("POST", `/v1/nodes/${node}/resume`)).body.eligibility, "eligible");

      const stopping = await fleet.http("POST", "/v1/tasks/web/stop", { grace: "1s" });
      assert.deepEqual([stopping.status, stopping.body.desired], [200, "stop"]);
      await fleet.until("web", "stopped");
      assert.equal((await fleet.http("POST", "/v1/tasks/web/stop")).status, 200, "again is no mistake");
      const again = await fleet.submit({ ...document });
      assert.notEqual(again.id, id, "the name is free again");
      await fleet.until(again.id, "running");
      assert.equal((await fleet.http("DELETE", `/v1/tasks/${again.id}`)).status, 200);
      await fleet.until(again.id, "stopped");
      assert.equal((await fleet.http("POST", "/v1/tasks", document, key)).body.id, id, "its key still answers");
    }),
);

testWithEngine(
  "exec: a socket with input, output, error output and the exit code",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "web", image, cmd: ["sleep", "1000"] });
      await fleet.until("web", "running");
      const command = sh("read line; echo got $line; echo bad >&2; exit 9");
      const { output, end } = await exec(fleet, { command, stdin: true }, "typed\n");
      assert.deepEqual(output, { 1: "got typed\n", 2: "bad\n" });
      assert.deepEqual(end, { kind: "end", exitCode: 9 });
      const missing = await exec(fleet, { command: ["/no/such"] });
      assert.match(JSON.stringify(missing.end), /no such file or directory|"exitCode":12[67]/);
      const refused = await exec(fleet, { command: [] });
      assert.equal(refused.end.kind, "error");
      const large = await exec(fleet, { command: sh("head -c 5000000 /dev/zero | tr '\\0' x") });
      assert.deepEqual([large.output[1]?.length, large.end], [5_000_000, { kind: "end", exitCode: 0 }]);
    }),
);

testWithEngine(
  "logs and events arrive while they happen; figures move with what happens",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const figure = async (line: string) => {
        const { text } = await fleet.http("GET", "/metrics");
        return Number(text.split("\n").find((each) => each.startsWith(`${line} `))?.slice(line.length));
      };
      const placedBefore = await figure("ormen_placement_seconds_count");
      const newest = (await fleet.http("GET", "/v1/events?limit=1000")).body.events.at(-1).id;
      const abort = new AbortController();
      const events = lines(
        `${fleet.url}/v1/events`,
        { accept: "text/event-stream", "last-event-id": `${newest}` },
        abort,
      );
      const script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo last; echo bad >&2; exit 1";
      await fleet.submit({ name: "web", image, cmd: sh(script), labels: { team: "a" } });
      await fleet.until("web", "running");
      assert.equal(await figure('ormen_tasks{state="running"}'), 1);

      const logs = lines(`${fleet.url}/v1/tasks/web/logs?follow=true`, { accept: "application/x-ndjson" }, abort);
      await eventually("its first words are there while it runs", () => logs.join("").includes("first"));
      assert.ok(!logs.join("").includes("last"));
      await exec(fleet, { command: ["touch", "/tmp/go"] });
      await eventually(
        "and its last when it ends",
        () => logs.join("").includes("last") && logs.join("").includes("bad"),
      );
      assert.deepEqual(
        logs.filter((line) => line !== "").map((line) => JSON.parse(line)).toSorted((a, b) => a.text < b.text ? 1 : -1)
          .map(({ stream, text }) => `${stream} ${text}`),
        ["stdout last\n", "stdout first\n", "stderr bad\n"],
      );
      await fleet.until("web", "failed");
      const kinds = () =>
        events.filter((line) => line.startsWith("data:")).map((line) => JSON.parse(line.slice(5)).kind)
          .filter((kind) => kind.startsWith("task"));
      await eventually("the stream has told its end", () => kinds().includes("taskFailed"));
      assert.deepEqual(kinds(), ["taskAccepted", "taskPlaced", "taskRunning", "taskFailed"]);
      abort.abort();
      assert.equal(await figure('ormen_tasks{state="failed"}'), 1);
      assert.equal(await figure('ormen_tasks{state="running"}'), 0);
      assert.equal(await figure("ormen_placement_seconds_count"), placedBefore + 1);
      assert.ok(await figure("ormen_commit_batch_size_count") > 0);
      assert.equal((await fleet.http("GET", "/v1/tasks/web/logs?tail=1")).text.trim().split("\n").length, 1);

      const { paths, openapi } = (await fleet.http("GET", "/v1/openapi.json")).body;
      assert.match(openapi, /^3\.1/);
      for (const path of ["/v1/tasks", "/v1/tasks/{ref}/logs", "/v1/nodes/{ref}/drain", "/v1/events", "/metrics"]) {
        assert.ok(paths[path], path);
      }
      const sailor = `http://localhost:${fleet.sailorPorts[0]}`;
      for (const path of ["/healthz", "/readyz", "/metrics"]) {
        const response = await fetch(sailor + path);
        assert.equal(response.status, 200, path);
        await response.body?.cancel();
      }
    }),
);

testWithEngine(
  "a batch of 10,000 is taken whole, is the same again under its key, and can be listed and stopped",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const tasks = Array.from({ length: 10_000 }, (_, i) => ({
        name: `t${i}`,
        image,
        constraints: ["node.name == nowhere"],
        labels: { last: String(i % 10) },
      }));
      const key = { "idempotency-key": "many" };
      const first = await fleet.http("POST", "/v1/tasks", { tasks }, key);
      assert.deepEqual([first.status, first.body.tasks.length], [201, 10_000]);
      const again = await fleet.http("POST", "/v1/tasks", { tasks }, key);
      assert.equal(again.text, first.text);
      assert.equal((await fleet.http("POST", "/v1/tasks", { tasks: [...tasks, tasks[0]] })).status, 422);
      assert.match((await fleet.http("GET", "/metrics")).text, /ormen_tasks\{state="pending"\} 10000\n/);
      let [seen, cursor] = [0, ""];
      while (true) {
        const page = (await fleet.http("GET", `/v1/tasks?limit=300&label=last=7&state=pending${cursor}`)).body;
        seen += page.tasks.length;
        if (page.next === null) break;
        cursor = `&cursor=${page.next}`;
      }
      assert.equal(seen, 1_000);
      assert.equal((await fleet.task("t9999")).why, "1 node: 1 does not meet node.name == nowhere");
      await fleet.ok("stop", "t0", "t9999");
      assert.equal((await fleet.task("t9999")).state, "stopped");
    }),
);

interface ExecOutcome {
  readonly output: Record<number, string>;
  // deno-lint-ignore no-explicit-any
  readonly end: any;
}

/** The wire as documented in lib/messages/api.ts, without the client of this project. */
async function exec(fleet: Fleet, request: Record<string, unknown>, input?: string): Promise<ExecOutcome> {
  const socket = new WebSocket(`ws://localhost:${fleet.deckPort}/v1/tasks/web/exec`);
  socket.binaryType = "arraybuffer";
  const output: Record<number, string> = {};
  const decoders: Record<number, TextDecoder> = {};
  let end: unknown;
  const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") return void (end = JSON.parse(data));
    const [stream, bytes] = [new Uint8Array(data)[0], new Uint8Array(data).subarray(1)];
    output[stream] = (output[stream] ?? "") + (decoders[stream] ??= new TextDecoder()).decode(bytes, { stream: true });
  };
  await new Promise((resolve) => socket.onopen = resolve);
  socket.send(JSON.stringify(request));
  if (input !== undefined) {
    socket.send(new Uint8Array([0, ...new TextEncoder().encode(input)]));
    socket.send(JSON.stringify({ kind: "closeStdin" }));
  }
  await closed;
  return { output, end };
}

/** Lines of a stream as they come, until it ends or `abort` is. */
function lines(url: string, headers: Record<string, string>, abort: AbortController): string[] {
  const seen: string[] = [];
  const read = async () => {
    const response = await fetch(url, { headers, signal: abort.signal });
    assert.equal(response.status, 200);
    let held = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      held += decoder.decode(chunk, { stream: true });
      const parts = held.split("\n");
      held = parts.pop()!;
      seen.push(...parts);
    }
  };
  read().catch((error) => {
    if (!abort.signal.aborted) seen.push(`stream broke: ${error}`);
  });
  return seen;
}
