/**
 * The combinations of a matrix, in the order of the document, the last axis turning fastest. `include` and `exclude` as
 * GitHub Actions defines them ("Running variations of jobs in a workflow").
 */
import type { MatrixSpec, Scalar } from "../documents/workflow.ts";

export type Combination = Readonly<Record<string, Scalar>>;

export function expandMatrix(matrix: MatrixSpec): Combination[] {
  const axes = Object.entries(matrix.axes);
  let combinations: Record<string, Scalar>[] = axes.length === 0 ? [] : [{}];
  for (const [axis, values] of axes) {
    combinations = combinations.flatMap((combination) => values.map((value) => ({ ...combination, [axis]: value })));
  }
  combinations = combinations.filter((combination) => !matrix.exclude.some((rule) => agrees(combination, rule)));
  const added: Record<string, Scalar>[] = [];
  for (const entry of matrix.include) {
    const ofAxes = Object.fromEntries(Object.entries(entry).filter(([key]) => Object.hasOwn(matrix.axes, key)));
    // It extends each combination of which it would overwrite no axis; when there is none it stands for itself.
    const fitting = combinations.filter((combination) => agrees(combination, ofAxes));
    for (const combination of fitting) Object.assign(combination, entry);
    if (fitting.length === 0) added.push({ ...entry });
  }
  return [...combinations, ...added];
}

/** Number of combinations of the axes, before anything is excluded or included. */
export function matrixSize(matrix: MatrixSpec): number {
  return Object.values(matrix.axes).reduce((product, values) => product * values.length, 1) + matrix.include.length;
}

function agrees(combination: Combination, rule: Combination): boolean {
  return Object.entries(rule).every(([key, value]) => Object.hasOwn(combination, key) && combination[key] === value);
}

/** For people: `alpine, slow=true` is `alpine, true`. */
export function describeCombination(combination: Combination): string {
  return Object.values(combination).map(String).join(", ");
}
