/** Every strategy, whatever befalls it: how it ends, what runs then, and how many were healthy at the least. */
import assert from "node:assert/strict";
import type { ServiceDocument } from "../../../lib/core/documents/service.ts";
import type { Script } from "./rig.ts";
import { image, ServiceRig } from "./rig.ts";

type Update = NonNullable<ServiceDocument["update"]>;

const STRATEGIES: Record<string, { update: Update; allowed: number }> = {
  "rolling, start-first": { update: {}, allowed: 3 },
  "rolling, start-first, all at once": { update: { maxParallel: "100%" }, allowed: 3 },
  "rolling, stop-first": { update: { order: "stop-first", maxUnavailable: 1 }, allowed: 2 },
  "rolling, stop-first, two at a time": {
    update: { order: "stop-first", maxUnavailable: 2, maxParallel: 2 },
    allowed: 1,
  },
  canary: { update: { strategy: "canary", canary: 2, autoPromote: true }, allowed: 3 },
  "canary in place": {
    update: { strategy: "canary", canary: 1, autoPromote: true, order: "stop-first", maxUnavailable: 1 },
    allowed: 2,
  },
  blueGreen: { update: { strategy: "blueGreen" }, allowed: 3 },
  recreate: { update: { strategy: "recreate" }, allowed: 0 },
};

interface Case {
  /** Of revision 2. */
  readonly script?: Script;
  readonly memory?: string;
  readonly befall?: (rig: ServiceRig) => void;
  readonly end: "succeeded" | "failed";
  readonly why?: RegExp;
  /** Replicas that are lost without the rollout's doing. */
  readonly lost?: number;
}

const CASES: Record<string, Case> = {
  healthy: { end: "succeeded" },
  slow: { script: { healthyMs: 15_000 }, end: "succeeded" },
  late: { script: { healthyMs: null }, end: "failed", why: /was not healthy within 20s/ },
  crashing: { script: { healthyMs: null, exitMs: 500 }, end: "failed", why: /failed: exited with code 1/ },
  flapping: { script: { healthyMs: 500, flapMs: 500 }, end: "failed", why: /did not stay healthy|no replica became/ },
  "no room": { memory: "40GiB", end: "failed", why: /no replica became healthy for 1m: web\.\d@2 is pending/ },
  "a node is lost": {
    script: { healthyMs: 5_000 },
    befall: (rig) => {
      rig.silence("n2");
      rig.run(30_000);
      rig.revive("n2");
    },
    end: "succeeded",
    lost: 1,
  },
  "the deck restarts": {
    script: { healthyMs: 5_000 },
    befall: (rig) => {
      rig.restart(3_600_000);
      rig.run(2_000);
      rig.restart();
    },
    end: "succeeded",
  },
};

for (const [strategy, { update, allowed }] of Object.entries(STRATEGIES)) {
  for (const [name, { script = {}, memory = "1GiB", befall, end, why, lost = 0 }] of Object.entries(CASES)) {
    Deno.test(`${strategy}: ${name}`, () => {
      const rig = new ServiceRig(({ revision }) => revision === 2 ? script : {}, 3, 64 * 1024);
      rig.apply({ task: { image: "web:1", memory: "1GiB" } });
      assert.equal(rig.ended(), "succeeded");
      rig.run(5_000);
      const before = [...rig.state.replicas.get("web")!];
      rig.least = Infinity;
      // Slots that are replaced in place need the room that only a large node has: for `no room` none has it.
      const task = { image: "web:2", memory: memory === "40GiB" ? "65GiB" : memory };
      rig.apply({ task, update: { progressDeadline: "60s", monitor: "3s", ...update } });
      rig.run(4_000);
      befall?.(rig);
      assert.equal(rig.ended(2), end, rig.rolloutAt(2).why ?? "");
      if (why) assert.match(rig.rolloutAt(2).why!, why);
      if (end === "failed") {
        assert.equal(rig.ended(3), "succeeded");
        assert.equal(rig.service.revision, 1);
      }
      rig.run(60_000);
      const at = end === "succeeded" ? 2 : 1;
      assert.deepEqual(rig.replicas(), [0, 1, 2].map((slot) => `web.${slot}@${at} healthy`));
      // What the rollout itself may take away, and what was lost without it.
      const flaps = name === "flapping" ? 3 : 0;
      assert.ok(rig.least >= allowed - lost - flaps, `${rig.least} were healthy, at least ${allowed} should have been`);
      const isUntouched = end === "failed" && allowed === 3 && name !== "flapping";
      if (isUntouched) assert.deepEqual([...rig.state.replicas.get("web")!], before, "the old ones were not touched");
      assert.equal(rig.service.held, null);
      rig.checkIndexes();
    });
  }
}

Deno.test("a rollback and a restart go the way of an update", () => {
  const rig = new ServiceRig();
  rig.apply(image(1));
  rig.ended();
  rig.apply(image(2));
  rig.ended();
  rig.least = Infinity;
  rig.input({ kind: "rollbackService", name: "web", to: null });
  assert.equal(rig.ended(), "succeeded");
  assert.deepEqual([rig.service.revision, rig.rollout.cause, rig.least], [1, "rollback", 3]);
  rig.input({ kind: "restartService", name: "web" });
  assert.equal(rig.ended(), "succeeded");
  assert.deepEqual([rig.service.revision, rig.rollout.cause, rig.least], [3, "restart", 3]);
  assert.equal(rig.state.revisions.get("web@3")!.cause, "restart of 1");
});

Deno.test("ten revisions are kept, the stable one beyond them, and their specifications", () => {
  const rig = new ServiceRig(({ revision }) => revision > 1 ? { healthyMs: null } : {});
  rig.apply(image(1));
  rig.ended();
  for (let version = 2; version <= 14; version++) {
    rig.apply({ ...image(version), update: { autoRevert: false } });
    rig.run(1_000);
  }
  const numbers = [...rig.state.revisions.values()].map(({ number }) => number).sort((a, b) => a - b);
  assert.deepEqual(numbers, [1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  assert.ok(numbers.every((number) => rig.state.specs.has(`web@${number}`)));
  assert.equal(rig.state.rolloutsByService.get("web")!.size, 10);
  rig.checkIndexes();
});

Deno.test("autoRevert off: it is kept as it is, and rollback or resume goes on from there", () => {
  const rig = new ServiceRig(({ revision }) => revision === 2 ? { healthyMs: null } : {});
  rig.apply(image(1));
  rig.ended();
  rig.apply({ ...image(2), update: { autoRevert: false } });
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.service.held!, /autoRevert is off/);
  const before = rig.replicas();
  rig.run(120_000);
  assert.deepEqual(rig.replicas(), before);
  rig.input({ kind: "rollbackService", name: "web", to: 1 });
  assert.equal(rig.ended(3), "succeeded");
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), [0, 1, 2].map((slot) => `web.${slot}@1 healthy`));
});
