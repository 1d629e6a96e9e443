/** expandMatrix(): include and exclude as GitHub documents them, with its examples. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { MatrixSpec } from "../../../lib/core/documents/workflow.ts";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import { describeCombination, expandMatrix, matrixSize } from "../../../lib/core/workflow/matrix.ts";

function specOf(matrix: Record<string, unknown>): MatrixSpec {
  return workflowDocument.parse({ name: "w", steps: { a: { sleep: "1s", matrix } } }).steps[0].matrix!;
}

/** "Running variations of jobs in a workflow", docs.github.com. */
const EXAMPLES: readonly (readonly [string, Record<string, unknown>, readonly Record<string, unknown>[]])[] = [
  ["one axis", { version: [10, 12, 14] }, [{ version: 10 }, { version: 12 }, { version: 14 }]],
  ["two axes, the last turning fastest", { os: ["u22", "u20"], version: [10, 12] }, [
    { os: "u22", version: 10 },
    { os: "u22", version: 12 },
    { os: "u20", version: 10 },
    { os: "u20", version: 12 },
  ]],
  [
    "expanding and adding by include",
    {
      fruit: ["apple", "pear"],
      animal: ["cat", "dog"],
      include: [
        { color: "green" },
        { color: "pink", animal: "cat" },
        { fruit: "apple", shape: "circle" },
        { fruit: "banana" },
        { fruit: "banana", animal: "cat" },
      ],
    },
    [
      { fruit: "apple", animal: "cat", color: "pink", shape: "circle" },
      { fruit: "apple", animal: "dog", color: "green", shape: "circle" },
      { fruit: "pear", animal: "cat", color: "pink" },
      { fruit: "pear", animal: "dog", color: "green" },
      { fruit: "banana" },
      { fruit: "banana", animal: "cat" },
    ],
  ],
  [
    "expanding configurations",
    { os: ["windows", "ubuntu"], node: [14, 16], include: [{ os: "windows", node: 16, npm: 6 }] },
    [
      { os: "windows", node: 14 },
      { os: "windows", node: 16, npm: 6 },
      { os: "ubuntu", node: 14 },
      { os: "ubuntu", node: 16 },
    ],
  ],
  [
    "adding configurations",
    { os: ["macos", "windows"], version: [12, 14], include: [{ os: "windows", version: 17 }] },
    [
      { os: "macos", version: 12 },
      { os: "macos", version: 14 },
      { os: "windows", version: 12 },
      { os: "windows", version: 14 },
      { os: "windows", version: 17 },
    ],
  ],
  ["include alone", { include: [{ site: "production", datacenter: "a" }, { site: "staging", datacenter: "b" }] }, [
    { site: "production", datacenter: "a" },
    { site: "staging", datacenter: "b" },
  ]],
  [
    "exclude, a rule of some keys taking all that agree",
    {
      os: ["macos", "windows"],
      version: [12, 14, 16],
      environment: ["staging", "production"],
      exclude: [
        { os: "macos", version: 12, environment: "production" },
        { os: "windows", version: 16 },
      ],
    },
    [
      { os: "macos", version: 12, environment: "staging" },
      { os: "macos", version: 14, environment: "staging" },
      { os: "macos", version: 14, environment: "production" },
      { os: "macos", version: 16, environment: "staging" },
      { os: "macos", version: 16, environment: "production" },
      { os: "windows", version: 12, environment: "staging" },
      { os: "windows", version: 12, environment: "production" },
      { os: "windows", version: 14, environment: "staging" },
      { os: "windows", version: 14, environment: "production" },
    ],
  ],
  [
    "include after exclude, bringing back what was taken",
    { os: ["a", "b"], exclude: [{ os: "a" }], include: [{ os: "a", slow: true }] },
    [{ os: "b" }, { os: "a", slow: true }],
  ],
  ["a number is not its text", { v: [1, 2], exclude: [{ v: "1" }] }, [{ v: 1 }, { v: 2 }]],
];
for (const [name, matrix, combinations] of EXAMPLES) {
  Deno.test(`expandMatrix() ${name}`, () => assert.deepEqual(expandMatrix(specOf(matrix)), combinations));
}

Deno.test("expandMatrix() never makes more than matrixSize() says, and all axes' products without rules", () => {
  const values = fc.uniqueArray(fc.constantFrom("a", "b", "c", 1, true), { minLength: 1 });
  const entry = fc.dictionary(fc.constantFrom("x", "y", "z"), fc.constantFrom("a", "b", 1), {
    maxKeys: 3,
    noNullPrototype: true,
  });
  const specs = fc.record({
    axes: fc.dictionary(fc.constantFrom("x", "y"), values, { noNullPrototype: true }),
    include: fc.array(entry, { maxLength: 3 }),
    exclude: fc.array(entry, { maxLength: 3 }),
  });
  fc.assert(fc.property(specs, (spec) => {
    const before = JSON.stringify(spec);
    assert.ok(expandMatrix(spec).length <= matrixSize(spec));
    const plain = { ...spec, include: [], exclude: [] };
    const product = Object.values(spec.axes).reduce((count, each) => count * each.length, 1);
    assert.equal(expandMatrix(plain).length, Object.keys(spec.axes).length === 0 ? 0 : product);
    assert.equal(JSON.stringify(spec), before);
  }));
});

Deno.test("describeCombination() names the values", () => {
  assert.equal(describeCombination({ os: "alpine", slow: true, n: 3 }), "alpine, true, 3");
});
