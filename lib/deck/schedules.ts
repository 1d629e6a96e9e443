/**
 * Wakes when a schedule's slot has come and tells the loop, which starts the run: once, whatever crashes, because the
 * run's id is made from workflow and slot. Owns which of the slots that were missed are made up for.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Cron } from "../contracts/cron.ts";
import type { Logger } from "../contracts/logger.ts";
import type { ScheduleSpec } from "../core/documents/workflow.ts";
import type { State } from "../core/state.ts";
import type { WorkflowRecord } from "../core/workflow/records.ts";
import type { Loop } from "./loop.ts";
import { StoreUnavailable } from "./loop.ts";
import { planOfWorkflow } from "./run_views.ts";

/** A slot that is taken up so late was missed. */
const ON_TIME_MS = 60_000;
const LOOK_AT_LEAST_MS = 60_000;
const RETRY_MS = 5_000;
/** Slots of one schedule that are made up for at once. */
const SLOTS_MAX = 1_000;

export interface Schedules {
  /** Workflows have changed. */
  look(): void;
  /** When the schedule of a workflow comes next; null: it has none, or is paused. */
  nextMs(workflow: WorkflowRecord): number | null;
}

export function startSchedules(
  { committed, loop, clock, cron, logger, signal }: {
    readonly committed: State;
    readonly loop: Loop;
    readonly clock: Clock;
    readonly cron: Cron;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
): Schedules {
  let cancel: () => void = () => {};
  let looking: Promise<void> | undefined;
  let again = false;

  function look(): void {
    if (signal.aborted) return;
    again = true;
    looking ??= lookNow().finally(() => looking = undefined);
  }

  async function lookNow(): Promise<void> {
    let waitMs = LOOK_AT_LEAST_MS;
    while (again && !signal.aborted) {
      again = false;
      try {
        for (const workflow of [...committed.workflows.values()]) await fireDue(workflow);
        waitMs = untilNext();
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) logger.error("a schedule failed", { error: String(error) });
        waitMs = RETRY_MS;
      }
    }
    cancel();
    cancel = clock.after(waitMs, look);
  }

  async function fireDue(workflow: WorkflowRecord): Promise<void> {
    const schedule = scheduleOf(workflow);
    if (!schedule) return;
    for (const { slotMs, fire } of dueSlots(cron, schedule, workflow.slotMs, clock.wallMs())) {
      await loop.request({ kind: "slot", workflow: workflow.name, slotMs, fire });
    }
  }

  function untilNext(): number {
    const nowMs = clock.wallMs();
    const nexts = [...committed.workflows.values()].map(nextMs).filter((ms) => ms !== null);
    return Math.max(0, Math.min(LOOK_AT_LEAST_MS, ...nexts.map((ms) => ms - nowMs)));
  }

  function scheduleOf(workflow: WorkflowRecord): ScheduleSpec | null {
    return workflow.paused ? null : planOfWorkflow(committed, workflow)?.spec.schedule ?? null;
  }

  function nextMs(workflow: WorkflowRecord): number | null {
    const schedule = scheduleOf(workflow);
    return schedule && cron.nextMs(schedule.cron, schedule.timezone, Math.max(workflow.slotMs, clock.wallMs()));
  }

  signal.addEventListener("abort", () => cancel(), { once: true });
  look();
  return { look, nextMs };
}

export interface DueSlot {
  readonly slotMs: number;
  readonly fire: boolean;
}

/**
 * Slots after `afterMs` up to now, oldest first. One that is on time fires; of those that were missed within the window
 * none, the newest or all do, as `catchup` says. Slots that do not fire are told as one, by the newest in a row.
 */
export function dueSlots(cron: Cron, schedule: ScheduleSpec, afterMs: number, nowMs: number): DueSlot[] {
  const { catchup, catchupWindowMs, timezone } = schedule;
  const slots: number[] = [];
  const windowMs = Math.max(catchup === "none" ? 0 : catchupWindowMs, ON_TIME_MS);
  // What lies before the window fires in no case; one slot of it is enough to know that it was missed.
  const first = cron.nextMs(schedule.cron, timezone, afterMs);
  if (first === null || first > nowMs) return [];
  const due: DueSlot[] = [];
  if (first < nowMs - windowMs) due.push({ slotMs: Math.floor(nowMs - windowMs) - 1, fire: false });
  for (let at = Math.max(afterMs, nowMs - windowMs - 1);;) {
    const next = cron.nextMs(schedule.cron, timezone, at);
    if (next === null || next > nowMs) break;
    slots.push(at = next);
    if (slots.length > SLOTS_MAX && catchup !== "all") slots.shift();
    if (slots.length >= SLOTS_MAX && catchup === "all") break;
  }
  for (const [index, slotMs] of slots.entries()) {
    const onTime = nowMs - slotMs <= ON_TIME_MS;
    const fire = onTime || catchup === "all" || (catchup === "latest" && index === slots.length - 1);
    if (!fire && due.at(-1)?.fire === false) due.pop();
    due.push({ slotMs, fire });
  }
  return due;
}
