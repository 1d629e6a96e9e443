/** What readers get: finding by reference, pages, filters, events; and the feed of committed events. */
import assert from "node:assert/strict";
import { createFeed } from "../../lib/deck/feed.ts";
import {
  eventRange,
  findMast,
  findSail,
  listEvents,
  listNodes,
  listTasks,
  originalNodes,
  originalTasks,
} from "../../lib/deck/reads.ts";
import type { TaskFilter } from "../../lib/deck/api.ts";
import { SETTINGS, TestWorld } from "../core/support.ts";

function world(): TestWorld {
  const world = new TestWorld();
  world.hello("node-a");
  world.hello("node-b");
  world.submit("1111-aaaa", { name: "web", labels: { team: "x" } });
  world.wallMs += 10;
  world.submit("1111-bbbb", { name: "db", labels: { team: "y" } });
  world.wallMs += 10;
  world.submit("2222-cccc", { name: "job", labels: { team: "x", tier: "1" } });
  return world;
}

/** Ends the task, so that its name is free again. */
function finish(world: TestWorld, sailId: string): void {
  const attempt = world.attempt(`${sailId}-1`);
  world.report(attempt.nodeId, attempt.id, "completed", { cause: "exited" });
}

const FIND: readonly { readonly reference: string; readonly found: string }[] = [
  { reference: "1111-aaaa", found: "1111-aaaa" },
  { reference: "web", found: "1111-aaaa" },
  { reference: "2222", found: "2222-cccc" },
  { reference: "222", found: "none" },
  { reference: "1111", found: "ambiguous 1111-aaaa 1111-bbbb" },
  { reference: "1111-b", found: "1111-bbbb" },
  { reference: "we", found: "none" },
  { reference: "nobody", found: "none" },
];

for (const { reference, found } of FIND) {
  Deno.test(`findSail() "${reference}": ${found}`, () => {
    const answer = findSail(world().state, reference);
    const told = answer.kind === "found"
      ? answer.value.id
      : answer.kind === "ambiguous"
      ? `ambiguous ${answer.candidates.join(" ")}`
      : "none";
    assert.equal(told, found);
  });
}

Deno.test("findSail() by name prefers the one that lives, then the newest", () => {
  const w = world();
  finish(w, "1111-aaaa");
  w.wallMs += 10;
  w.submit("3333", { name: "web" });
  const id = () => (findSail(w.state, "web") as { value: { id: string } }).value.id;
  assert.equal(id(), "3333");
  finish(w, "3333");
  assert.equal(id(), "3333", "the newest of those that ended");
  w.submit("0000", { name: "web" });
  assert.equal(id(), "0000");
});

Deno.test("findMast() by name, id or the beginning of an id", () => {
  const { state } = world();
  const id = (reference: string) => {
    const found = findMast(state, reference);
    return found.kind === "found" ? found.value.id : found.kind;
  };
  assert.deepEqual([id("node-a"), id("node-b"), id("node"), id("nod")], ["node-a", "node-b", "ambiguous", "none"]);
});

const FILTERS: readonly { readonly name: string; readonly filter: TaskFilter; readonly names: readonly string[] }[] = [
  { name: "none", filter: {}, names: ["web", "db", "job"] },
  { name: "live", filter: { live: true }, names: ["web", "job"] },
  { name: "states", filter: { states: ["completed", "failed"] }, names: ["db"] },
  { name: "a label", filter: { labels: { team: "x" } }, names: ["web", "job"] },
  { name: "two labels", filter: { labels: { team: "x", tier: "1" } }, names: ["job"] },
  { name: "a label that no object may have inherited", filter: { labels: { constructor: "x" } }, names: [] },
  { name: "a node that is none", filter: { node: "node-z" }, names: [] },
];

for (const { name, filter, names } of FILTERS) {
  Deno.test(`listTasks() filtered by ${name}`, () => {
    const w = world();
    finish(w, "1111-bbbb");
    const page = listTasks(w.state, SETTINGS, filter, 100, null)!;
    assert.deepEqual(page.items.map((t) => t.name), names);
    assert.equal(page.next, null);
  });
}

Deno.test("listTasks() by node takes a name or an id, and finds every task on exactly one node", () => {
  const { state } = world();
  const on = (node: string) => listTasks(state, SETTINGS, { node }, 100, null)!.items.map((t) => t.name);
  assert.deepEqual([...on("node-a"), ...on("node-b")].sort(), ["db", "job", "web"]);
  assert.ok(on("node-a").length > 0 && on("node-b").length > 0);
});

Deno.test("listTasks() in pages gives each task once, and refuses a cursor that is none", () => {
  const w = world();
  const seen: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: ReturnType<typeof listTasks> = listTasks(w.state, SETTINGS, {}, 2, cursor);
    seen.push(...page!.items.map((t) => t.name));
    cursor = page!.next;
    pages++;
  } while (cursor !== null);
  assert.deepEqual([seen, pages], [["web", "db", "job"], 2]);
  assert.equal(listTasks(w.state, SETTINGS, {}, 3, null)!.next, null, "a full page that is the last one says so");
  assert.equal(listTasks(w.state, SETTINGS, {}, 2, "gone"), undefined);
});

Deno.test("listNodes() pages by name", () => {
  const w = world();
  w.hello("node-c");
  const first = listNodes(w.state, 2, null)!;
  assert.deepEqual([first.items.map((n) => n.name), first.next], [["node-a", "node-b"], "node-b"]);
  const second = listNodes(w.state, 2, first.next)!;
  assert.deepEqual([second.items.map((n) => n.name), second.next], [["node-c"], null]);
  assert.deepEqual(listNodes(w.state, 2, "zzz"), { items: [], next: null });
});

Deno.test("listEvents() begins after the cursor, or at the oldest that is kept", () => {
  const { state } = world();
  const { oldest, newest } = eventRange(state);
  assert.equal(oldest, 1);
  assert.deepEqual(listEvents(state, 0, 1_000).map((e) => e.id), Array.from({ length: newest }, (_, i) => i + 1));
  assert.deepEqual(listEvents(state, 2, 2).map((e) => e.id), [3, 4]);
  assert.deepEqual(listEvents(state, newest, 10), []);
  for (const id of ["1", "2", "3"]) state.apply({ kind: "event", id, value: undefined });
  assert.equal(eventRange(state).oldest, 4);
  assert.deepEqual(listEvents(state, 0, 2).map((e) => e.id), [4, 5]);
});

Deno.test("eventRange() of no events is 0 to 0", () => {
  assert.deepEqual(eventRange(new TestWorld().state), { oldest: 0, newest: 0 });
});

Deno.test("what the original's API reads: the latest attempt of each task, and what is reserved on each node", () => {
  const w = world();
  finish(w, "1111-bbbb");
  const tasks = [...originalTasks(w.state)];
  assert.deepEqual(tasks.map((t) => [t.sail.name, t.attempt?.state]), [
    ["web", "assigned"],
    ["db", "completed"],
    ["job", "assigned"],
  ]);
  const nodes = originalNodes(w.state);
  assert.deepEqual(nodes.map((n) => n.mast.name), ["node-a", "node-b"]);
  assert.equal(nodes.reduce((sum, n) => sum + n.taskCount, 0), 2);
  assert.equal(nodes.reduce((sum, n) => sum + n.reservedMemoryBytes, 0), 2 * 64 * 2 ** 20);
});

Deno.test("createFeed() hands events to whoever is subscribed, in order, until it closes", () => {
  const { state } = world();
  const events = [...state.events.values()];
  const feed = createFeed();
  feed.publish(events.slice(0, 1));
  const [one, two]: number[][] = [[], []];
  const first = feed.subscribe((some) => {
    one.push(...some.map((e) => e.id));
    // A watcher that leaves in the middle of a publication takes nothing from the others.
    if (one.length === 2) first.close();
  });
  feed.subscribe((some) => void two.push(...some.map((e) => e.id)));
  feed.publish(events.slice(1, 3));
  feed.publish(events.slice(3, 4));
  assert.deepEqual([one, two], [[2, 3], [2, 3, 4]]);
});
