/** I9: what is not yet as it should be, once faults have stopped. Judged by durable records and by what the Engines hold. */
import { LABEL_ATTEMPT, LABEL_SAIL } from "../../lib/contracts/runtime.ts";
import { RESCHEDULE_MAX_MS } from "../../lib/core/changes.ts";
import type { TaskSpec } from "../../lib/core/documents/task.ts";
import { demandOf, hostPortsOf } from "../../lib/core/rudder/filters.ts";
import { isSailFinal } from "../../lib/core/sail.ts";
import { isRunFinal, isStepFinal } from "../../lib/core/workflow/records.ts";
import type { SailRecord } from "../../lib/core/sail.ts";
import type { Engine } from "./engine.ts";
import { CPU_CORES } from "./engine.ts";
import { runningOn } from "./invariants.ts";
import { unsettledServices } from "./service/convergence.ts";
import type { World } from "./world.ts";

export interface Unsettled {
  readonly what: string;
  readonly about: readonly string[];
}

/** What is asked for after the faults, one after the other. */
export type Phase = "run" | "stop" | "end";

/**
 * `run`: each task runs once, has ended, or has a reason to wait. What crashes all the time is asked once to be seen running:
 * `settled` gathers those that were. `stop`: of all that is no part of a run nothing lives and nothing runs. `end`: with the
 * room that this gives, every run has ended by itself, no container is left, and every end was acknowledged.
 */
export function unsettled(world: World, phase: Phase, settled: Set<string>): Unsettled[] {
  const left: Unsettled[] = [];
  const containers = new Map<string, { attemptId: string; engine: Engine }[]>();
  for (const engine of world.engines) {
    for (const { labels } of runningOn(engine)) {
      const list = containers.get(labels[LABEL_SAIL]) ?? [];
      containers.set(labels[LABEL_SAIL], list);
      list.push({ attemptId: labels[LABEL_ATTEMPT], engine });
    }
  }
  for (const id of world.invariants.accepted) {
    if (!world.truth.sails.has(id)) left.push({ what: `${id} was acknowledged and is gone`, about: [id] });
  }
  for (const [id, running] of containers) {
    if (!world.truth.sails.has(id)) {
      left.push({ what: `${running.map((c) => c.attemptId)} runs, and its task is not known`, about: [id] });
    }
  }
  for (const sail of world.truth.sails.values()) {
    const running = containers.get(sail.id) ?? [];
    const ofRun = sail.stepId !== undefined;
    if (ofRun && phase === "stop") continue;
    const mustEnd = phase === "stop" || (phase === "end" && !ofRun) || world.invariants.stopped.has(sail.id);
    const problem = isSailFinal(sail.state)
      ? running.length > 0 ? `${running.map((c) => `${c.attemptId} on ${c.engine.id}`)} still runs` : undefined
      : mustEnd
      ? "its stop is not carried out"
      : settled.has(sail.id)
      ? running.length > 1 ? "it runs twice" : undefined
      : notRunning(world, sail, running);
    const about = [sail.id, ...world.truth.attemptsOf(sail.id).map((attempt) => attempt.nodeId)];
    if (problem) left.push({ what: `${sail.id} is ${sail.state}, wanted ${sail.desired}: ${problem}`, about });
    else settled.add(sail.id);
  }
  left.push(...unsettledServices(world, phase));
  if (phase === "end") left.push(...unendedRuns(world));
  if (phase === "end" && left.length === 0) left.push(...untold(world));
  return left;
}

function unendedRuns({ truth, invariants }: World): Unsettled[] {
  const { runs, steps, documentOf } = {
    ...truth.workflows,
    documentOf: truth.workflows.documentOf.bind(truth.workflows),
  };
  const left: Unsettled[] = [];
  for (const id of invariants.workflows.accepted) {
    if (!runs.has(id)) left.push({ what: `run ${id} was acknowledged and is gone`, about: [id] });
  }
  for (const run of runs.values()) {
    if (!documentOf(run)) left.push({ what: `the definition of ${run.id} is gone`, about: [run.id] });
    if (isRunFinal(run.state)) continue;
    const open = truth.workflows.stepsOf(run.id).filter(({ state }) => !isStepFinal(state));
    left.push({
      what: `run ${run.id} is ${run.state}: ${open.map(({ id, state }) => `${id} ${state}`)}`,
      about: [run.id],
    });
  }
  for (const { id, endedMs, stepId } of truth.sails.values()) {
    const step = steps.get(stepId ?? "");
    if (endedMs === null && step && isStepFinal(step.state)) {
      left.push({ what: `${id} has not ended, and its step is ${step.state}`, about: [id, step.runId] });
    }
  }
  return left;
}

function notRunning(
  world: World,
  sail: SailRecord,
  running: readonly { readonly attemptId: string }[],
): string | undefined {
  switch (sail.state) {
    case "running":
      if (running.length !== 1) return `${running.length} containers run`;
      return running[0].attemptId === sail.currentAttemptId ? undefined : `${running[0].attemptId} runs instead`;
    case "pending": {
      if (running.length > 0) return `${running.map((c) => c.attemptId)} runs`;
      if (sail.retryAtMs !== null && isAhead(world, sail.retryAtMs)) return undefined;
      const room = roomFor(world, world.truth.specs.get(sail.specId)!.spec, sail.replica?.nodeId ?? null);
      return room && `${room} has room for it`;
    }
    default:
      return `its attempt is ${world.truth.attempts.get(sail.currentAttemptId ?? "")?.state}`;
  }
}

/** A retry has its time, and that time comes: by the deck's clock, which may have jumped. */
function isAhead(world: World, atMs: number): boolean {
  const nowMs = world.decks.wall.offsetMs + world.schedule.nowMs;
  return atMs > nowMs && atMs <= nowMs + RESCHEDULE_MAX_MS;
}

/** A node that takes tasks and whose Engine has room beside what runs there and what is on its way there. */
function roomFor(world: World, spec: TaskSpec, only: string | null): string | undefined {
  const demand = demandOf(spec);
  for (const mast of world.truth.masts.values()) {
    const engine = world.engines.find(({ id }) => id === mast.engineId);
    if (only !== null && mast.id !== only) continue;
    if (mast.eligibility !== "eligible" || mast.status !== "ready" || !engine) continue;
    let memoryBytes = engine.memoryBytes;
    let cpuMillis = CPU_CORES * 1000;
    const ports = new Set<string>();
    const there = new Set(runningOn(engine).map(({ labels }) => labels[LABEL_ATTEMPT]));
    for (const attempt of world.truth.attempts.values()) {
      const coming = attempt.engineId === engine.id && attempt.holding && attempt.state !== "lost";
      if (!there.has(attempt.id) && !coming) continue;
      memoryBytes -= attempt.reservation.memoryBytes;
      cpuMillis -= attempt.reservation.cpuCores * 1000;
      for (const port of attempt.reservation.hostPorts) ports.add(port);
    }
    const fits = memoryBytes >= demand.memoryBytes && cpuMillis >= demand.cpuMillis;
    if (fits && !hostPortsOf(spec).some((port) => ports.has(port))) return mast.id;
  }
  return undefined;
}

/** Ends that a sailor has not had acknowledged: it would keep their containers for ever. */
function untold(world: World): Unsettled[] {
  return world.nodes.flatMap((node) =>
    [...node.disk.memory.records].filter(([key]) => key.startsWith('["entry"')).flatMap(([, value]) => {
      const { attemptId, sailId, outcome, acknowledged } = value as {
        attemptId: string;
        sailId: string;
        outcome: unknown;
        acknowledged: boolean;
      };
      if (outcome && acknowledged) return [];
      return [{
        what: `${node.id} has ${outcome ? "no answer to the end of" : "not ended"} ${attemptId}`,
        about: [sailId, node.id],
      }];
    })
  );
}
