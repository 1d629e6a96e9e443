/**
 * `make sim`: SEED=n runs one seed and tells its story when it fails; SEEDS=n runs so many from FROM on (1);
 * WITHOUT=fault,fault leaves kinds of fault out; LOG=1 prints every line of a single seed.
 */
import { runParallel } from "./parallel.ts";
import { add, emptyResult } from "./range.ts";
import type { RangeResult } from "./range.ts";
import { describe, runSeed, shortestStory } from "./run.ts";

const env = (name: string) => Deno.env.get(name) || undefined;
const without = env("WITHOUT")?.split(",") ?? [];
const startedMs = performance.now();

const seed = env("SEED");
const result = seed === undefined ? await many() : await one(Number(seed));
tell(result);
Deno.exitCode = result.failures.length > 0 ? 1 : 0;

async function one(seed: number): Promise<RangeResult> {
  const outcome = await runSeed(seed, { without: new Set(without), keepStory: env("LOG") !== undefined });
  if (env("LOG") !== undefined) console.log(outcome.lines.join("\n"));
  console.log(
    `seed ${seed}: ${outcome.nodes} nodes, ${outcome.tasks} tasks, ${outcome.runs} runs, ${outcome.rollouts} rollouts, log ${outcome.hash}`,
  );
  const result = emptyResult();
  const failures = outcome.violation ? [await shortestStory(outcome)] : [];
  add(result, { ...emptyResult(), ...outcome, seeds: 1, faults: Object.fromEntries(outcome.faults), failures });
  return result;
}

async function many(): Promise<RangeResult> {
  const count = Number(env("SEEDS") ?? 1_000);
  return await runParallel({
    from: Number(env("FROM") ?? 1),
    count,
    twiceEvery: 10,
    stopAtFirst: false,
    stories: true,
    without,
    onProgress: ({ seeds, failures }) => console.log(`${seeds} of ${count} seeds, ${failures.length} failed`),
  });
}

function tell(result: RangeResult): void {
  for (const failure of result.failures) console.log(`\n${describe(failure)}`);
  const minutes = (performance.now() - startedMs) / 60_000;
  const perMinute = (n: number) => Math.round(n / minutes).toLocaleString("en");
  const hours = (result.simulatedMs / 3_600_000).toFixed(1);
  console.log(
    `\n${result.seeds} seeds (${result.twice} of them twice), ${hours} hours simulated, ` +
      `${result.tasks} tasks, ${result.runs} runs, ${result.rollouts} rollouts, ${result.crashPoints} crash points, ${result.crashes} deaths`,
  );
  const faults = Object.entries(result.faults).sort(([a], [b]) => a < b ? -1 : 1);
  console.log(`faults: ${faults.map(([kind, times]) => `${kind} ${times}`).join(", ") || "none"}`);
  console.log(`${perMinute(result.seeds)} seeds a minute, ${perMinute(result.events)} events a minute`);
  console.log(result.failures.length === 0 ? "all invariants held" : `${result.failures.length} seeds failed`);
}
