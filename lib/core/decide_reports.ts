/**
 * What sailors tell of their attempts. Every report is acknowledged once what follows from it is durable, also one of
 * an attempt that is not known (any more): the sailor may then forget it.
 */
import type { AttemptRecord, AttemptState, Observation } from "./attempt.ts";
import { isFinal, mayFollow } from "./attempt.ts";
import { endSail, putAttempt, putSail, wantNewAttempt } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import type { AttemptReport } from "./outgoing.ts";
import type { SailRecord } from "./sail.ts";
import { isSailFinal, sailStateOf } from "./sail.ts";

/** What one write takes: a report changes up to five records, which repeat its texts, and a failed one bears its output. */
const REPORTS_PER_PIECE = 100;
const CHARS_PER_PIECE = 60_000;
/** The end of a step changes its own records too, and those of its run. */
const STEP_WEIGHT = 3;

export function decideReports(world: World, draft: Draft, input: Extract<Input, { kind: "reports" }>): void {
  // The next hello has told all of it, and newer: nobody waits for an answer either.
  if (input.hello === null && world.state.live.get(input.nodeId)?.sessionId !== input.sessionId) return;
  const count = pieceOf(world, input.reports);
  const reports = input.reports.slice(0, count);
  let freed = false;
  for (const report of reports) {
    if (takeReport(world, draft, input.nodeId, report)) freed = true;
  }
  if (reports.length > 0 && input.hello === null) {
    draft.sends.push({
      kind: "message",
      sessionId: input.sessionId,
      message: {
        kind: "acknowledge",
        reports: reports.map(({ attemptId, revision }) => ({ attemptId, revision })),
      },
    });
  }
  if (count < input.reports.length) draft.follow.push({ ...input, reports: input.reports.slice(count) });
  if (freed) draft.follow.push({ kind: "place" });
}

/** How many of the reports go into one write; at least one. */
function pieceOf(world: World, reports: readonly AttemptReport[]): number {
  let chars = 0;
  let weight = 0;
  for (const [index, { observed, result, sailId }] of reports.entries()) {
    chars += JSON.stringify(observed).length;
    // Its outputs may be all of it, and more.
    if (result) chars += 2 * (result.stdout.length + result.stderr.length + (result.output?.length ?? 0));
    weight += world.state.sails.get(sailId)?.stepId === undefined ? 1 : STEP_WEIGHT;
    if (index > 0 && (weight > REPORTS_PER_PIECE || chars > CHARS_PER_PIECE)) return index;
  }
  return reports.length;
}

/** True when capacity was freed or a sail wants a new attempt. */
function takeReport(world: World, draft: Draft, nodeId: string, report: AttemptReport): boolean {
  const { state } = world;
  const attempt = state.attempts.get(report.attemptId);
  if (!attempt || attempt.nodeId !== nodeId) {
    if (!isFinal(report.state)) draft.sends.push({ kind: "drop", nodeId, attemptId: report.attemptId });
    return false;
  }
  if (isFinal(attempt.state)) return takeLateReport(draft, nodeId, attempt, report);

  const next: AttemptState = attempt.desired === "stop" && !isFinal(report.state) ? "stopping" : report.state;
  if (next !== attempt.state && !mayFollow(attempt.state, next)) {
    // A sailor that starts a stopping attempt again would break I6; it is told once more what is wanted.
    return false;
  }
  const over = isFinal(next);
  const { settledStartMs: _before, ...unsettled } = attempt;
  const settled = settledStartMs(attempt, next, report.observed);
  const after = putAttempt(draft, unsettled, {
    state: next,
    reported: true,
    holding: !over,
    observed: report.observed,
    reason: over && report.cause === "vanished" ? "its container vanished" : attempt.reason,
    ...(settled === undefined ? {} : { settledStartMs: settled }),
  });
  const sail = state.sails.get(attempt.sailId);
  if (sail && sail.currentAttemptId === attempt.id && !isSailFinal(sail.state)) {
    if (over && report.result && (sail.stepId ?? sail.measures) !== undefined) {
      draft.results.set(sail.id, report.result);
    }
    tellEvents(draft, sail, attempt, after);
    if (over) afterEnd(world, draft, sail, after, report);
    else {
      const sailState = sail.desired === "stop" ? "stopping" : sailStateOf(next);
      if (sailState !== sail.state) putSail(draft, sail, { state: sailState });
    }
  }
  return over;
}

/** A sailor that has just started cannot tell yet: what was known of the same process holds until it says otherwise. */
function settledStartMs(attempt: AttemptRecord, next: AttemptState, observed: Observation): number | undefined {
  if (next !== "running" || observed.settled === false || observed.startedMs === null) return undefined;
  if (observed.settled === true) return observed.startedMs;
  return observed.health !== "unhealthy" && attempt.settledStartMs === observed.startedMs
    ? attempt.settledStartMs
    : undefined;
}

/** The attempt was over for the deck already; what is still of interest is whether its container is gone. */
function takeLateReport(draft: Draft, nodeId: string, attempt: AttemptRecord, report: AttemptReport): boolean {
  if (!isFinal(report.state)) {
    // Its node was removed, and has come back with it: until it is stopped, its room is taken.
    if (attempt.state === "lost" && !attempt.holding) draft.put("attempt", attempt.id, { ...attempt, holding: true });
    draft.sends.push({ kind: "drop", nodeId, attemptId: attempt.id });
    return false;
  }
  if (!attempt.holding) return false;
  draft.put("attempt", attempt.id, { ...attempt, holding: false, observed: report.observed });
  return true;
}

/** What becomes of a sail whose current attempt has ended. */
function afterEnd(world: World, draft: Draft, sail: SailRecord, attempt: AttemptRecord, report: AttemptReport): void {
  const { reschedule } = world.state.specs.get(sail.specId)!.spec;
  const { observed } = report;
  if (sail.desired === "stop") return endSail(draft, sail, "stopped", "stopped as asked");
  if (sail.replica && (attempt.state === "completed" || attempt.state === "failed")) {
    const why = attempt.state === "completed" ? "exited with code 0" : describeFailure(report);
    wantNewAttempt(draft, { ...sail, replica: { ...sail.replica, failure: why } }, why, true);
    return;
  }
  switch (attempt.state) {
    case "completed":
      return endSail(draft, sail, "completed", "exited with code 0");
    case "failed": {
      const why = describeFailure(report);
      if (report.cause === "exited" || reschedule !== true) return endSail(draft, sail, "failed", why);
      wantNewAttempt(draft, sail, why, true);
      return;
    }
    case "stopped":
      // It was asked to leave its node (drain), or the sailor was told by another hand: it is still wanted.
      wantNewAttempt(draft, sail, attempt.reason ?? "its attempt was stopped", false);
      return;
    case "lost":
      if (reschedule === false) {
        return endSail(draft, sail, "failed", "its container vanished, and reschedule is false");
      }
      wantNewAttempt(draft, sail, "its container vanished", sail.attempts > 1);
      return;
    default:
      throw new Error(`attempt ${attempt.id} is ${attempt.state}, which is no end (exit code ${observed.exitCode})`);
  }
}

function describeFailure(report: AttemptReport): string {
  const { observed } = report;
  switch (report.cause) {
    case "notCreated":
      return observed.message ?? "its container could not be started";
    case "restartsUsedUp":
      return observed.health === "unhealthy"
        ? `never stayed healthy, after ${observed.healthRestarts} restarts: ${observed.healthOutput ?? "no output"}`
        : `exited with code ${observed.exitCode} after ${observed.restarts} restarts`;
    default:
      if (observed.oomKilled) return `ran out of memory (exit code ${observed.exitCode})`;
      return observed.exitCode === null ? observed.message ?? "failed" : `exited with code ${observed.exitCode}`;
  }
}

function tellEvents(draft: Draft, sail: SailRecord, before: AttemptRecord, after: AttemptRecord): void {
  const about = { sailId: sail.id, attemptId: after.id, nodeId: after.nodeId };
  if (after.state === "running" && before.state !== "running") {
    draft.event("taskRunning", `${sail.name} runs`, about);
  }
  const restarts = after.observed.restarts + after.observed.healthRestarts;
  if (restarts > before.observed.restarts + before.observed.healthRestarts) {
    const code = after.observed.exitCode === null ? "" : ` (last exit code ${after.observed.exitCode})`;
    draft.event("taskRestarted", `${sail.name} restarted, ${restarts} in all${code}`, about);
  }
  if (after.observed.health !== before.observed.health && !isFinal(after.state)) {
    if (after.observed.health === "healthy") draft.event("taskHealthy", `${sail.name} is healthy`, about);
    if (after.observed.health === "unhealthy") {
      draft.event("taskUnhealthy", `${sail.name} is unhealthy: ${after.observed.healthOutput ?? "no output"}`, about);
    }
  }
}
