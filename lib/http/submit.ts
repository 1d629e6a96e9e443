/**
 * POST /v1/tasks: one task or a batch. Owns validation of the whole before any of it reaches the deck: a body with one wrong
 * task changes nothing.
 */
import type { Clock } from "../contracts/clock.ts";
import { BATCH_TASKS_MAX } from "../messages/api.ts";
import type { TaskView } from "../messages/api.ts";
import { taskDocument } from "../core/documents/task.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import { taskIdAt } from "../core/task_id.ts";
import type { SailRecord } from "../core/sail.ts";
import type { DeckApi } from "../deck/api.ts";
import { BATCH_BYTES_MAX, BODY_BYTES_MAX, readDocument, tooLarge } from "./body.ts";
import type { Document } from "./plain_data.ts";
import { bodyDigest, idempotencyKey, taskIdOf } from "./idempotency.ts";
import { unknownKey } from "../core/documents/issues.ts";
import { describeErrors, parseWith, refuseDocument } from "./issues.ts";
import { jsonResponse, Refusal, unavailable } from "./problems.ts";
import type { ProblemError } from "./problems.ts";

export async function submit(deck: DeckApi, clock: Clock, request: Request): Promise<Response> {
  const key = idempotencyKey(request.headers);
  const document = await readDocument(request, { jsonBytesMax: BATCH_BYTES_MAX });
  if (isBatch(document.value)) {
    return await submitBatch(deck, clock, key, document, document.value);
  }
  if (document.bytes.length > BODY_BYTES_MAX) throw tooLarge(BODY_BYTES_MAX);
  const spec = parseWith(taskDocument, document.value, { document });
  return key === null ? await submitOne(deck, spec) : await submitOnce(deck, key, document, spec);
}

async function submitOne(deck: DeckApi, spec: TaskSpec): Promise<Response> {
  const reply = await deck.submit({ id: null, spec, original: null, originalEventId: null });
  switch (reply.kind) {
    case "accepted":
      return created(deck, reply.sail, spec);
    case "conflict":
      throw new Refusal(409, reply.code, reply.message);
    case "unavailable":
      throw unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

/** One task under a key goes the way of a batch of one, because that remembers the body's digest. */
async function submitOnce(deck: DeckApi, key: string, document: Document, spec: TaskSpec): Promise<Response> {
  const id = taskIdOf(key, 0);
  const items = await carryBatch(deck, key, document, [id], [spec]);
  const error = items[0]?.error ?? null;
  if (error !== null) throw new Refusal(409, "conflict", error);
  const task = deck.summaryOf(id);
  // A repeated request may come after the task's record was swept.
  if (!task) throw new Refusal(409, "keyReused", `the task of this key (${id}) is no longer kept`);
  return jsonResponse(task, 201, { location: `/v1/tasks/${id}` });
}

async function submitBatch(
  deck: DeckApi,
  clock: Clock,
  key: string | null,
  document: Document,
  batch: { readonly tasks: unknown },
): Promise<Response> {
  const specs = parseBatch(document, batch);
  const nowMs = clock.wallMs();
  const ids = specs.map((_, index) => key === null ? taskIdAt(crypto.randomUUID(), nowMs) : taskIdOf(key, index));
  const items = await carryBatch(deck, key, document, ids, specs);
  return jsonResponse({ tasks: items }, items.every((item) => item.error === null) ? 201 : 200);
}

async function carryBatch(
  deck: DeckApi,
  key: string | null,
  document: Document,
  ids: readonly string[],
  specs: readonly TaskSpec[],
) {
  const reply = await deck.submitBatch({ key, digest: bodyDigest(document.bytes), ids, specs });
  switch (reply.kind) {
    case "done":
      return reply.items;
    case "conflict":
      throw new Refusal(409, reply.code, reply.message);
    case "unavailable":
      throw unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

function isBatch(value: unknown): value is { readonly tasks: unknown } {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "tasks");
}

/** Task by task rather than with one schema for all, so that an error names the task's index and no union hides it. */
function parseBatch(document: Document, batch: { readonly tasks: unknown }): TaskSpec[] {
  const errors: ProblemError[] = [];
  for (const extra of Object.keys(batch)) {
    if (extra !== "tasks") errors.push({ pointer: `/${extra}`, detail: unknownKey(extra, ["tasks"]) });
  }
  const tasks = batch.tasks;
  if (!Array.isArray(tasks)) throw refuseDocument([{ pointer: "/tasks", detail: "must be an array of tasks" }]);
  if (tasks.length === 0 || tasks.length > BATCH_TASKS_MAX) {
    throw refuseDocument([{
      pointer: "/tasks",
      detail: `has ${tasks.length} tasks; a batch takes 1 to ${BATCH_TASKS_MAX}`,
    }]);
  }
  const specs: TaskSpec[] = [];
  for (const [index, item] of tasks.entries()) {
    const result = taskDocument.safeParse(item);
    if (result.success) specs.push(result.data);
    else errors.push(...describeErrors(taskDocument, result.error.issues, document, ["tasks", index]));
  }
  if (errors.length > 0) throw refuseDocument(errors);
  return specs;
}

function created(deck: DeckApi, sail: SailRecord, spec: TaskSpec): Response {
  const task = deck.summaryOf(sail.id) ?? viewOf(sail, spec);
  return jsonResponse(task, 201, { location: `/v1/tasks/${sail.id}` });
}

/** Of a task that is gone again: as it was when it was accepted. */
function viewOf(sail: SailRecord, spec: TaskSpec): TaskView {
  const time = (ms: number | null) => ms === null ? null : new Date(ms).toISOString();
  return {
    id: sail.id,
    name: sail.name,
    image: spec.image,
    state: sail.state,
    why: sail.why,
    desired: sail.desired,
    labels: spec.labels,
    createdAt: new Date(sail.createdMs).toISOString(),
    endedAt: time(sail.endedMs),
    retryAt: time(sail.retryAtMs),
    attempts: sail.attempts,
    attempt: null,
  };
}
