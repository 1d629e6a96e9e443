/** The simulator bites: each planted bug is found within 2,000 seeds, and the seeds that find them are clean without. */
import assert from "node:assert/strict";
import { runParallel } from "./parallel.ts";
import type { Plant } from "./plants.ts";
import { plant, PLANTS } from "./plants.ts";
import { runSeed } from "./run.ts";

const SEEDS_MAX = 2_000;

/** The seed that finds it; undefined with a sentence in `missed`. */
async function seedThatFinds(planted: Plant, missed: string[]): Promise<number | undefined> {
  const { failures } = await runParallel({
    program: plant(planted),
    from: planted.from ?? 1,
    count: SEEDS_MAX,
    perProcess: SEEDS_MAX,
    processes: 1,
    twiceEvery: 0,
    stopAtFirst: true,
    stories: false,
    without: [],
  });
  if (failures.length === 0) {
    missed.push(`"${planted.name}" was not found in ${SEEDS_MAX} seeds`);
    return undefined;
  }
  const [{ seed, violation }] = failures;
  const found = `"${planted.name}" is found by seed ${seed}: ${violation.rule}: ${violation.what}`;
  console.log(found);
  if (!planted.breaks.includes(violation.rule)) missed.push(found);
  return seed;
}

Deno.test("each planted bug is found, and by nothing but itself", async () => {
  const left = [...PLANTS];
  const seeds = new Set<number>();
  const missed: string[] = [];
  async function work(): Promise<void> {
    for (let planted = left.shift(); planted; planted = left.shift()) {
      const seed = await seedThatFinds(planted, missed);
      if (seed !== undefined) seeds.add(seed);
    }
  }
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  assert.deepEqual(missed, []);
  for (const seed of seeds) assert.equal((await runSeed(seed)).violation, undefined, `seed ${seed} without a plant`);
});
