/** Replacing what is in the slots of a service, few at a time: which slots begin, and which old replicas may go. */
import type { UpdateOrder } from "../documents/service.ts";
import type { Replica, ServiceScene } from "./scene.ts";

export interface SlotView {
  readonly slot: number;
  /** Those that are wanted, the healthy ones first. */
  readonly current: readonly Replica[];
  /** What they take the place of. */
  readonly old: readonly Replica[];
  /** Of `old`, tasks that were never healthy and whose rollout is over: nobody misses them. They are not in `old`. */
  readonly stale: readonly string[];
  /** Something that was retired has not ended yet, on a node that answers. */
  readonly emptying: boolean;
}

export interface Limits {
  readonly order: UpdateOrder;
  readonly maxParallel: number;
  readonly maxUnavailable: number;
  /** All old ones go before the first new one comes. */
  readonly atOnce?: boolean;
  /** All slots of the service, where only some are replaced. */
  readonly among?: readonly SlotView[];
}

/** What is in each wanted slot, seen from where it is to go. */
export function slotsOf(
  scene: ServiceScene,
  revision: number,
  isWanted: (replica: Replica) => boolean,
): SlotView[] {
  const bySlot = new Map<number, Replica[]>();
  for (const replica of scene.replicas) {
    const list = bySlot.get(replica.slot);
    if (list) list.push(replica);
    else bySlot.set(replica.slot, [replica]);
  }
  const running = scene.rollout?.number;
  return scene.slots.map((slot) => {
    const all = bySlot.get(slot) ?? [];
    const staying = all.filter(({ leaving }) => !leaving);
    const current = staying.filter((replica) => isWanted(replica) && !replica.displaced)
      .sort((a, b) => rank(a) - rank(b));
    const others = staying.filter((replica) => !current.includes(replica));
    const isStale = ({ phase, wasHealthy, rollout, revision: of, displaced }: Replica) =>
      phase !== "healthy" && !wasHealthy && running !== undefined && rollout !== running &&
      (rollout !== 0 || of === revision) && !displaced;
    return {
      slot,
      current,
      old: others.filter((replica) => !isStale(replica)),
      stale: others.filter(isStale).map(({ taskId }) => taskId),
      emptying: all.some(({ leaving, phase }) => leaving && phase !== "unknown"),
    };
  });
}

function rank({ phase, wasHealthy }: Replica): number {
  return phase === "healthy" ? 0 : wasHealthy ? 1 : 2;
}

const isUp = ({ phase }: Replica) => phase === "healthy";

/** Slots that get a new replica, and tasks that go. */
export function replaceIn(
  slots: readonly SlotView[],
  limits: Limits,
): { readonly start: number[]; readonly retire: string[] } {
  const among = limits.among ?? slots;
  const start: number[] = [];
  const retire: string[] = [];
  const someoneOld = slots.some(({ old, emptying }) => old.some(({ phase }) => phase !== "unknown") || emptying);
  let up = among.filter(({ current, old }) => current.some(isUp) || old.some(isUp)).length;
  let free = limits.maxParallel - slots.filter(isUnderWay).length;
  const least = among.length - limits.maxUnavailable;
  for (const { slot, current, old, stale, emptying } of slots) {
    retire.push(...stale);
    if (current.length > 0) {
      retire.push(...current.slice(1).map(({ taskId }) => taskId));
      if (isUp(current[0])) retire.push(...old.map(({ taskId }) => taskId));
      continue;
    }
    if (limits.atOnce) {
      retire.push(...old.map(({ taskId }) => taskId));
      if (!someoneOld) start.push(slot);
      continue;
    }
    if (old.length === 0) {
      // Its port, or its volume, is free once it has ended.
      if (!(limits.order === "stop-first" && emptying)) start.push(slot);
      continue;
    }
    if (free <= 0) continue;
    if (limits.order === "start-first") {
      start.push(slot);
      free--;
      continue;
    }
    const isServing = old.some(isUp);
    if (isServing && up - 1 < least) continue;
    retire.push(...old.map(({ taskId }) => taskId));
    if (isServing) up--;
    free--;
  }
  return { start, retire };
}

/** Being replaced at this moment: its new replica is not healthy yet, or it is empty between the two. */
function isUnderWay({ current, old, emptying }: SlotView): boolean {
  if (current.length > 0) return !isUp(current[0]);
  return old.length === 0 && emptying;
}
