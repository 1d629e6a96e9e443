/**
 * I1 to I6, judged from outside after every event: by what was acknowledged, what the Engines hold, what readers see, what is
 * durable, and what goes over the wire. Never by a deck's or sailor's own opinion.
 */
import type { ContainerObservation } from "../../lib/contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_SAIL } from "../../lib/contracts/runtime.ts";
import type { AttemptRecord } from "../../lib/core/attempt.ts";
import { ATTEMPT_TRANSITIONS, isFinal, mayFollow } from "../../lib/core/attempt.ts";
import type { OriginalTask } from "../../lib/deck/api.ts";
import { isSailFinal } from "../../lib/core/sail.ts";
import type { SailRecord } from "../../lib/core/sail.ts";
import type { Engine } from "./engine.ts";
import { CPU_CORES } from "./engine.ts";
import type { Connection } from "./network.ts";
import type { Truth } from "./truth.ts";
import { ServiceInvariants } from "./service/invariants.ts";
import { WorkflowInvariants } from "./workflow/invariants.ts";

/** Beside the numbered ones: of workflows, what is to be so before a step begins, after a run's end was asked for, in groups... */
export type Rule =
  | "I1"
  | "I2"
  | "I3"
  | "I4"
  | "I5"
  | "I6"
  | "I7"
  | "I8"
  | "I9"
  | "needs"
  | "ending"
  | "fan"
  | "turns"
  | "slot"
  | "parent"
  | "counts"
  | "term"
  | "defect";

export interface Violation {
  readonly rule: Rule;
  readonly what: string;
  /** Tasks, attempts, nodes that it is about. */
  readonly about: readonly string[];
}

interface SeenContainer {
  readonly attemptId: string;
  started: boolean;
  error: string | null;
}

export class Invariants {
  violation: Violation | undefined;
  readonly workflows: WorkflowInvariants;
  readonly services: ServiceInvariants;
  /** Tasks whose submission was acknowledged, and those whose stop was. */
  readonly accepted = new Set<string>();
  readonly stopped = new Set<string>();
  readonly #touchedSails = new Set<string>();
  readonly #touchedEngines = new Set<string>();
  readonly #containers = new Map<string, SeenContainer>();
  readonly #startedAttempts = new Set<string>();
  readonly #made = new Set<string>();
  readonly #welcomedTerm = new Map<number, number>();
  readonly #finalReports = new Map<string, Set<number>>();

  constructor(
    readonly o: {
      readonly truth: Truth;
      readonly engines: readonly Engine[];
      /** The newest term that a node's sailor has made durable. */
      readonly termOf: (nodeId: string) => number;
      readonly newestTerm: () => number;
      readonly clocksJump: boolean;
      readonly nowMs: () => number;
    },
  ) {
    this.workflows = new WorkflowInvariants({
      truth: o.truth,
      fail: (rule, what, about) => this.fail(rule, what, about),
      clocksJump: o.clocksJump,
    });
    this.services = new ServiceInvariants({
      truth: o.truth,
      nowMs: o.nowMs,
      fail: (rule, what, about) => this.fail(rule, what, about),
    });
    o.truth.onSail = ({ id, before, after }) => {
      this.#onSail(id, before, after);
      this.services.onSail(before, after);
    };
    o.truth.onAttempt = ({ before, after }) => this.#onAttempt(before, after);
  }

  fail(rule: Rule, what: string, about: readonly string[] = []): void {
    this.violation ??= { rule, what, about };
  }

  /** Looks at all that has changed since it last did. */
  afterEvent(): void {
    for (const id of this.#touchedSails) this.#oneAttemptCounts(id);
    this.#touchedSails.clear();
    for (const engine of this.o.engines) {
      const changed = engine.changed();
      if (changed) this.#lookAtEngine(engine);
      if (changed || this.#touchedEngines.has(engine.id)) {
        this.#capacity(engine);
        this.#endedStaysEnded(engine);
      }
    }
    this.#touchedEngines.clear();
    this.workflows.afterEvent();
    this.services.afterEvent();
  }

  submitAcknowledged(id: string, created: boolean): void {
    if (!this.o.truth.sails.has(id) || !this.o.truth.specs.has(id)) {
      this.fail("I3", `the submission of ${id} was acknowledged and is not durable`, [id]);
    }
    if (created && this.#made.has(id)) this.fail("I1", `${id} was made twice`, [id]);
    if (created) this.#made.add(id);
    this.accepted.add(id);
  }

  stopAcknowledged(id: string): void {
    const sail = this.o.truth.sails.get(id);
    if (!sail) return this.accepted.has(id) ? this.fail("I1", `${id} was acknowledged and is gone`, [id]) : undefined;
    if (sail.desired !== "stop" && !isSailFinal(sail.state)) {
      this.fail("I3", `the stop of ${id} was acknowledged and is not durable`, [id]);
    }
    this.stopped.add(id);
  }

  drainAcknowledged(nodeId: string): void {
    if (this.o.truth.masts.get(nodeId)?.eligibility === "eligible") {
      this.fail("I3", `the drain of ${nodeId} was acknowledged and is not durable`, [nodeId]);
    }
  }

  /** What a reader was shown. */
  read(tasks: Iterable<OriginalTask>): void {
    const { sails } = this.o.truth;
    for (const { sail } of tasks) {
      const durable = sails.get(sail.id);
      if (!durable) this.fail("I3", `a reader was shown ${sail.id}, which is not durable`, [sail.id]);
      else if (sail.revision > durable.revision) {
        this.fail(
          "I3",
          `a reader was shown revision ${sail.revision} of ${sail.id}; ${durable.revision} is durable`,
          [sail.id],
        );
      }
    }
  }

  /** A living process sends a frame of a session. */
  frame({ id, nodeId }: Connection, from: "deck" | "sailor", frame: string): void {
    if (/^\{"(?:kind":"(?:ping|heartbeat)"|n":)/.test(frame) && from === "deck") return;
    if (from === "sailor" && this.#welcomedTerm.get(id) !== undefined) this.#obeys(id, nodeId, frame);
    if (frame.includes('"kind":"heartbeat"')) return;
    const message = JSON.parse(frame);
    if (from === "deck") return this.#fromDeck(id, message);
    for (const report of message.attempts ?? message.reports ?? []) {
      if (!isFinal(report.state)) continue;
      // Of this session: a sailor that has died may use a revision again.
      const key = `${id}/${report.attemptId}`;
      const revisions = this.#finalReports.get(key) ?? new Set();
      this.#finalReports.set(key, revisions.add(report.revision));
    }
  }

  #obeys(connection: number, nodeId: string, frame: string): void {
    const term = this.#welcomedTerm.get(connection)!;
    if (term >= this.o.termOf(nodeId) || !/"kind":"(?:heartbeat|reports)"/.test(frame)) return;
    this.fail("term", `the sailor of ${nodeId} obeys a deck of term ${term}, and has obeyed a newer one`, [nodeId]);
  }

  // deno-lint-ignore no-explicit-any
  #fromDeck(connection: number, message: any): void {
    const { attempts } = this.o.truth;
    if (message.kind === "welcome") this.#welcomedTerm.set(connection, message.term);
    const stale = message.term !== undefined && message.term < this.o.newestTerm();
    for (const { attemptId, sailId, desired } of stale ? [] : message.assignments ?? []) {
      const durable = attempts.get(attemptId);
      if (!durable) this.fail("I3", `${attemptId} was sent to its node and is not durable`, [sailId]);
      else if (desired === "stop" && durable.desired !== "stop") {
        this.fail("I3", `the stop of ${attemptId} was sent to its node and is not durable`, [sailId]);
      }
    }
    if (message.kind !== "acknowledge") return;
    for (const { attemptId, revision } of message.reports) {
      const durable = attempts.get(attemptId);
      if (!durable || isFinal(durable.state) || !this.#finalReports.get(`${connection}/${attemptId}`)?.has(revision)) {
        continue;
      }
      this.fail("I3", `the end of ${attemptId} was acknowledged to its sailor and is not durable`, [durable.sailId]);
    }
  }

  #onSail(id: string, before: SailRecord | undefined, after: SailRecord | undefined): void {
    this.#touchedSails.add(id);
    if ((after ?? before)!.stepId !== undefined) this.workflows.onTask(before, after);
    if (!after) {
      if (before && !isSailFinal(before.state)) this.fail("I1", `${id} was ${before.state} and is gone`, [id]);
      return;
    }
    if (!before) return;
    if (isSailFinal(before.state) && after.state !== before.state) {
      this.fail("I6", `${id} was ${before.state} and is ${after.state}`, [id]);
    }
    if (before.desired === "stop" && after.desired === "run") this.fail("I5", `the stop of ${id} was forgotten`, [id]);
    if (after.revision < before.revision) this.fail("I3", `${id} went back to revision ${after.revision}`, [id]);
  }

  #onAttempt(before: AttemptRecord | undefined, after: AttemptRecord | undefined): void {
    const { sailId, engineId, id, nodeId } = (after ?? before)!;
    this.#touchedSails.add(sailId);
    this.#touchedEngines.add(engineId);
    if (after) this.workflows.onAttempt(after);
    if (after && !before) {
      const mast = this.o.truth.masts.get(nodeId);
      if (mast && mast.eligibility !== "eligible") {
        this.fail("I2", `${id} was placed on ${nodeId}, which is ${mast.eligibility}`, [sailId, nodeId]);
      }
    }
    if (!before || !after || before.state === after.state) return;
    // One decision may take two steps of the table.
    const steps = mayFollow(before.state, after.state) ||
      ATTEMPT_TRANSITIONS[before.state].some((middle) => mayFollow(middle, after.state));
    if (!steps) this.fail("I6", `${id} was ${before.state} and is ${after.state}`, [sailId]);
  }

  #oneAttemptCounts(sailId: string): void {
    const live = this.o.truth.attemptsOf(sailId).filter((attempt) => !isFinal(attempt.state));
    if (live.length > 1) {
      this.fail("I2", `${sailId} has ${live.length} attempts at once: ${live.map((a) => `${a.id} ${a.state}`)}`, [
        sailId,
      ]);
    }
  }

  #lookAtEngine(engine: Engine): void {
    for (const container of engine.look()) {
      const { id, name, labels, startedMs, error } = container;
      if (!engine.ghosts.has(name)) this.workflows.container(engine.id, container);
      const attemptId = labels[LABEL_ATTEMPT];
      const sailId = labels[LABEL_SAIL];
      let seen = this.#containers.get(`${engine.id}/${id}`);
      if (!seen) {
        this.#containers.set(`${engine.id}/${id}`, seen = { attemptId, started: false, error: null });
        const { attempts, sails } = this.o.truth;
        if (!attempts.has(attemptId) && !sails.has(sailId)) {
          this.fail("I3", `a container of ${attemptId} was made, and its task is not durable`, [sailId]);
        }
      }
      if (startedMs !== null && !seen.started) {
        seen.started = true;
        if (this.#startedAttempts.has(attemptId) && !engine.ghosts.has(name)) {
          this.fail("I2", `a second container of ${attemptId} was started`, [sailId]);
        }
        this.#startedAttempts.add(attemptId);
      }
      const isNew = error !== seen.error;
      seen.error = error;
      if (isNew && error !== null && /already allocated/.test(error) && engine.ghosts.size === 0) {
        // A sailor that shares the Engine with one that was removed cannot know either.
        if (runningOn(engine).some((container) => this.#givenUp(container))) continue;
        this.fail("I4", `${attemptId} could not start on ${engine.id}: ${error}`, [sailId, engine.id]);
      }
    }
  }

  #capacity(engine: Engine): void {
    const { truth } = this.o;
    let memoryBytes = 0;
    let cpuCores = 0;
    for (const container of runningOn(engine)) {
      if (engine.ghosts.has(container.name) || this.#givenUp(container)) continue;
      const reservation = truth.attempts.get(container.labels[LABEL_ATTEMPT])?.reservation;
      memoryBytes += reservation?.memoryBytes ?? 0;
      cpuCores += reservation?.cpuCores ?? 0;
    }
    if (memoryBytes > engine.memoryBytes || cpuCores > CPU_CORES + 1e-6) {
      this.fail("I4", `${engine.id} runs more than it has room for: ${memoryBytes} bytes, ${cpuCores} cores`, [
        engine.id,
      ]);
    }
    const ports = new Map<string, string>();
    let held = 0;
    for (const attempt of truth.attempts.values()) {
      if (attempt.engineId !== engine.id || !attempt.holding || truth.givenUp.has(attempt.id)) continue;
      held += attempt.reservation.memoryBytes;
      for (const port of attempt.reservation.hostPorts) {
        const other = ports.get(port);
        if (other !== undefined) {
          this.fail("I4", `port ${port} of ${engine.id} is given to ${other} and to ${attempt.id}`, [attempt.sailId]);
        }
        ports.set(port, attempt.id);
      }
    }
    if (held > engine.memoryBytes) this.fail("I4", `${held} bytes of ${engine.id} are promised`, [engine.id]);
  }

  /** Where two sailors share an Engine, what the operator has given up for one takes the room of the other's. */
  #givenUp({ labels }: ContainerObservation): boolean {
    return this.o.truth.givenUp.has(labels[LABEL_ATTEMPT]);
  }

  /** What is over by its node's own word runs no more, and never again. */
  #endedStaysEnded(engine: Engine): void {
    for (const container of runningOn(engine)) {
      if (engine.ghosts.has(container.name) || this.#givenUp(container)) continue;
      const attempt = this.o.truth.attempts.get(container.labels[LABEL_ATTEMPT]);
      if (!attempt || !isFinal(attempt.state) || attempt.holding) continue;
      this.fail("I5", `${attempt.id} is ${attempt.state} and its container runs on ${engine.id}`, [attempt.sailId]);
    }
  }
}

export function runningOn(engine: Engine): ContainerObservation[] {
  return engine.look().filter((c) => c.status === "running" || c.status === "restarting");
}
