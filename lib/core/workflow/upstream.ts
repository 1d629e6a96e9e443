/**
 * What lies before a step, asked for many pairs of steps at once: a bit for each pair, so that ten thousand steps take
 * some megabytes and no second.
 */
import type { StepSpec } from "../documents/workflow.ts";

export interface Upstream {
  /** Whether `step` waits for `other`, near or far. */
  waitsFor(step: string, other: string): boolean;
  /** Whether `other` has ended, in whatever way, once `step` starts. */
  endsBefore(step: string, other: string): boolean;
  /** Whether `step` runs only if `other` succeeded or was skipped, as far as needs say. */
  dependsOn(step: string, other: string): boolean;
}

/**
 * `order` has every step after those that it needs. `decides` tells of a step that it runs or not by a condition of its
 * own instead of the success of its needs.
 */
export function upstreamOf(
  steps: readonly StepSpec[],
  order: readonly string[],
  decides: (step: StepSpec) => boolean,
): Upstream {
  const indexes = new Map(steps.map(({ id }, index) => [id, index]));
  const words = Math.ceil(steps.length / 32);
  const near = new Uint32Array(words * steps.length);
  const ended = new Uint32Array(words * steps.length);
  const succeeded = new Uint32Array(words * steps.length);
  const mark = (bits: Uint32Array, row: number, index: number) => bits[row * words + (index >> 5)] |= 1 << (index & 31);
  const take = (bits: Uint32Array, row: number, from: number) => {
    for (let word = 0; word < words; word++) bits[row * words + word] |= bits[from * words + word];
  };
  for (const id of order) {
    const row = indexes.get(id)!;
    for (const { step, condition } of steps[row].needs) {
      const need = indexes.get(step);
      if (need === undefined) continue;
      mark(near, row, need);
      take(near, row, need);
      take(ended, row, need);
      // A rollout that is healthy has succeeded.
      const isSuccess = condition === "succeeded" || (condition === "healthy" && steps[need].action.kind === "rollout");
      if (isSuccess || condition === "finished") mark(ended, row, need);
      if (isSuccess) mark(succeeded, row, need);
      // A step that ran, or was skipped by what it found out, had what it needs; one that just ended may not have.
      if (condition !== "finished" && !decides(steps[need])) take(succeeded, row, need);
    }
  }
  const asks = (bits: Uint32Array) => (step: string, other: string) => {
    const row = indexes.get(step);
    const index = indexes.get(other);
    if (row === undefined || index === undefined) return false;
    return (bits[row * words + (index >> 5)] & (1 << (index & 31))) !== 0;
  };
  return { waitsFor: asks(near), endsBefore: asks(ended), dependsOn: asks(succeeded) };
}
