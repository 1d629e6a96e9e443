/** A range of seeds, in this process: what came of them, as figures that add up. */
import type { ShortStory } from "./run.ts";
import { runSeed, shortestStory } from "./run.ts";

export interface RangeOptions {
  readonly from: number;
  readonly count: number;
  /** Every so many seeds one is run twice; 0: none. */
  readonly twiceEvery: number;
  readonly stopAtFirst: boolean;
  /** Make the stories of those that fail short: takes some seconds each. */
  readonly stories: boolean;
  readonly without: readonly string[];
}

export interface RangeResult {
  seeds: number;
  twice: number;
  events: number;
  simulatedMs: number;
  crashPoints: number;
  crashes: number;
  tasks: number;
  runs: number;
  rollouts: number;
  readonly faults: Record<string, number>;
  readonly failures: ShortStory[];
}

export function emptyResult(): RangeResult {
  return {
    seeds: 0,
    twice: 0,
    events: 0,
    simulatedMs: 0,
    crashPoints: 0,
    crashes: 0,
    tasks: 0,
    runs: 0,
    rollouts: 0,
    faults: {},
    failures: [],
  };
}

export function add(to: RangeResult, more: RangeResult): void {
  for (
    const key of [
      "seeds",
      "twice",
      "events",
      "simulatedMs",
      "crashPoints",
      "crashes",
      "tasks",
      "runs",
      "rollouts",
    ] as const
  ) {
    to[key] += more[key];
  }
  for (const [kind, times] of Object.entries(more.faults)) to.faults[kind] = (to.faults[kind] ?? 0) + times;
  to.failures.push(...more.failures);
}

const FAILURES_TOLD_MAX = 5;

export async function runRange(options: RangeOptions): Promise<RangeResult> {
  const result = emptyResult();
  const without = new Set(options.without);
  for (let seed = options.from; seed < options.from + options.count; seed++) {
    const outcome = await runSeed(seed, { without });
    const faults = Object.fromEntries(outcome.faults);
    add(result, { ...emptyResult(), ...outcome, seeds: 1, faults, failures: [] });
    if (options.twiceEvery > 0 && seed % options.twiceEvery === 0) {
      const again = await runSeed(seed, { without });
      result.twice++;
      if (again.hash !== outcome.hash) {
        const what = `two runs have different logs: ${outcome.hash}, ${again.hash}`;
        const violation = { rule: "defect" as const, what, about: [] };
        result.failures.push({ seed, violation, without: [], lines: [] });
      }
    }
    if (!outcome.violation) continue;
    result.failures.push(
      options.stories && result.failures.length < FAILURES_TOLD_MAX
        ? await shortestStory(outcome)
        : { seed, violation: outcome.violation, without: [], lines: [] },
    );
    if (options.stopAtFirst) break;
  }
  return result;
}

// As a process of its own: options in, result out, both JSON.
if (import.meta.main) console.log(JSON.stringify(await runRange(JSON.parse(Deno.args[0]))));
