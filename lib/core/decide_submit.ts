/** Submitting and stopping tasks. */
import { isFinal } from "./attempt.ts";
import { acceptTask, endSail, putSail, stopAttempt } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import type { SailRecord } from "./sail.ts";
import { isSailFinal } from "./sail.ts";
import { missingSecret } from "./secret.ts";

export type SubmitConflict = "idInUse" | "nameInUse" | "secretMissing";

export type SubmitDecision =
  | { readonly kind: "accepted"; readonly sail: SailRecord; readonly created: boolean }
  | { readonly kind: "conflict"; readonly code: SubmitConflict; readonly message: string };

/** The same id with the same spec again is the same task, unless it has ended and somebody asks anew. */
export function decideSubmit(world: World, draft: Draft, input: Extract<Input, { kind: "submit" }>): void {
  const { state } = world;
  const existing = state.sails.get(input.sailId);
  if (existing) {
    draft.reply = resubmitted(world, existing, input);
    return;
  }
  const holder = state.liveNames.get(input.spec.name);
  if (holder !== undefined) {
    draft.reply = {
      kind: "conflict",
      code: "nameInUse",
      message: `a task named "${input.spec.name}" lives already (${holder}); stop it or choose another name`,
    } satisfies SubmitDecision;
    return;
  }
  const missing = missingSecret(state, input.spec);
  if (missing !== undefined) {
    draft.reply = { kind: "conflict", code: "secretMissing", message: missing } satisfies SubmitDecision;
    return;
  }
  const sail = acceptTask(world, draft, {
    id: input.sailId,
    spec: input.spec,
    original: input.original,
    originalEventId: input.originalEventId,
  });
  draft.reply = { kind: "accepted", sail, created: true } satisfies SubmitDecision;
}

function resubmitted(
  world: World,
  existing: SailRecord,
  input: Extract<Input, { kind: "submit" }>,
): SubmitDecision {
  const sameEvent = input.originalEventId !== null && input.originalEventId === existing.originalEventId;
  const sameSpec = JSON.stringify(world.state.specs.get(existing.specId)?.spec) === JSON.stringify(input.spec);
  const ended = isSailFinal(existing.state);
  const repeats = sameSpec && (sameEvent || input.originalEventId === null || !ended);
  if (repeats) return { kind: "accepted", sail: existing, created: false };
  const message = ended
    ? `the id ${existing.id} belongs to the task "${existing.name}", which has ended and is still on record; use a new id`
    : `the id ${existing.id} belongs to the task "${existing.name}", which lives with another specification; stop it first or use a new id`;
  return { kind: "conflict", code: "idInUse", message };
}

export type OpenBatchDecision =
  | { readonly kind: "open" }
  | { readonly kind: "conflict"; readonly code: "nameInUse" | "keyReused"; readonly message: string };

/** Keeps the key of a batch, so that it may be completed after a crash; refuses what can be seen to fail. */
export function decideOpenBatch(world: World, draft: Draft, input: Extract<Input, { kind: "openBatch" }>): void {
  const { state } = world;
  const known = state.idempotency.get(input.key);
  if (known) {
    draft.reply = known.digest === input.digest ? { kind: "open" } satisfies OpenBatchDecision : {
      kind: "conflict",
      code: "keyReused",
      message: "this Idempotency-Key was used with another body; use a new key for a new request",
    } satisfies OpenBatchDecision;
    return;
  }
  const own = new Set(input.ids);
  const taken = input.names.find((name) => {
    const holder = state.liveNames.get(name);
    return holder !== undefined && !own.has(holder);
  });
  if (taken !== undefined) {
    draft.reply = {
      kind: "conflict",
      code: "nameInUse",
      message: `a task named "${taken}" lives already; nothing of the batch was accepted`,
    } satisfies OpenBatchDecision;
    return;
  }
  draft.put("idempotency", input.key, { key: input.key, digest: input.digest, createdMs: draft.context.wallMs });
  draft.reply = { kind: "open" } satisfies OpenBatchDecision;
}

export type StopDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string };

export function decideStop(world: World, draft: Draft, input: Extract<Input, { kind: "stop" }>): void {
  const { state } = world;
  const sail = state.sails.get(input.sailId);
  if (!sail) {
    draft.reply = { kind: "notFound", message: `no task ${input.sailId}` } satisfies StopDecision;
    return;
  }
  if (isSailFinal(sail.state)) {
    draft.reply = { kind: "done", message: `${sail.name} had ended already (${sail.state})` } satisfies StopDecision;
    return;
  }
  const graceMs = input.graceMs ?? sail.graceMs;
  const attempt = sail.currentAttemptId === null ? undefined : state.attempts.get(sail.currentAttemptId);
  if (!attempt || isFinal(attempt.state)) {
    endSail(draft, putSail(draft, sail, { desired: "stop" }), "stopped", "stopped before it was placed");
  } else {
    if (sail.desired !== "stop") {
      draft.event("taskStopping", `${sail.name} is being stopped`, {
        sailId: sail.id,
        attemptId: attempt.id,
        nodeId: attempt.nodeId,
      });
    }
    putSail(draft, sail, { desired: "stop", state: "stopping", graceMs });
    stopAttempt(world, draft, attempt, graceMs);
  }
  draft.reply = { kind: "done", message: `${sail.name} is being stopped` } satisfies StopDecision;
}
