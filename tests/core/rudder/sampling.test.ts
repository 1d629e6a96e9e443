/** Placement in clusters that are too large to look at every node for each task. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { TaskDocument } from "../../../lib/core/documents/task.ts";
import { choose, EVERY_NODE_UP_TO } from "../../../lib/core/rudder/rudder.ts";
import type { Choice, ChooseOptions, Scheduler, SchedulerName } from "../../../lib/core/rudder/rudder.ts";
import { SCHEDULERS } from "../../../lib/core/rudder/schedulers.ts";
import { MIB, spec, TestWorld } from "../support.ts";

const LARGE = 5 * EVERY_NODE_UP_TO;
const FULL = { cpuCores: 0.01, memoryBytes: MIB, diskBytes: MIB };

function clusterOf(
  nodes: number,
  capacityOf: (i: number) => object = () => ({}),
  scheduler?: SchedulerName,
): TestWorld {
  const w = new TestWorld(scheduler ? { scheduler } : {});
  for (let i = 0; i < nodes; i++) w.hello(`n${String(i).padStart(5, "0")}`, capacityOf(i));
  return w;
}

/** The same choice, and how many nodes were looked at for it. */
function counted(
  w: TestWorld,
  scheduler: Scheduler,
  options: Partial<ChooseOptions> = {},
  document: Partial<TaskDocument> = {},
) {
  const { masts } = w.state;
  let looks = 0;
  const get = masts.get.bind(masts);
  masts.get = (id) => {
    looks++;
    return get(id);
  };
  const choice = choose(w.state, scheduler, spec(document), { turn: 0, ...options });
  masts.get = get;
  return { choice, looks };
}

const nodeOf = (choice: Choice) => choice.kind === "placed" ? choice.candidate.mast.id : choice.why;

Deno.test("up to 200 nodes the best of all is taken, wherever it stands", () => {
  for (const best of [0, 77, EVERY_NODE_UP_TO - 1]) {
    const w = clusterOf(EVERY_NODE_UP_TO);
    for (let i = 0; i < EVERY_NODE_UP_TO; i++) {
      if (i !== best) w.submit(`t${i}`, { constraints: [`node.name == n${String(i).padStart(5, "0")}`] });
    }
    for (const name of ["epvm", "greedy", "spread"] as const) {
      const { choice, looks } = counted(w, SCHEDULERS[name]);
      assert.equal(nodeOf(choice), `n${String(best).padStart(5, "0")}`, name);
      assert.ok(looks >= EVERY_NODE_UP_TO);
    }
  }
});

Deno.test("beyond, a few are looked at, however many there are", () => {
  for (const [name, scheduler] of Object.entries(SCHEDULERS)) {
    const looks = [LARGE, 4 * LARGE].map((nodes) => counted(clusterOf(nodes), scheduler).looks);
    assert.ok(looks[0] < 30, `${name}: ${looks}`);
    assert.equal(looks[0], looks[1], name);
  }
});

Deno.test("samples go round: with nothing else to choose by every node gets its share", () => {
  const w = clusterOf(LARGE, undefined, "spread");
  for (let i = 0; i < 2 * LARGE; i++) w.submit(`t${i}`, { cpu: 0.1, memory: "8MiB" });
  const tasks = [...w.state.attemptsByNode.values()].map((attempts) => attempts.size);
  assert.equal(tasks.length, LARGE);
  assert.ok(Math.max(...tasks) <= 4, `${Math.max(...tasks)} on one node`);
});

Deno.test("a task waits only when it fits nowhere: the one node with room is found", () => {
  for (const name of Object.keys(SCHEDULERS) as SchedulerName[]) {
    const w = clusterOf(LARGE, (i) => i === 613 ? {} : { capacity: FULL });
    assert.equal(nodeOf(counted(w, SCHEDULERS[name]).choice), "n00613", name);
    // Where one of the kind fitted is remembered: the next one is spared the look at all of them.
    const second = counted(w, SCHEDULERS[name]);
    assert.equal(nodeOf(second.choice), "n00613", name);
    if (name !== "roundrobin") assert.ok(second.looks < 300, `${name}: ${second.looks}`);
  }
});

Deno.test("that a task fits nowhere is found out once, until something changes", () => {
  const w = clusterOf(LARGE, () => ({ capacity: FULL }));
  const first = counted(w, SCHEDULERS.epvm);
  assert.match(nodeOf(first.choice), /^1000 nodes: 1000 lack memory/);
  const again = counted(w, SCHEDULERS.epvm);
  assert.deepEqual([again.choice, again.looks], [first.choice, 0]);

  // Signs of life change nothing, ...
  const live = w.state.live.get("n00001")!;
  w.state.live.set("n00001", { ...live, heardMonoMs: 5 });
  assert.equal(counted(w, SCHEDULERS.epvm).looks, 0);
  // ... a task of another kind is another question, ...
  assert.ok(counted(w, SCHEDULERS.epvm, {}, { memory: "8MiB" }).looks >= LARGE);
  // ... so is one that may not go back to where it was, ...
  assert.ok(counted(w, SCHEDULERS.epvm, { exclude: "n00002" }).looks >= LARGE - 1);
  // ... and a node that comes is news.
  w.hello("new");
  assert.equal(nodeOf(counted(w, SCHEDULERS.epvm).choice), "new");
});

Deno.test("what ends, drains, returns or is told of local tasks is news for a task that fitted nowhere", () => {
  const w = clusterOf(1, () => ({ capacity: { cpuCores: 1, memoryBytes: 64 * MIB, diskBytes: 2 ** 30 } }));
  const big: Partial<TaskDocument> = { memory: "48MiB", cpu: 0.5 };
  const placed = () => nodeOf(counted(w, SCHEDULERS.epvm, {}, big).choice);
  w.submit("first", big);
  assert.match(placed(), /lacks memory/);
  w.report("n00000", "first-1", "running");
  w.report("n00000", "first-1", "completed", { cause: "exited", observed: { exitCode: 0 } });
  assert.equal(placed(), "n00000");
  w.input({ kind: "setEligibility", nodeId: "n00000", to: "draining" });
  assert.match(placed(), /is draining/);
  w.input({ kind: "setEligibility", nodeId: "n00000", to: "eligible" });
  assert.equal(placed(), "n00000");
  const live = w.state.live.get("n00000")!;
  const local = { cpuCores: 1, memoryBytes: 32 * MIB, diskBytes: 0, hostPorts: [], taskCount: 1 };
  w.state.live.set("n00000", { ...live, local });
  assert.match(placed(), /lacks memory/);
  w.state.live.set("n00000", live);
  assert.equal(placed(), "n00000");
  w.input({ kind: "sessionClosed", sessionId: "s-n00000", nodeId: "n00000" });
  assert.match(placed(), /is not connected/);
});

Deno.test("binpack fills nodes as far by samples as by looking at all of them", () => {
  const used = [{}, { everyNode: true }].map((options) => {
    const w = clusterOf(LARGE);
    for (let turn = 0; turn < 600; turn++) {
      const task = spec({
        name: `t${turn}`,
        cpu: [0.1, 0.5, 1][turn % 3],
        memory: ["64MiB", "100MiB", "200MiB"][turn % 3],
      });
      const choice = choose(w.state, SCHEDULERS.binpack, task, { turn, ...options });
      w.submit(`t${turn}`, {
        ...nameOnly(choice),
        cpu: [0.1, 0.5, 1][turn % 3],
        memory: ["64MiB", "100MiB", "200MiB"][turn % 3],
      });
    }
    return w.state.attemptsByNode.size;
  });
  assert.ok(used[0] <= used[1] * 1.1, `${used[0]} nodes by samples, ${used[1]} by looking at all`);
});

const nameOnly = (choice: Choice): Partial<TaskDocument> => ({ constraints: [`node.name == ${nodeOf(choice)}`] });

Deno.test("roundrobin takes the nodes in turn in a large cluster, too, and passes over those that do not fit", () => {
  const w = clusterOf(LARGE, (i) => i % 3 === 0 ? { capacity: FULL } : {});
  for (const turn of [0, 1, 2, 998, 999, 1_500]) {
    const [sampled, full] = [{}, { everyNode: true }].map((o) =>
      choose(w.state, SCHEDULERS.roundrobin, spec(), { turn, ...o })
    );
    assert.equal(nodeOf(sampled), nodeOf(full), `turn ${turn}`);
  }
});

Deno.test("a node to be avoided is taken when no other fits, one that is excluded never", () => {
  const w = clusterOf(LARGE, (i) => i === 5 ? {} : { capacity: FULL });
  assert.equal(nodeOf(choose(w.state, SCHEDULERS.epvm, spec(), { turn: 0, avoid: "n00005" })), "n00005");
  assert.match(nodeOf(choose(w.state, SCHEDULERS.epvm, spec(), { turn: 0, exclude: "n00005" })), /^999 nodes: /);
});

Deno.test("replicas that are spread have every node looked at, one that is bound to a node that one alone", () => {
  const w = clusterOf(LARGE);
  const rank = (mast: { id: string }) => mast.id === "n00777" ? 0 : 1;
  assert.equal(nodeOf(counted(w, SCHEDULERS.epvm, { rank }).choice), "n00777");
  const only = counted(w, SCHEDULERS.epvm, { only: "n00042" });
  assert.equal(nodeOf(only.choice), "n00042");
  assert.ok(only.looks <= 2, `${only.looks}`);
});

Deno.test("property: by samples or not, a task is refused only when it fits nowhere, and never placed where it does not fit", () => {
  const size = fc.record({
    cpu: fc.constantFrom(0.1, 0.5, 1, 2),
    memory: fc.constantFrom("16MiB", "100MiB", "300MiB", "900MiB"),
  });
  const act = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant("submit" as const), size, zone: fc.constantFrom(null, "a", "b") }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("end" as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("rejoin" as const), at: fc.nat() }) },
  );
  const names = Object.keys(SCHEDULERS) as SchedulerName[];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.array(act, { maxLength: 60 }), (scheduler, acts) => {
      // Nearly all are full: samples often find nothing.
      const capacityOf = (i: number) => ({
        labels: { zone: i % 50 === 0 ? "b" : "a" },
        ...(i % 25 === 0 ? {} : { capacity: FULL }),
      });
      const w = clusterOf(EVERY_NODE_UP_TO + 50, capacityOf, scheduler);
      const nodes = [...w.state.masts.keys()];
      for (const [i, act] of acts.entries()) {
        if (act.kind === "submit") {
          const constraints = act.zone === null ? [] : [`node.labels.zone == ${act.zone}`];
          const document = { ...act.size, constraints };
          const full = choose(w.state, SCHEDULERS[scheduler], spec(document), {
            turn: i,
            everyNode: true,
            exclude: "nobody",
          });
          w.submit(`t${i}`, document);
          assert.equal(w.state.sails.get(`t${i}`)!.state, full.kind === "placed" ? "scheduled" : "pending");
        } else if (act.kind === "end") {
          const attempts = [...w.state.attempts.values()].filter(({ state }) => state === "assigned");
          const attempt = attempts[act.at % Math.max(1, attempts.length)];
          if (attempt) w.report(attempt.nodeId, attempt.id, "failed", { cause: "exited", observed: { exitCode: 1 } });
        } else {
          const nodeId = nodes[act.at % 11 * 25 % nodes.length];
          if (act.kind === "drain") w.input({ kind: "setEligibility", nodeId, to: "draining" });
          else w.input({ kind: "setEligibility", nodeId, to: "eligible" });
        }
        for (const [engineId, book] of w.state.books) {
          const mast = w.state.masts.get(engineId.slice(2))!;
          assert.ok(book.memoryBytes <= mast.capacity.memoryBytes && book.cpuMillis <= mast.capacity.cpuCores * 1000);
        }
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("a pending task whose mount no node allows does not hold back one of the same size without", () => {
  const w = new TestWorld();
  w.submit("mounts", { volumes: ["/srv/data:/data"] });
  w.submit("plain");
  w.hello("n1", { allows: { binds: [], hostNetwork: false } });
  assert.deepEqual(["mounts", "plain"].map((id) => w.state.sails.get(id)!.state), ["pending", "scheduled"]);
});
