/** Rule 2 of the language: what becomes of a step, for every combination of what its needs came to. */
import assert from "node:assert/strict";
import type { NeedCondition } from "../../../lib/core/documents/workflow.ts";
import { needStatus } from "../../../lib/core/workflow/needs.ts";
import type { Needed } from "../../../lib/core/workflow/needs.ts";
import { task, WorkflowRig } from "./rig.ts";

const made = (state: Needed["state"], more: Partial<Needed> = {}): Needed => ({
  ...{ state, conclusion: null, started: false, healthy: false },
  ...more,
});

const AT: Record<string, Needed | undefined> = {
  pending: undefined,
  queued: made("queued"),
  running: made("running", { started: true }),
  healthy: made("running", { started: true, healthy: true }),
  waiting: made("waiting", { started: true }),
  retrying: made("retrying", { started: true }),
  succeeded: made("succeeded", { started: true, conclusion: "succeeded" }),
  succeededHealthy: made("succeeded", { started: true, healthy: true, conclusion: "succeeded" }),
  failed: made("failed", { started: true, conclusion: "failed" }),
  failedUnstarted: made("failed", { conclusion: "failed" }),
  mayFail: made("failed", { started: true, conclusion: "succeeded" }),
  timedOut: made("timedOut", { started: true, conclusion: "timedOut" }),
  cancelled: made("cancelled", { conclusion: "cancelled" }),
  skipped: made("skipped", { conclusion: "skipped" }),
  upstreamFailed: made("upstreamFailed", { conclusion: "upstreamFailed" }),
};

/** o open, + satisfied, - unsatisfied; in the order of CONDITIONS. */
const CONDITIONS: readonly NeedCondition[] = ["started", "healthy", "succeeded", "finished"];
const EXPECTED: Record<keyof typeof AT, string> = {
  pending: "oooo",
  queued: "oooo",
  running: "+ooo",
  healthy: "++oo",
  waiting: "+ooo",
  retrying: "+ooo",
  succeeded: "+-++",
  succeededHealthy: "++++",
  failed: "+--+",
  failedUnstarted: "---+",
  mayFail: "+-++",
  timedOut: "+--+",
  cancelled: "---+",
  skipped: "++++",
  upstreamFailed: "---+",
};

for (const [name, step] of Object.entries(AT)) {
  Deno.test(`needStatus() of a step that is ${name}`, () => {
    const signs = CONDITIONS.map((condition) =>
      ({ open: "o", satisfied: "+", unsatisfied: "-" })[needStatus(condition, step)]
    );
    assert.equal(signs.join(""), EXPECTED[name]);
  });
}

/** Ways a need may end, and the document and steps of a run in which it does. */
const WAYS = {
  succeeded: { document: task(), end: (rig: WorkflowRig, id: string) => rig.ends(`r.${id}.1`) },
  failed: { document: task(), end: (rig: WorkflowRig, id: string) => rig.ends(`r.${id}.1`, { exit: 1 }) },
  mayFail: {
    document: task({ continueOnError: true }),
    end: (rig: WorkflowRig, id: string) => rig.ends(`r.${id}.1`, { exit: 1 }),
  },
  timedOut: {
    document: task({ timeout: "1s" }),
    end: (rig: WorkflowRig, id: string) => {
      rig.runs(`r.${id}.1`);
      rig.wait(2_000);
      rig.stops(`r.${id}.1`);
    },
  },
  skipped: { document: task({ when: "false" }), end: () => {} },
  upstreamFailed: { document: task({ needs: ["broken"] }), end: () => {} },
} as const;
type Way = keyof typeof WAYS;

const GOOD: ReadonlySet<Way> = new Set(["succeeded", "mayFail", "skipped"]);
/** Each condition and what it gives: the default, replaced by status functions, or ANDed with what names none. */
const WHENS: readonly { readonly when: string | null; readonly verdict: (a: Way, b: Way) => string }[] = [
  { when: null, verdict: (a, b) => GOOD.has(a) && GOOD.has(b) ? "queued" : "upstreamFailed" },
  { when: "1 == 1", verdict: (a, b) => GOOD.has(a) && GOOD.has(b) ? "queued" : "upstreamFailed" },
  { when: "1 == 2", verdict: (a, b) => GOOD.has(a) && GOOD.has(b) ? "skipped" : "upstreamFailed" },
  { when: "success()", verdict: (a, b) => GOOD.has(a) && GOOD.has(b) ? "queued" : "skipped" },
  { when: "failure()", verdict: (a, b) => GOOD.has(a) && GOOD.has(b) ? "skipped" : "queued" },
  { when: "always()", verdict: () => "queued" },
  { when: "always() && 1 == 2", verdict: () => "skipped" },
  { when: "succeeded('a')", verdict: (a) => a === "succeeded" ? "queued" : "skipped" },
  {
    when: "failed('a')",
    verdict: (a) =>
      a === "failed" || a === "mayFail" || a === "timedOut" || a === "upstreamFailed" ? "queued" : "skipped",
  },
  { when: "skipped('b')", verdict: (_, b) => b === "skipped" ? "queued" : "skipped" },
  { when: "steps.a.outcome == 'timedOut' && always()", verdict: (a) => a === "timedOut" ? "queued" : "skipped" },
];

for (const { when, verdict } of WHENS) {
  Deno.test(`a step with ${when === null ? "no condition" : `when: ${when}`}, for all ends of two needs`, () => {
    for (const a of Object.keys(WAYS) as Way[]) {
      for (const b of Object.keys(WAYS) as Way[]) {
        const rig = new WorkflowRig();
        rig.start({
          steps: {
            broken: task(),
            a: WAYS[a].document,
            b: WAYS[b].document,
            x: task({ needs: ["a", "b"], ...(when === null ? {} : { when }) }),
          },
        });
        rig.ends("r.broken.1", { exit: 1 });
        WAYS[a].end(rig, "a");
        WAYS[b].end(rig, "b");
        assert.equal(rig.step("x")?.state, verdict(a, b), `a ${a}, b ${b}`);
        rig.checkIndexes();
      }
    }
  });
}

Deno.test("a skipped step satisfies those after it, one whose needs failed does not", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      a: task({ when: "false" }),
      b: task({ needs: ["a"] }),
      bad: task(),
      c: task({ needs: ["bad"] }),
      d: task({ needs: ["c"] }),
      e: task({ needs: [{ step: "d", condition: "finished" }] }),
    },
  });
  rig.ends("r.bad.1", { exit: 1 });
  assert.deepEqual(rig.states(), {
    ...{ a: "skipped", b: "queued", bad: "failed", c: "upstreamFailed", d: "upstreamFailed", e: "queued" },
  });
});
