/** Three hundred clusters under faults: no invariant breaks, everything converges, and the same seed tells the same story. */
import assert from "node:assert/strict";
import { runParallel } from "./parallel.ts";
import { describe, runSeed } from "./run.ts";

const SEEDS = 300;

Deno.test(`${SEEDS} seeds: all invariants hold under faults, and all comes right when they stop`, async () => {
  const result = await runParallel({
    from: 1,
    count: SEEDS,
    twiceEvery: 10,
    stopAtFirst: false,
    stories: true,
    without: [],
  });
  assert.deepEqual(result.failures.map(describe), []);
  assert.equal(result.seeds, SEEDS);
  assert.equal(result.twice, SEEDS / 10);
  // A simulator that has stopped simulating would be clean as well.
  for (
    const [what, least] of [["events", 300_000], ["tasks", 4_000], ["runs", 1_500], ["rollouts", 500], [
      "crashes",
      1_000,
    ]] as const
  ) {
    assert.ok(result[what] > least, `${result[what]} ${what}`);
  }
});

Deno.test("another seed, or a fault less, is another story", async () => {
  const { hash, kinds } = await runSeed(2);
  assert.notEqual((await runSeed(3)).hash, hash);
  assert.notEqual((await runSeed(2, { without: new Set(kinds) })).hash, hash);
});
