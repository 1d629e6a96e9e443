/** A deck that ends after any of its writes and starts again leads every run to the same end (I7), for random workflows. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decide } from "../../../lib/core/decide.ts";
import type { Input } from "../../../lib/core/input.ts";
import { isRunFinal, isStepFinal } from "../../../lib/core/workflow/records.ts";
import { task, WorkflowRig } from "./rig.ts";
import type { Document } from "./rig.ts";

/** Decides at most so many inputs of a chain before the deck "ends": what was to follow is lost. */
class CrashingRig extends WorkflowRig {
  constructor(private crashes: number[]) {
    super();
  }

  override input(input: Input) {
    const queue = [input];
    let first;
    while (queue.length > 0) {
      const draft = decide(this.world, queue.shift()!, { wallMs: this.wallMs, monoMs: this.monoMs, chance: 0.5 });
      first ??= draft;
      queue.unshift(...draft.follow);
      if (this.crashes?.length > 0 && --this.crashes[0] === 0) {
        this.crashes.shift();
        const crashes = this.crashes.splice(0);
        this.restart();
        this.crashes.push(...crashes);
        break;
      }
    }
    return first!;
  }
}

const need = fc.record({ of: fc.nat(11), condition: fc.constantFrom("succeeded", "finished", "started") });
const step = fc.record({
  needs: fc.array(need, { maxLength: 3 }),
  fails: fc.nat(3),
  limit: fc.nat(2),
  kind: fc.constantFrom("task", "task", "matrix", "workflow"),
  continueOnError: fc.boolean(),
  when: fc.constantFrom(undefined, undefined, "always()", "failure()", "1 == 1"),
  failFast: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const CHILD = { name: "child", steps: { x: task(), y: task({ needs: ["x"] }) } };

function documentOf(steps: readonly Step[]): Document {
  return {
    steps: Object.fromEntries(steps.map((each, at) => {
      const needs = new Map(each.needs.filter(({ of }) => of < at).map(({ of, condition }) => [`s${of}`, condition]));
      const common = {
        needs: [...needs].map(([id, condition]) => ({ step: id, condition })),
        retry: { limit: each.limit, delay: "1s", jitter: 0 },
        continueOnError: each.continueOnError,
        ...(each.when === undefined ? {} : { when: each.when }),
      };
      const matrix = each.kind === "matrix"
        ? { matrix: { n: [0, 1, 2] }, maxParallel: 2, failFast: each.failFast }
        : {};
      return [`s${at}`, each.kind === "workflow" ? { workflow: "child", ...common } : task({ ...common, ...matrix })];
    })),
    onFailure: [task()],
    finally: [task(), task()],
  };
}

/** Each task ends as its step says: the first `fails` attempts fail. Answers how every step ended. */
function carryThrough(rig: WorkflowRig, steps: readonly Step[]): Record<string, string> {
  for (let round = 0; round < 400 && [...rig.state.activeRuns].length > 0; round++) {
    const tasks = rig.tasks();
    if (tasks.length === 0) rig.wait(1_000);
    for (const id of tasks) {
      const sail = rig.state.sails.get(id)!;
      if (sail.endedMs !== null || sail.currentAttemptId === null) continue;
      if (sail.desired === "stop") rig.stops(id);
      else {
        const { step: name, runId, attempts } = rig.state.steps.get(sail.stepId!)!;
        const own = runId === "r" && /^s\d+$/.test(name) ? steps[Number(name.slice(1))] : undefined;
        rig.runs(id);
        if (rig.state.sails.get(id)!.desired === "stop") continue;
        rig.ends(id, { exit: own && attempts <= own.fails ? 1 : 0 });
      }
    }
  }
  const ends = [...rig.state.steps.values()].filter(({ runId }) => runId === "r")
    .map(({ id, state, attempts }): [string, string] => [id, `${state} ${attempts}`]);
  return Object.fromEntries([["run", rig.run().state], ...ends.sort()]);
}

Deno.test("whatever of its writes the deck ends after, a run comes to the same end", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 })),
      (steps, crashes) => {
        const document = documentOf(steps);
        // What is stopped when another fails first depends on who is reported first: the same in both.
        const calm = new WorkflowRig();
        calm.start(document, { included: { child: CHILD } });
        const expected = carryThrough(calm, steps);
        const rig = new CrashingRig([...crashes]);
        rig.start(document, { included: { child: CHILD } });
        if (!rig.run()) return;
        assert.deepEqual(carryThrough(rig, steps), expected);
        for (const { state } of rig.state.runs.values()) assert.ok(isRunFinal(state));
        for (const each of rig.state.steps.values()) assert.ok(isStepFinal(each.state), each.id);
      },
    ),
    { numRuns: 150 },
  );
});
