/**
 * How many cases run and from which seed: ORMEN_FUZZ_RUNS (N= of `make fuzz`) and ORMEN_FUZZ_SEED (SEED=). Runs a property
 * and turns its failure into what a person needs: the seed, the smallest case, and the commands that repeat it.
 */
import fc from "fast-check";

const RUNS_DEFAULT = 2_000;
const runs = Number(Deno.env.get("ORMEN_FUZZ_RUNS") || RUNS_DEFAULT);
const seed = Number(Deno.env.get("ORMEN_FUZZ_SEED") || Date.now() % 2 ** 31);

/** `part` of all cases, 0 to 1. `attempt` throws an Error that says what is wrong with the case. */
export async function fuzz<T>(options: {
  readonly name: string;
  readonly part: number;
  readonly cases: fc.Arbitrary<T>;
  readonly attempt: (one: T) => Promise<void>;
  /** The case as a command or as data that a person can send again. */
  readonly print: (one: T) => string;
}): Promise<void> {
  const numRuns = Math.max(20, Math.ceil(runs * options.part));
  const startedMs = performance.now();
  const result = await fc.check(
    fc.asyncProperty(options.cases, async (one) => {
      await options.attempt(one);
    }),
    { seed, numRuns, endOnFailure: false },
  );
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (!result.failed) {
    console.log(`${options.name}: ${result.numRuns} cases in ${seconds} s, seed ${seed}`);
    return;
  }
  const problem = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
  const smallest = result.counterexample ? options.print(result.counterexample[0]) : "(none)";
  throw new Error(
    `${problem}\nafter ${result.numRuns} cases, the smallest of which is:\n${smallest}\n` +
      `repeat it: make fuzz SEED=${seed} N=${runs}`,
  );
}

/** `promise`, or an error when it takes longer than any answer may. */
export async function soon<T>(what: string, promise: Promise<T>, withinMs = 20_000): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`a hang: ${what} after ${withinMs / 1000} s`)), withinMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
