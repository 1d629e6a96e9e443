/** Runs one seed, and makes the story of one that fails as short as it can. */
import type { Violation } from "./invariants.ts";
import { FAULTS } from "./weather.ts";
import type { Outcome } from "./world.ts";
import { World } from "./world.ts";

/** A promise that nobody takes the failure of is a defect, whichever process it belongs to. */
const onRejection = new Set<(error: unknown) => void>();
globalThis.addEventListener("unhandledrejection", (event) => {
  if (onRejection.size === 0) return;
  event.preventDefault();
  for (const tell of onRejection) tell(event.reason);
});

export async function runSeed(
  seed: number,
  options: { readonly without?: ReadonlySet<string>; readonly keepStory?: boolean } = {},
): Promise<Outcome> {
  const world = new World({ seed, ...options });
  const tell = (error: unknown) =>
    world.invariants.fail("defect", `nobody took a failure: ${(error as Error)?.stack ?? error}`);
  onRejection.add(tell);
  try {
    return await world.run();
  } finally {
    onRejection.delete(tell);
  }
}

export interface ShortStory {
  readonly seed: number;
  readonly violation: Violation;
  readonly without: readonly string[];
  readonly lines: readonly string[];
}

const LINES_MAX = 120;

/** Leaves out every kind of fault that the same breach does not need, then tells what concerns the broken thing. */
export async function shortestStory(failed: Outcome): Promise<ShortStory> {
  const without = new Set<string>();
  let shortest = failed;
  for (const kind of FAULTS) {
    if (!failed.kinds.includes(kind)) continue;
    const tried = await runSeed(failed.seed, { without: new Set([...without, kind]) });
    if (tried.violation?.rule !== failed.violation!.rule) continue;
    without.add(kind);
    shortest = tried;
  }
  const told = await runSeed(failed.seed, { without, keepStory: true });
  const violation = told.violation ?? shortest.violation!;
  const lines = violation.about.length > 0 ? told.story.about(violation.about) : told.lines;
  return { seed: failed.seed, violation, without: [...without], lines: lines.slice(-LINES_MAX) };
}

export function describe({ seed, violation, without, lines }: ShortStory): string {
  const spared = without.length > 0 ? ` WITHOUT=${without.join(",")}` : "";
  return [
    `seed ${seed} breaks ${violation.rule}: ${violation.what}`,
    ...lines.map((line) => `    ${line}`),
    `again: make sim SEED=${seed}${spared}`,
  ].join("\n");
}
