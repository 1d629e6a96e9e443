/** A sailor keeps its operator's bounds against its own deck and its own API. */
import assert from "node:assert/strict";
import type { TaskDocument, TaskSpec } from "../../lib/core/documents/task.ts";
import type { Ground } from "../../lib/sailor/sailor.ts";
import { assignment, nameOf, Rig, spec } from "./support/rig.ts";

const ground = (links: Record<string, string> = {}, change: Partial<Ground["bounds"]> = {}): Ground => ({
  bounds: { binds: ["/srv"], hostNetwork: false, ...change },
  sockets: ["/run/docker.sock"],
  realPathOf: (path) =>
    links[path] === "" ? Promise.reject(new Error(`${path} cannot be resolved`)) : Promise.resolve(links[path] ?? path),
});

const BROKEN: readonly { name: string; task: Partial<TaskDocument>; links?: Record<string, string>; says: RegExp }[] = [
  {
    name: "a bind",
    task: { volumes: ["/etc:/in:ro"] },
    says: /^node host-a does not allow the bind \/etc: no --allow-binds of its sailor covers that$/,
  },
  {
    name: "a link out of an allowed directory",
    task: { volumes: ["/srv/x:/in"] },
    links: { "/srv/x": "/etc" },
    says: /the bind \/srv\/x, which leads to \/etc: no --allow-binds of/,
  },
  {
    name: "a path that cannot be looked at",
    task: { volumes: ["/srv/x:/in"] },
    links: { "/srv/x": "" },
    says: /does not allow the bind \/srv\/x: \/srv\/x cannot be resolved$/,
  },
  {
    name: "a path outside that cannot be looked at",
    task: { volumes: ["/root/x:/in"] },
    links: { "/root/x": "" },
    says: /the bind \/root\/x: no --allow-binds of/,
  },
  {
    name: "the Engine's socket",
    task: { volumes: ["/srv/s:/in"] },
    links: { "/srv/s": "/run/docker.sock" },
    says: /the bind \/srv\/s/,
  },
  {
    name: "the host's network",
    task: { network: "host" },
    says: /does not allow the host's network: its sailor was not started with --allow-host-network$/,
  },
  { name: "a program of the host", task: { runtime: "process", cmd: ["id"] }, says: /no process runtime/ },
];

for (const { name, task, links, says } of BROKEN) {
  Deno.test(`a deck that lists ${name} gets a failed attempt, and the engine is never asked`, async () => {
    const rig = new Rig();
    const deck = await rig.begin([], { ground: ground(links) });
    deck.assign([assignment("a", { task: { ...task, restart: "always", pull: "always" } })]);
    await rig.clock.advance(60_000);
    const { state, cause, observed } = deck.last("a");
    assert.deepEqual([state, cause], ["failed", "notCreated"]);
    assert.match(observed.message!, says);
    assert.deepEqual(rig.engine.calls, [], "not once, and not again");
    await rig.end();
  });

  Deno.test(`the sailor's own API obeys too: ${name}`, async () => {
    const rig = new Rig();
    await rig.boot({ ground: ground(links) });
    await rig.sailor.localSubmit({ id: "a", spec: spec(task), original: null, originalEventId: null });
    await rig.clock.advance(60_000);
    assert.equal(rig.task("a")!.state, "failed");
    assert.match(rig.task("a")!.observed.message!, says);
    assert.deepEqual(rig.engine.calls, []);
    await rig.end();
  });
}

Deno.test("a sailor that was told nothing allows nothing, and its hello says so", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { volumes: ["/srv:/in"] } })]);
  await rig.clock.settle();
  assert.deepEqual(deck.hello.allows, { binds: [], hostNetwork: false });
  assert.equal(deck.last("a").state, "failed");
  await rig.end();
});

Deno.test("an image is not run as a program where there is only the process runtime", async () => {
  const rig = new Rig("process");
  await rig.boot();
  const task: TaskSpec = spec({ cmd: ["rm", "-rf", "/tmp/x"] });
  await rig.sailor.localSubmit({ id: "a", spec: task, original: null, originalEventId: null });
  await rig.clock.settle();
  assert.deepEqual([rig.task("a")!.state, rig.engine.calls], ["failed", []]);
  assert.match(rig.task("a")!.observed.message!, /no docker runtime/);
  await rig.end();
});

Deno.test("what is allowed runs, and is bound to the place that was judged", async () => {
  const rig = new Rig();
  const deck = await rig.begin([], { ground: ground({ "/data": "/srv/data" }, { hostNetwork: true }) });
  const task = { volumes: ["/data:/in:ro", "named:/n"], network: "host" };
  deck.assign([assignment("a", { task })]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "running");
  assert.deepEqual(rig.engine.container(nameOf("a")).spec.volumes, [
    { source: "/srv/data", target: "/in", readOnly: true },
    { source: "named", target: "/n", readOnly: false },
  ]);
  assert.deepEqual(deck.hello.allows, { binds: ["/srv"], hostNetwork: true });
  await rig.end();
});

Deno.test("a link that is turned while the image is pulled is judged as it lies then", async () => {
  const rig = new Rig();
  const links: Record<string, string> = {};
  const deck = await rig.begin([], { ground: ground(links) });
  const release = rig.engine.hold("pull");
  deck.assign([assignment("a", { task: { image: "other:1", volumes: ["/srv/x:/in"] } })]);
  await rig.clock.settle();
  links["/srv/x"] = "/etc";
  release();
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "failed");
  assert.deepEqual([...rig.engine.containers], []);
  await rig.end();
});

Deno.test("narrower bounds after a restart do not end what runs", async () => {
  const rig = new Rig();
  const listed = [assignment("a", { task: { volumes: ["/srv:/in"] } })];
  await rig.begin(listed, { ground: ground() });
  await rig.crash();
  const deck = await rig.begin(listed.map((a) => ({ ...a, known: true })));
  await rig.clock.advance(60_000);
  assert.equal(rig.task("a")!.state, "running");
  assert.deepEqual(deck.hello.allows, { binds: [], hostNetwork: false });
  await rig.end();
});
