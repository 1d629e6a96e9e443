import assert from "node:assert/strict";
import fc from "fast-check";
import type { RestartPolicy } from "../../lib/core/documents/task.ts";
import {
  afterExit,
  afterUnhealthy,
  EXIT_DELAY_BASE_MS,
  HEALTH_DELAY_BASE_MS,
  RESTART_DELAY_MAX_MS,
} from "../../lib/core/restart.ts";

const policies: fc.Arbitrary<RestartPolicy> = fc.oneof(
  fc.constantFrom<RestartPolicy>({ kind: "no" }, { kind: "always" }, { kind: "unlessStopped" }),
  fc.option(fc.nat(1000)).map((attemptsMax): RestartPolicy => ({ kind: "onFailure", attemptsMax })),
);
const exitCodes = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 255 }));
const counts = fc.oneof(fc.nat(20), fc.nat(1_000_000));

const CASES: readonly [RestartPolicy, number, number, string][] = [
  [{ kind: "no" }, 0, 0, "exited"],
  [{ kind: "no" }, 1, 0, "exited"],
  [{ kind: "always" }, 0, 0, "restart 100"],
  [{ kind: "always" }, 137, 4, "restart 1600"],
  [{ kind: "unlessStopped" }, 0, 50, "restart 60000"],
  [{ kind: "onFailure", attemptsMax: null }, 0, 0, "exited"],
  [{ kind: "onFailure", attemptsMax: null }, 1, 9, "restart 51200"],
  [{ kind: "onFailure", attemptsMax: 0 }, 1, 0, "restartsUsedUp"],
  [{ kind: "onFailure", attemptsMax: 3 }, 1, 2, "restart 400"],
  [{ kind: "onFailure", attemptsMax: 3 }, 1, 3, "restartsUsedUp"],
  [{ kind: "onFailure", attemptsMax: 3 }, 0, 3, "exited"],
];

for (const [policy, exitCode, restarts, expected] of CASES) {
  Deno.test(`afterExit() ${JSON.stringify(policy)}, code ${exitCode}, after ${restarts} restarts: ${expected}`, () => {
    const decision = afterExit(policy, exitCode, restarts);
    assert.equal(decision.kind === "restart" ? `restart ${decision.delayMs}` : decision.cause, expected);
  });
}

Deno.test("property: delays double, never shrink with the count, and end at a minute", () => {
  fc.assert(fc.property(policies, exitCodes, counts, counts, (policy, exitCode, restarts, maxRestarts) => {
    for (
      const [baseMs, decide] of [
        [EXIT_DELAY_BASE_MS, (n: number) => afterExit(policy, exitCode, n)],
        [HEALTH_DELAY_BASE_MS, (n: number) => afterUnhealthy(policy, maxRestarts, n)],
      ] as const
    ) {
      const [now, next] = [decide(restarts), decide(restarts + 1)];
      if (now.kind !== "restart") continue;
      assert.ok(now.delayMs >= baseMs && now.delayMs <= RESTART_DELAY_MAX_MS, `${now.delayMs}`);
      if (next.kind !== "restart") continue;
      assert.ok(next.delayMs === 2 * now.delayMs || next.delayMs === RESTART_DELAY_MAX_MS);
    }
  }));
});

Deno.test("property: what is over stays over with more restarts, and the cause tells why", () => {
  fc.assert(fc.property(policies, exitCodes, counts, counts, (policy, exitCode, restarts, more) => {
    const decision = afterExit(policy, exitCode, restarts);
    if (decision.kind === "restart") return;
    assert.deepEqual(afterExit(policy, exitCode, restarts + more), decision);
    assert.equal(decision.cause === "restartsUsedUp", policy.kind === "onFailure" && exitCode !== 0);
  }));
});

Deno.test("property: on-failure:N is restarted exactly N times, and health maxRestarts times", () => {
  fc.assert(fc.property(fc.nat(50), fc.integer({ min: 1, max: 255 }), (max, exitCode) => {
    let restarts = 0;
    while (afterExit({ kind: "onFailure", attemptsMax: max }, exitCode, restarts).kind === "restart") restarts++;
    assert.equal(restarts, max);
    let healthRestarts = 0;
    while (afterUnhealthy({ kind: "no" }, max, healthRestarts).kind === "restart") healthRestarts++;
    assert.equal(healthRestarts, max);
  }));
});

Deno.test("property: always never gives up, whatever happens", () => {
  fc.assert(fc.property(exitCodes, counts, counts, (exitCode, restarts, maxRestarts) => {
    assert.equal(afterExit({ kind: "always" }, exitCode, restarts).kind, "restart");
    assert.equal(afterUnhealthy({ kind: "always" }, maxRestarts, restarts).kind, "restart");
  }));
});
