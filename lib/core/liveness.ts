/**
 * Which nodes are given up. Monotonic time only.
 *
 * 1. A node is silent when nothing was heard of it for the node timeout.
 * 2. When more than half of the nodes fall silent at once, the deck suspects itself and waits three times as long.
 *    Their last signs of life lie up to a heartbeat apart, so those silent for half of the timeout count too: or else the
 *    first of them would be given up before the others are seen to be silent.
 * 3. After a late loop (or a restart) every node gets a fresh grace period: the deck was away, not they.
 */
import type { MastLive, MastRecord } from "./mast.ts";

export interface LivenessInput {
  readonly masts: Iterable<MastRecord>;
  readonly live: ReadonlyMap<string, MastLive>;
  readonly nowMonoMs: number;
  readonly lastTickMonoMs: number;
  readonly nodeTimeoutMs: number;
}

export type LivenessVerdict =
  | { readonly kind: "freshGrace" }
  | { readonly kind: "judged"; readonly lost: readonly string[]; readonly suspicious: boolean };

/** Ticks come at least this often in a healthy deck; a longer gap means that it was away. */
export function lateAfterMs(nodeTimeoutMs: number): number {
  return Math.max(1_000, nodeTimeoutMs / 2);
}

export function judgeLiveness(input: LivenessInput): LivenessVerdict {
  const { nowMonoMs, lastTickMonoMs, nodeTimeoutMs, live } = input;
  if (lastTickMonoMs < 0 || nowMonoMs - lastTickMonoMs > lateAfterMs(nodeTimeoutMs)) return { kind: "freshGrace" };
  const ready = [...input.masts].filter((mast) => mast.status === "ready");
  const silence = (mast: MastRecord) => nowMonoMs - (live.get(mast.id)?.heardMonoMs ?? nowMonoMs);
  const quiet = ready.filter((mast) => silence(mast) > nodeTimeoutMs / 2);
  const silent = quiet.filter((mast) => silence(mast) > nodeTimeoutMs);
  const suspicious = silent.length > 0 && quiet.length > 1 && quiet.length * 2 > ready.length;
  const limitMs = suspicious ? 3 * nodeTimeoutMs : nodeTimeoutMs;
  return { kind: "judged", lost: silent.filter((mast) => silence(mast) > limitMs).map((mast) => mast.id), suspicious };
}
