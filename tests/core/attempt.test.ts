import assert from "node:assert/strict";
import fc from "fast-check";
import { ATTEMPT_STATES, ATTEMPT_TRANSITIONS, isFinal, mayFollow } from "../../lib/core/attempt.ts";
import type { AttemptState } from "../../lib/core/attempt.ts";
import { isSailFinal } from "../../lib/core/sail.ts";
import type { AttemptCause } from "../../lib/core/outgoing.ts";
import { TestWorld } from "./support.ts";

Deno.test("a final state is final, and every other can end in each of them", () => {
  const finals = ATTEMPT_STATES.filter(isFinal);
  assert.deepEqual(finals, ["completed", "failed", "stopped", "lost"]);
  for (const state of ATTEMPT_STATES) {
    if (isFinal(state)) assert.deepEqual(ATTEMPT_TRANSITIONS[state], []);
    else for (const final of finals) assert.ok(mayFollow(state, final), `${state} -> ${final}`);
  }
});

type Step = { readonly kind: "report"; readonly state: Exclude<AttemptState, "assigned" | "unknown"> } | {
  readonly kind: "stop" | "away" | "back" | "drain" | "resume";
};

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.constantFrom<Step["kind"]>("stop", "away", "back", "drain", "resume").map((kind) => ({ kind }) as Step),
    fc.constantFrom("preparing", "running", "stopping", "completed", "failed", "stopped", "lost")
      .map((state) => ({ kind: "report", state }) as Step),
  ),
  { maxLength: 25 },
);

Deno.test("property: whatever sailors say and users do, states follow the table and one attempt is current (I2, I6)", () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(true, false, "lost" as const), (list, reschedule) => {
      const w = new TestWorld();
      for (const n of ["n1", "n2"]) w.hello(n);
      w.submit("a", { reschedule });
      const seen = new Map<string, AttemptState>();
      let n = 0;
      for (const step of list) {
        const current = w.sail("a").currentAttemptId ?? `a-${w.sail("a").attempts}`;
        const node = w.state.attempts.get(current)?.nodeId ?? "n1";
        const endedBefore = isSailFinal(w.sail("a").state) ? w.sail("a").state : null;
        switch (step.kind) {
          case "report":
            w.report(node, current, step.state, { cause: causeOf(step.state) });
            break;
          case "stop":
            w.input({ kind: "stop", sailId: "a", graceMs: null });
            break;
          case "away":
            w.pass(1_000, ["n1", "n2"]);
            w.pass(12_000, ["n1", "n2"].filter((id) => id !== node));
            break;
          case "back":
            w.hello(node, {}, `s-${node}-${n++}`);
            break;
          case "drain":
          case "resume":
            w.input({ kind: "setEligibility", nodeId: node, to: step.kind === "drain" ? "draining" : "eligible" });
            break;
          default:
            step satisfies never;
        }
        if (endedBefore) assert.equal(w.sail("a").state, endedBefore, "a task that has ended stays so");
        const open = [...w.state.attempts.values()].filter((a) => !isFinal(a.state));
        assert.ok(open.length <= 1, "two attempts of one task are open");
        if (open.length === 1) assert.equal(w.sail("a").currentAttemptId, open[0].id);
        for (const attempt of w.state.attempts.values()) {
          const before = seen.get(attempt.id);
          if (before && isFinal(before)) assert.equal(attempt.state, before);
          seen.set(attempt.id, attempt.state);
        }
      }
    }),
    { numRuns: 500 },
  );
});

function causeOf(state: AttemptState): AttemptCause | undefined {
  const causes: Partial<Record<AttemptState, AttemptCause>> = {
    completed: "exited",
    failed: "restartsUsedUp",
    stopped: "stopped",
    lost: "vanished",
  };
  return causes[state];
}
