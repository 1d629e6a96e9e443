/** Spreads seeds over processes, one a core. */
import type { RangeOptions, RangeResult } from "./range.ts";
import { add, emptyResult } from "./range.ts";

/** So many at a time, so that a slow one holds up little. */
const SEEDS_PER_PROCESS = 250;

export async function runParallel(
  options: RangeOptions & {
    /** `tests/sim/range.ts` of the sources that are to be run. */
    readonly program?: URL;
    readonly processes?: number;
    readonly perProcess?: number;
    readonly onProgress?: (result: RangeResult) => void;
  },
): Promise<RangeResult> {
  const { program = new URL("./range.ts", import.meta.url), processes = navigator.hardwareConcurrency } = options;
  const { perProcess = SEEDS_PER_PROCESS } = options;
  const result = emptyResult();
  const end = options.from + options.count;
  let next = options.from;
  async function work(): Promise<void> {
    while (next < end && !(options.stopAtFirst && result.failures.length > 0)) {
      const from = next;
      const count = Math.min(perProcess, Math.ceil(options.count / processes), end - from);
      next += count;
      const { twiceEvery, stopAtFirst, stories, without } = options;
      add(result, await runProcess(program, { from, count, twiceEvery, stopAtFirst, stories, without }));
      options.onProgress?.(result);
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, processes) }, work));
  result.failures.sort((a, b) => a.seed - b.seed);
  return result;
}

async function runProcess(program: URL, range: RangeOptions): Promise<RangeResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program.href, JSON.stringify(range)],
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`seeds ${range.from} to ${range.from + range.count - 1}: ${decoder.decode(stderr)}`);
  return JSON.parse(decoder.decode(stdout));
}
