/**
 * Counts over the steps of one run, so that what a step's end leads to is found without looking at the others.
 * A function of the plan and the step records alone: `change` with the two swapped leaves no trace.
 */
import { needStatus } from "./needs.ts";
import type { Plan, PlannedStep } from "./plan.ts";
import type { RunPhase, StepRecord } from "./records.ts";
import { isStepFinal } from "./records.ts";

export class RunIndex {
  /** By step: how many of its needs are not decided yet. */
  readonly openNeeds = new Map<string, number>();
  /** By service step: how many of those who need it healthy have not ended. */
  readonly users = new Map<string, number>();
  /** By phase: steps that have not ended. */
  readonly unfinished: Record<RunPhase, number> = { steps: 0, onFailure: 0, finally: 0 };
  /** Steps that are queued, running or retrying. */
  active = 0;
  /** Steps that wait for a person or a time. */
  waiting = 0;
  /** Failed, although they may. */
  warnings = 0;
  /** By phase: steps that ended otherwise than succeeded or skipped. */
  readonly bad: Record<RunPhase, number> = { steps: 0, onFailure: 0, finally: 0 };

  constructor(readonly plan: Plan, records: Iterable<StepRecord>) {
    for (const step of plan.steps) {
      this.openNeeds.set(step.id, step.needs.length);
      this.unfinished[step.phase]++;
      if (step.isService) {
        this.users.set(step.id, step.dependents.filter(({ needs }) => needs.includes("healthy")).length);
      }
    }
    for (const record of records) this.change(undefined, record);
  }

  /** Of a step, not of an instance: those are counted in their step's own record. */
  change(before: StepRecord | undefined, after: StepRecord | undefined): void {
    const id = (after ?? before)!.step;
    const planned = this.plan.byId.get(id);
    if (!planned) return;
    for (const { step, needs } of planned.dependents) {
      let decided = 0;
      for (const condition of needs) {
        const was = needStatus(condition, before) !== "open";
        const is = needStatus(condition, after) !== "open";
        decided += Number(is) - Number(was);
      }
      if (decided !== 0) this.openNeeds.set(step, this.openNeeds.get(step)! - decided);
    }
    this.#count(before, planned.phase, -1);
    this.#count(after, planned.phase, 1);
    const ended = Number(isOver(after)) - Number(isOver(before));
    if (ended === 0) return;
    for (const step of servicesOf(planned)) {
      const users = this.users.get(step);
      if (users !== undefined) this.users.set(step, users - ended);
    }
  }

  #count(record: StepRecord | undefined, phase: RunPhase, by: number): void {
    if (!record) return;
    switch (record.state) {
      case "queued":
      case "running":
      case "retrying":
        this.active += by;
        break;
      case "waiting":
        this.waiting += by;
    }
    if (!isStepFinal(record.state)) return;
    this.unfinished[phase] -= by;
    const { outcome, conclusion } = record;
    if (conclusion !== "succeeded" && conclusion !== "skipped") this.bad[phase] += by;
    else if (outcome !== conclusion) this.warnings += by;
  }
}

function servicesOf({ needs }: PlannedStep): ReadonlySet<string> {
  return new Set(needs.flatMap(({ step, condition }) => condition === "healthy" ? [step] : []));
}

function isOver(record: StepRecord | undefined): boolean {
  return record !== undefined && isStepFinal(record.state);
}
