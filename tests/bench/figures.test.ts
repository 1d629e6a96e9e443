import assert from "node:assert/strict";
import { isReached, median, printTable, quantile, short } from "./figures.ts";

Deno.test("quantile() is the smallest value that so many do not exceed", () => {
  const values = [5, 1, 4, 2, 3];
  assert.deepEqual([0, 0.2, 0.21, 0.5, 0.99, 1].map((share) => quantile(values, share)), [1, 1, 2, 3, 5, 5]);
  assert.equal(median([10, 9]), 9);
  assert.deepEqual(values, [5, 1, 4, 2, 3], "what was measured stays in its order");
  assert.throws(() => quantile([], 0.5), /nothing was measured/);
});

Deno.test("a figure is judged by its median, where there is something to reach", () => {
  const figure = { what: "x", unit: "ms", values: [1, 2, 9] };
  assert.equal(isReached(figure), null);
  assert.deepEqual([2, 1.9].map((atMost) => isReached({ ...figure, reach: { atMost } })), [true, false]);
  assert.deepEqual([2, 2.1].map((atLeast) => isReached({ ...figure, reach: { atLeast } })), [true, false]);
});

Deno.test("the table has a line for each figure, and says of each process what it took", () => {
  const lines: string[] = [];
  const figures = [
    { what: "tasks a second", unit: "/s", values: [3_100, 2_999.6, 12_000], reach: { atLeast: 3_000 } },
    { what: "  p99", unit: "ms", values: [251], reach: { atMost: 250 } },
  ];
  const usage = [{ process: "deck", cpu: 1.004, peakMiB: 199.6 }];
  printTable(new Map([["control", { figures, usage }]]), (line) => lines.push(line));
  assert.deepEqual(lines, [
    "row      what            median    min     max  unit  to reach",
    "control  tasks a second   3,100  3,000  12,000  /s    >= 3,000  yes",
    "           p99              251    251     251  ms    <= 250    NO",
    "",
    "control: deck 100 % of a core, peak 200 MiB",
  ]);
});

Deno.test("short() keeps three digits", () => {
  assert.deepEqual([0.01234, 0.5, 9.876, 98.76, 987.6, 9_876.4].map(short), [
    "0.0123",
    "0.50",
    "9.88",
    "98.8",
    "988",
    "9,876",
  ]);
});
