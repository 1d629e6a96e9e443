/** Who waits for whom: cycles, order, what lies before a step; against the plainest way to say each. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import type { StepSpec } from "../../../lib/core/documents/workflow.ts";
import { ancestorsOf, buildGraph, findCycle } from "../../../lib/core/workflow/graph.ts";
import { upstreamOf } from "../../../lib/core/workflow/upstream.ts";

type Needs = Readonly<Record<string, readonly (string | { step: string; condition: string })[]>>;

function stepsOf(needs: Needs): readonly StepSpec[] {
  const steps = Object.fromEntries(Object.entries(needs).map(([id, each]) => [id, { sleep: "1s", needs: each }]));
  return workflowDocument.parse({ name: "w", steps }).steps;
}

const CYCLES: readonly (readonly [string, Needs, string | undefined])[] = [
  ["none", { a: [], b: ["a"], c: ["a", "b"] }, undefined],
  [
    "of three, in the direction of time",
    { build: ["package"], test: ["build"], package: ["test"] },
    "build test package build",
  ],
  ["of one", { a: ["a"] }, "a a"],
  ["behind steps that are in none", { x: ["a"], a: ["b"], b: ["a"] }, "a b a"],
  ["beside needs that are no steps", { a: ["nobody"], b: ["a"] }, undefined],
];
for (const [name, needs, cycle] of CYCLES) {
  Deno.test(`findCycle() ${name}`, () => assert.equal(findCycle(stepsOf(needs))?.join(" "), cycle));
}

/** Any needs among up to twelve steps. */
const anyNeeds = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.array(fc.uniqueArray(fc.nat(count - 1), { maxLength: 3 }), { minLength: count, maxLength: count })
).map((lists): Needs => Object.fromEntries(lists.map((list, index) => [`s${index}`, list.map((need) => `s${need}`)])));

/** Needs of earlier steps only, listed in any order, with conditions. */
const ordered = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.tuple(
    fc.array(
      fc.uniqueArray(fc.tuple(fc.nat(11), fc.constantFrom("succeeded", "finished", "started")), {
        selector: ([need]) => need,
        maxLength: 3,
      }),
      { minLength: count, maxLength: count },
    ),
    fc.shuffledSubarray(Array.from({ length: count }, (_, index) => index), { minLength: count }),
    fc.array(fc.boolean(), { minLength: count, maxLength: count }),
  )
).map(([lists, places, own]) => {
  const needs = lists.map((list, index) =>
    list.filter(([need]) => need < index).map(([need, condition]) => ({ step: `s${need}`, condition }))
  );
  const steps = stepsOf(Object.fromEntries(places.map((index) => [`s${index}`, needs[index]])));
  return { steps, decides: ({ id }: StepSpec) => own[Number(id.slice(1))] };
});

/** Steps are taken away while one has nothing left to wait for; what stays waits in a circle. */
function isCircular(needs: Needs): boolean {
  const left = new Map(Object.entries(needs));
  for (let isLess = true; isLess;) {
    isLess = false;
    for (const [id, each] of left) {
      if (!each.some((need) => left.has(String(need)))) isLess = left.delete(id);
    }
  }
  return left.size > 0;
}

Deno.test("findCycle() finds a cycle if and only if there is one, and what it names is one", () => {
  fc.assert(
    fc.property(anyNeeds, (needs) => {
      const cycle = findCycle(stepsOf(needs));
      assert.equal(cycle !== undefined, isCircular(needs));
      if (!cycle) return;
      assert.equal(cycle[0], cycle.at(-1));
      assert.equal(new Set(cycle).size, cycle.length - 1);
      for (let at = 1; at < cycle.length; at++) assert.ok(needs[cycle[at]].includes(cycle[at - 1]), cycle.join(" "));
    }),
    { numRuns: 500 },
  );
});

Deno.test("buildGraph() orders every step once, each behind all that it needs", () => {
  fc.assert(fc.property(ordered, ({ steps }) => {
    const { order, dependents } = buildGraph(steps);
    assert.deepEqual([...order].sort(), steps.map(({ id }) => id).sort());
    for (const { id, needs } of steps) {
      for (const { step } of needs) {
        assert.ok(order.indexOf(step) < order.indexOf(id));
        assert.ok(dependents.get(step)!.includes(id));
      }
    }
    const edges = steps.flatMap(({ needs }) => [...new Set(needs.map(({ step }) => step))]);
    assert.equal([...dependents.values()].flat().length, edges.length);
  }));
});

Deno.test("upstreamOf() agrees with walking the needs of each pair of steps", () => {
  fc.assert(fc.property(ordered, ({ steps, decides }) => {
    const byId = new Map(steps.map((step) => [step.id, step]));
    const upstream = upstreamOf(steps, buildGraph(steps).order, decides);
    const ends = (id: string): string[] =>
      byId.get(id)!.needs.flatMap(({ step, condition }) => [...(condition === "started" ? [] : [step]), ...ends(step)]);
    const sure = (id: string): string[] =>
      byId.get(id)!.needs.flatMap(({ step, condition }) => [
        ...(condition === "succeeded" ? [step] : []),
        ...(condition === "finished" || decides(byId.get(step)!) ? [] : sure(step)),
      ]);
    for (const { id } of steps) {
      const [near, ended, succeeded] = [ancestorsOf(id, byId), new Set(ends(id)), new Set(sure(id))];
      for (const { id: other } of steps) {
        assert.equal(upstream.waitsFor(id, other), near.has(other), `${id} ${other}`);
        assert.equal(upstream.endsBefore(id, other), ended.has(other), `${id} ${other}`);
        assert.equal(upstream.dependsOn(id, other), succeeded.has(other), `${id} ${other}`);
      }
    }
  }));
});

Deno.test("a chain of ten thousand steps is walked without recursion", () => {
  const steps = stepsOf(
    Object.fromEntries(
      Array.from({ length: 10_000 }, (_, index) => [`s${index}`, index === 0 ? [] : [`s${index - 1}`]]),
    ),
  );
  const backwards = [...steps].reverse();
  assert.equal(findCycle(backwards), undefined);
  assert.deepEqual(buildGraph(backwards).order, steps.map(({ id }) => id));
  assert.equal(ancestorsOf("s9999", new Map(steps.map((step) => [step.id, step]))).size, 9_999);
  const circle = [{ ...steps[0], needs: [{ step: "s9999", condition: "succeeded" as const }] }, ...steps.slice(1)];
  assert.equal(findCycle(circle)?.length, 10_001);
});
