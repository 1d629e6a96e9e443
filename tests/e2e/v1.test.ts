/** /v1 of a real deck: lists, batches, events, logs and figures. What a request may look like is tested in tests/http. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

testWithEngine("batches are idempotent; lists page and filter", (engine) =>
  Fleet.use(engine, {}, async (fleet) => {
    const tasks = Array.from({ length: 7 }, (_, i) => ({
      name: `b${i}`,
      image,
      cmd: ["true"],
      labels: { half: i < 3 ? "first" : "second" },
    }));
    const post = (body: unknown, key: string) =>
      fetch(`${fleet.url}/v1/tasks`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify(body),
      });
    const first = await post({ tasks }, "k");
    assert.equal(first.status, 201);
    const { tasks: made } = await first.json();
    const again = await (await post({ tasks }, "k")).json();
    assert.deepEqual(again.tasks.map((t: { id: string }) => t.id), made.map((t: { id: string }) => t.id));
    const other = await post({ tasks: tasks.slice(1) }, "k");
    assert.equal(other.status, 409);
    await other.body?.cancel();
    for (const { name } of tasks) await fleet.until(name, "completed");

    const names: string[] = [];
    for (let cursor = ""; cursor !== null;) {
      const page = await (await fetch(`${fleet.url}/v1/tasks?limit=3${cursor && `&cursor=${cursor}`}`)).json();
      names.push(...page.tasks.map((t: { name: string }) => t.name));
      cursor = page.next;
    }
    assert.deepEqual(names, tasks.map((t) => t.name));
    const count = async (query: string) => (await (await fetch(`${fleet.url}/v1/tasks?${query}`)).json()).tasks.length;
    assert.equal(await count("label=half=first"), 3);
    assert.equal(await count("state=completed"), 7);
    assert.equal(await count("live=true"), 0);
    assert.equal(await count(`node=localhost:${fleet.sailorPorts[0]}`), 7);
  }));

testWithEngine(
  "events stream resumes where it was left; logs stream; probes and figures",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await fleet.submit({ name: "a", image, cmd: ["sh", "-c", "echo hello"] });
      await fleet.until("a", "completed");
      const all = (await (await fetch(`${fleet.url}/v1/events?after=0`)).json()).events;
      const middle = all[Math.floor(all.length / 2)].id;
      const seen = await readEvents(`${fleet.url}/v1/events`, middle, all.at(-1).id);
      assert.deepEqual(seen, all.filter((e: { id: number }) => e.id > middle).map((e: { id: number }) => e.id));

      const logs = await fetch(`${fleet.url}/v1/tasks/a/logs`, { headers: { accept: "application/x-ndjson" } });
      assert.deepEqual(JSON.parse((await logs.text()).trim()), { stream: "stdout", text: "hello\n" });
      for (const path of ["/healthz", "/readyz", "/v1/info", "/v1/nodes", "/v1/openapi.json"]) {
        const response = await fetch(`${fleet.url}${path}`);
        assert.equal(response.status, 200, path);
        await response.body?.cancel();
      }
      const metrics = await eventually("the figures", async () => await (await fetch(`${fleet.url}/metrics`)).text());
      for (
        const line of [
          'ormen_tasks{state="completed"} 1',
          'ormen_nodes{status="ready"} 1',
          "ormen_placement_seconds_count 1",
          "ormen_queue_depth 0",
        ]
      ) assert.ok(metrics.includes(line), `${line} in\n${metrics}`);
      assert.match(metrics, /ormen_commit_seconds_count [1-9]/);
      assert.match(metrics, /ormen_http_requests_total\{.*\/v1\/tasks/);
    }),
);

async function readEvents(url: string, after: number, last: number): Promise<number[]> {
  const abort = new AbortController();
  const response = await fetch(url, {
    headers: { accept: "text/event-stream", "last-event-id": String(after) },
    signal: abort.signal,
  });
  const ids: number[] = [];
  let held = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    held += decoder.decode(chunk, { stream: true });
    const lines = held.split("\n");
    held = lines.pop()!;
    ids.push(...lines.filter((line) => line.startsWith("id:")).map((line) => Number(line.slice(3))));
    if (ids.at(-1)! >= last) break;
  }
  abort.abort();
  return ids;
}
