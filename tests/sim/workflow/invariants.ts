/**
 * What holds of workflows and their runs whatever happens, judged from outside: by the documents as they were written, the
 * durable records in the order in which they became so, what the Engines hold, and what was answered.
 */
import type { ContainerObservation } from "../../../lib/contracts/runtime.ts";
import { LABEL_SAIL } from "../../../lib/contracts/runtime.ts";
import type { AttemptRecord } from "../../../lib/core/attempt.ts";
import { isSailFinal } from "../../../lib/core/sail.ts";
import type { SailRecord } from "../../../lib/core/sail.ts";
import type { RunRecord, StepRecord } from "../../../lib/core/workflow/records.ts";
import { isRunFinal, isStepFinal, RUN_TRANSITIONS, STEP_TRANSITIONS } from "../../../lib/core/workflow/records.ts";
import type { RunSummary } from "../../../lib/messages/run_api.ts";
import type { Rule } from "../invariants.ts";
import type { Truth } from "../truth.ts";
import type { Keys } from "./documents.ts";
import { idsOf, isOver, keysOf, phaseOf, retryLimitOf, verdictOf, whyTooEarly } from "./model.ts";
import type { Phase } from "./model.ts";

export interface WorkflowInvariantsOptions {
  readonly truth: Truth;
  readonly fail: (rule: Rule, what: string, about: readonly string[]) => void;
  /** Wall clocks jump, so that nothing can be said of what is older. */
  readonly clocksJump: boolean;
}

/** A deck that dies as faults stop is up again by then. */
const BEGINS_WITHIN_MS = 60_000;

export class WorkflowInvariants {
  /** Runs whose start was acknowledged. */
  readonly accepted = new Set<string>();
  readonly #attempts = new Map<string, number>();
  readonly #containers = new Map<string, { readonly id: string; readonly startedMs: number }>();
  readonly #wereUnknown = new Set<string>();
  readonly #slots = new Set<string>();
  readonly #statesShown = new Map<string, Set<string>>();
  readonly #born = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #readySince = new Map<string, number>();

  constructor(readonly o: WorkflowInvariantsOptions) {
    const { workflows } = o.truth;
    workflows.onRun = (before, after) => after ? this.#onRun(before, after) : this.#onRunGone(before!);
    workflows.onStep = (before, after) => after ? this.#onStep(before, after) : this.#onStepGone(before!);
    workflows.onDefinition = (before, after) => {
      if (!after && [...workflows.runs.values()].some(({ definition }) => definition === before!.hash)) {
        this.#fail("I1", `the definition ${before!.hash} of a run was deleted`, before!.hash);
      }
    };
  }

  get #records() {
    return this.o.truth.workflows;
  }

  #fail(rule: Rule, what: string, ...about: readonly string[]): void {
    this.o.fail(rule, what, about);
  }

  /** What is of several records is looked at once all of an event are there. */
  afterEvent(): void {
    for (const id of this.#born) this.#parentIsThere(this.#records.runs.get(id));
    this.#born.clear();
    for (const id of this.#ended) this.#endedRightly(this.#records.runs.get(id));
    this.#ended.clear();
  }

  /** Asked now and then once faults have stopped: what may begin does so, and is not first noticed when something else happens. */
  nothingIsForgotten(nowMs: number): void {
    for (const run of this.#records.runs.values()) {
      const document = this.#records.documentOf(run);
      const goesOn = (run.state === "running" || run.state === "waiting") && run.ending === null && !run.preparing;
      for (const id of goesOn && document ? idsOf(document, "steps") : []) {
        const whole = `${run.id}/${id}`;
        const stepOf = (other: string) => this.#records.step(run.id, other);
        const isReady = stepOf(id) === undefined && whyTooEarly(document!, id, stepOf) === undefined;
        if (!isReady) this.#readySince.delete(whole);
        else if (!this.#readySince.has(whole)) this.#readySince.set(whole, nowMs);
        else if (nowMs - this.#readySince.get(whole)! > BEGINS_WITHIN_MS) {
          this.#fail("needs", `${whole} has had all that it needs for a minute, and nothing happens`, run.id);
        }
      }
    }
  }

  startAcknowledged(runId: string): void {
    const run = this.#records.runs.get(runId);
    if (!run) this.#fail("I3", `the start of ${runId} was acknowledged and is not durable`, runId);
    else if (!this.#records.documentOf(run)) this.#fail("I3", `the definition of ${runId} is not durable`, runId);
    this.accepted.add(runId);
  }

  cancelAcknowledged(runId: string): void {
    const run = this.#records.runs.get(runId);
    if (run && (run.ending !== null || isRunFinal(run.state))) return;
    this.#fail("I3", `the cancel of ${runId} was acknowledged and is not durable`, runId);
  }

  approvalAcknowledged(runId: string, step: string, instance: number | null): void {
    const record = this.#records.step(runId, step, instance);
    if (record?.approval?.approved != null) return;
    this.#fail("I3", `the answer to ${step} of ${runId} was acknowledged and is not durable`, runId);
  }

  applyAcknowledged(name: string, hash: string): void {
    if (this.#records.source(hash)) return;
    this.#fail("I3", `${name} was applied and its definition is not durable`, name);
  }

  /** What a reader was shown. */
  read(runs: readonly RunSummary[]): void {
    for (const { id, state } of runs) {
      if (this.#statesShown.get(id)?.has(state)) continue;
      this.#fail("I3", `a reader was shown ${id} as ${state}, which was never durable`, id);
    }
  }

  /** A task that is a step's attempt. */
  onTask(before: SailRecord | undefined, after: SailRecord | undefined): void {
    if (before || !after) return;
    const stepId = after.stepId!;
    const prefix = `${stepId.replaceAll("/", ".")}.`;
    const last = this.#attempts.get(stepId) ?? 0;
    const number = Number(after.id.slice(prefix.length));
    this.#attempts.set(stepId, number);
    if (!after.id.startsWith(prefix) || number !== last + 1) {
      return this.#fail("I7", `${after.id} follows attempt ${last} of ${stepId}`, stepId.split("/")[0]);
    }
    const previous = this.o.truth.sails.get(`${prefix}${last}`);
    // One on a silent node may have been given up (onNodeLost, a timeout); it is stopped when the node is back.
    const givenUp = this.#wereUnknown.has(previous?.currentAttemptId ?? "");
    if (previous && !isSailFinal(previous.state) && !givenUp) {
      this.#fail("I7", `${after.id} was begun while ${previous.id} is ${previous.state}`, stepId.split("/")[0]);
    }
  }

  onAttempt({ id, state }: AttemptRecord): void {
    if (state === "unknown") this.#wereUnknown.add(id);
  }

  /** A container of a step's attempt: there is one, and it is started once. */
  container(engineId: string, { id, labels, startedMs }: ContainerObservation): void {
    const taskId = labels[LABEL_SAIL];
    if (startedMs === null || this.o.truth.sails.get(taskId)?.stepId === undefined) return;
    const whole = `${engineId}/${id}`;
    const known = this.#containers.get(taskId);
    if (!known) this.#containers.set(taskId, { id: whole, startedMs });
    else if (known.id !== whole) this.#fail("I7", `a second container of ${taskId} was started`, taskId);
    else if (known.startedMs !== startedMs) this.#fail("I7", `the container of ${taskId} was started twice`, taskId);
  }

  #onRun(before: RunRecord | undefined, after: RunRecord): void {
    const { id } = after;
    const shown = this.#statesShown.get(id) ?? new Set();
    this.#statesShown.set(id, shown.add(after.state));
    const begins = after.state !== "queued" && !isRunFinal(after.state) && (!before || before.state === "queued");
    if (begins) this.#takesItsTurn(after);
    if (!before) return this.#onNewRun(after);
    if (after.revision < before.revision) this.#fail("I3", `${id} went back to revision ${after.revision}`, id);
    if (isRunFinal(after.state) && !isRunFinal(before.state)) this.#ended.add(id);
    if (before.ending !== null && after.ending === null) this.#fail("I5", `the end of ${id} was forgotten`, id);
    if (before.state === after.state || RUN_TRANSITIONS[before.state].includes(after.state)) return;
    this.#fail("I6", `run ${id} was ${before.state} and is ${after.state}`, id);
  }

  #onNewRun(run: RunRecord): void {
    this.#born.add(run.id);
    const document = this.#records.documentOf(run);
    if (!document) return this.#fail("I1", `run ${run.id} was made without its definition`, run.id);
    const { cause } = run;
    const concurrency = document.concurrency as { group: string } | undefined;
    const own = concurrency?.group.replace("${{ params.n }}", String(run.params.n)) ?? null;
    const group = cause.kind === "step" ? null : own ?? (cause.kind === "schedule" ? `schedule ${run.workflow}` : null);
    if (run.group !== group) this.#fail("turns", `${run.id} is in the group ${run.group}, not ${group}`, run.id);
    if (cause.kind !== "schedule") return;
    const slot = `${run.workflow} ${cause.slotMs}`;
    if (this.#slots.has(slot)) this.#fail("slot", `the slot ${slot} fires twice`, run.id);
    this.#slots.add(slot);
    const overlap = (document.schedule as Keys).overlap;
    const open = [...this.#records.runs.values()].find((other) =>
      other !== run && other.workflow === run.workflow && other.cause.kind === "schedule" && !isRunFinal(other.state)
    );
    if (overlap === "skip" && open) this.#fail("slot", `${run.id} was made while ${open.id} is ${open.state}`, run.id);
  }

  #onRunGone(run: RunRecord): void {
    if (!isRunFinal(run.state)) this.#fail("I1", `run ${run.id} was ${run.state} and is gone`, run.id);
  }

  #takesItsTurn(run: RunRecord): void {
    if (run.group === null) return;
    const inGroup = [...this.#records.runs.values()].filter(({ group, state }) =>
      group === run.group && !isRunFinal(state)
    );
    const active = inGroup.filter(({ state }) => state !== "queued");
    const { limit = 1 } = (this.#records.documentOf(run)?.concurrency ?? {}) as { limit?: number };
    if (active.length > limit) {
      this.#fail("turns", `${run.id} began as number ${active.length} of ${run.group}, of ${limit}`, run.id);
    }
    const earlier = inGroup.find(({ state, createdMs }) => state === "queued" && createdMs < run.createdMs);
    if (earlier && !this.o.clocksJump) this.#fail("turns", `${run.id} began before ${earlier.id}`, run.id);
  }

  #parentIsThere(run: RunRecord | undefined): void {
    if (run?.cause.kind !== "step") return;
    const { runId, stepId, depth } = run.cause;
    const step = this.#records.steps.get(stepId);
    if (step && this.#records.runs.has(runId) && step.childRunId !== null && depth <= 10) return;
    this.#fail("parent", `${run.id} was made for ${stepId}, which has no child`, run.id, runId);
  }

  #onStep(before: StepRecord | undefined, after: StepRecord): void {
    const { id, runId } = after;
    const run = this.#records.runs.get(runId);
    const document = run && this.#records.documentOf(run);
    if (!document) return this.#fail("parent", `step ${id} has no run, or that no definition`, runId);
    if (after.keptFrom !== null) return before ? this.#keptStays(before, after) : this.#keptRightly(run, after);
    const attempts = before?.attempts ?? 0;
    if (after.attempts !== attempts) this.#onAttempt(run, document, after, attempts);
    if (after.state === "cancelled" && before?.state !== "cancelled") this.#onCancelled(run, document, after);
    if (!before) return after.instance === null ? this.#onNewStep(run, document, after) : undefined;
    if (before.state === after.state) {
      const changed = isStepFinal(before.state) &&
        (before.outcome !== after.outcome || before.conclusion !== after.conclusion ||
          before.endedMs !== after.endedMs);
      if (changed) this.#fail("I6", `${id} had ended and was changed`, runId);
    } else if (!STEP_TRANSITIONS[before.state].includes(after.state)) {
      this.#fail("I6", `${id} was ${before.state} and is ${after.state}`, runId);
    }
  }

  /** Whatever ends a run, and however often the deck starts meanwhile: what follows its end goes on. */
  #onCancelled(run: RunRecord, document: Keys, { id, step, instance }: StepRecord): void {
    if (instance !== null || phaseOf(document, step) !== "finally" || run.ending === "killed") return;
    this.#fail("ending", `${id} was cancelled, and follows any end of its run`, run.id);
  }

  #onStepGone({ id, runId }: StepRecord): void {
    const run = this.#records.runs.get(runId);
    if (run && !isRunFinal(run.state)) this.#fail("I1", `step ${id} of a run that is ${run.state} is gone`, runId);
  }

  #onAttempt(run: RunRecord, document: Keys, step: StepRecord, before: number): void {
    const { id, attempts, instance } = step;
    if (attempts !== before + 1) this.#fail("I7", `${id} had ${before} attempts and has ${attempts}`, run.id);
    const limit = retryLimitOf(document, step.step);
    if (attempts > limit + 1) this.#fail("I7", `${id} has ${attempts} attempts, and ${limit} retries`, run.id);
    const phase = phaseOf(document, step.step);
    if (!mayBegin(run, phase) && !endedTogether(run, step)) {
      this.#fail("ending", `${id} begins attempt ${attempts}, and its run is ${run.state}, ${run.ending}`, run.id);
    }
    if (instance !== null && attempts === 1) this.#instanceBegins(run, document, step);
  }

  #instanceBegins(run: RunRecord, document: Keys, { id, step }: StepRecord): void {
    const { maxParallel = Infinity, failFast = true } = keysOf(document, step)! as {
      maxParallel?: number;
      failFast?: boolean;
    };
    const others = this.#records.stepsOf(run.id).filter((other) => other.step === step && other.instance !== null);
    const active = others.filter((other) => other.attempts > 0 && !isOver(other)).length;
    if (active > maxParallel) this.#fail("fan", `${id} is number ${active} of ${maxParallel}`, run.id);
    const failed = others.find((other) => isOver(other) && other.outcome !== "succeeded" && other.id !== id);
    if (failFast && failed) this.#fail("fan", `${id} begins though ${failed.id} is ${failed.state}`, run.id);
  }

  #onNewStep(run: RunRecord, document: Keys, step: StepRecord): void {
    const { id, state } = step;
    const phase = phaseOf(document, step.step);
    if (run.only !== null && run.only !== step.step && phase === "steps" && state === "skipped") return;
    if (state === "cancelled") {
      if (run.ending === null) this.#fail("ending", `${id} is cancelled, and its run is not`, run.id);
      return;
    }
    const stepOf = (other: string) => this.#records.step(run.id, other);
    const early = whyTooEarly(document, step.step, stepOf);
    if (early !== undefined) return this.#fail("needs", `${id} is ${state}, and ${early}`, run.id);
    if (!mayBegin(run, phase) && !endedTogether(run, step)) {
      return this.#fail("ending", `${id} is ${state}, its run ${run.ending}`, run.id);
    }
    if (phase === "onFailure" && run.ending === null && !this.#hasBadStep(run, document)) {
      this.#fail("needs", `${id} is ${state}, and nothing has failed`, run.id);
    }
    const verdict = verdictOf(document, run, step.step, stepOf);
    const is = state === "skipped" ? "skip" : state === "upstreamFailed" ? "upstreamFailed" : "run";
    if (is !== verdict) this.#fail("needs", `${id} is ${state}; the document says ${verdict}`, run.id);
  }

  #keptRightly(run: RunRecord, step: StepRecord): void {
    if (run.cause.kind !== "resume" || !run.preparing) {
      return this.#fail("needs", `${step.id} was taken over by a run that resumes none`, run.id);
    }
    const source = this.#records.step(run.cause.runId, step.step, step.instance);
    const good = step.instance === null ? source?.conclusion === "succeeded" : isOver(source);
    if (!good) this.#fail("needs", `${step.id} was taken over, and was ${source?.state} there`, run.id);
  }

  #keptStays(before: StepRecord, after: StepRecord): void {
    if (before.state !== after.state || before.attempts !== after.attempts) {
      this.#fail("I6", `${after.id} was taken over and is changed`, after.runId);
    }
  }

  /** How a run ends follows from how its steps did. */
  #endedRightly(run: RunRecord | undefined): void {
    if (!run || !isRunFinal(run.state) || run.startedMs === null) return;
    const document = this.#records.documentOf(run)!;
    const steps = this.#records.stepsOf(run.id);
    const open = steps.find((step) => !isOver(step))?.id ??
      idsOf(document, "steps").find((id) => !this.#records.step(run.id, id));
    if (open) return this.#fail("ending", `${run.id} is ${run.state}, and ${open} has not ended`, run.id);
    const tops = steps.filter(({ instance }) => instance === null);
    const bad = tops.some(({ step, conclusion }) =>
      phaseOf(document, step) !== "onFailure" && conclusion !== "succeeded" && conclusion !== "skipped"
    );
    const expected = run.ending === "timedOut"
      ? "timedOut"
      : run.ending !== null
      ? "cancelled"
      : bad
      ? "failed"
      : tops.some(({ outcome, conclusion }) => conclusion === "succeeded" && outcome !== "succeeded")
      ? "warning"
      : "succeeded";
    if (run.state !== expected) this.#fail("ending", `${run.id} is ${run.state}; its steps say ${expected}`, run.id);
  }

  #hasBadStep(run: RunRecord, document: Keys): boolean {
    return idsOf(document, "steps").some((id) => {
      const conclusion = this.#records.step(run.id, id)?.conclusion;
      return conclusion !== "succeeded" && conclusion !== "skipped";
    });
  }
}

/** A step that could not even begin, and its run with it: of one write, in which the run's record may stand first. */
function endedTogether({ state, ending }: RunRecord, step: StepRecord): boolean {
  return isRunFinal(state) && ending === null && isOver(step);
}

/** A run that is being ended begins nothing but what follows its end. */
function mayBegin({ state, ending }: RunRecord, phase: Phase): boolean {
  if (state === "queued" || isRunFinal(state)) return false;
  return ending === null || phase === "finally" && ending !== "killed" ||
    phase === "onFailure" && ending === "timedOut";
}
