/** /v1/runs: starting workflows, looking at their runs, and what people ask of a run while it goes on or has ended. */
import { didYouMean } from "../core/documents/issues.ts";
import type { DeckApi } from "../deck/api.ts";
import type { StartReply } from "../deck/workflow_api.ts";
import { approveRequest, cancelRequest, rejectRequest, resumeRequest, runRequest } from "../messages/run_api.ts";
import type { ResumeReply, RunRequest, RunView, WorkflowSource } from "../messages/run_api.ts";
import { readJson, readOptionalJson } from "./body.ts";
import type { EdgeContext, Route } from "./edge.ts";
import { idempotencyKey } from "./idempotency.ts";
import { parseWith, refuseDocument } from "./issues.ts";
import { jsonResponse, notFound, Refusal, unavailable } from "./problems.ts";
import { readQuery, runListQuery } from "./query.ts";
import { accepted, badCursor, foundOr } from "./references.ts";
import { invalidSource, unknownWorkflow } from "./workflow_routes.ts";

const JSON_TYPE = ["application/json"];
const STARTED = "the run is durable and starts";

export function runRoutes(deck: DeckApi): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/runs",
      role: "admin",
      handle: (context) => start(deck, context.req.raw),
      description: {
        summary: "Runs a registered workflow, or a document",
        headers: {
          "Idempotency-Key": "the same key again gives the same run; with another workflow it is refused (409)",
        },
        body: { schema: "RunRequest", types: JSON_TYPE, required: true },
        answers: [{ status: 201, text: STARTED, schema: "Run" }],
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/runs",
      role: "read",
      handle: (context) => listRuns(deck, context),
      description: {
        summary: "Lists runs, newest first, without their steps",
        query: runListQuery,
        answers: [{ status: 200, text: "a page", schema: "RunList" }],
        problems: [400],
      },
    },
    {
      method: "GET",
      path: "/v1/runs/{ref}",
      role: "read",
      handle: (context) => jsonResponse(runOf(deck, context)),
      description: {
        summary: "One run with its steps, by id, the beginning of an id, or a workflow's name: then its newest run",
        answers: [{ status: 200, text: "the run", schema: "Run" }],
        problems: [404, 409],
      },
    },
    {
      method: "GET",
      path: "/v1/runs/{ref}/source",
      role: "read",
      handle: (context) => {
        const { id } = runOf(deck, context);
        const source = deck.runSource(id);
        if (!source) throw notFound(`the document of run ${id} is not kept any more`);
        return jsonResponse(source);
      },
      description: {
        summary: "The document that the run runs, whatever became of the workflow since",
        answers: [{ status: 200, text: "as it was sent", schema: "WorkflowSource" }],
        problems: [404, 409],
      },
    },
    {
      method: "POST",
      path: "/v1/runs/{ref}/cancel",
      role: "admin",
      handle: async (context) => {
        const { id } = runOf(deck, context);
        const document = await readOptionalJson(context.req.raw);
        const { now } = parseWith(cancelRequest, document.value, { document });
        accepted(await deck.cancelRun(id, now));
        return runNow(deck, id);
      },
      description: {
        summary:
          "Ends a run: what runs is stopped, what follows any end (finally) is run; asked again it changes nothing",
        body: { schema: "CancelRequest", types: JSON_TYPE, required: false },
        answers: [{ status: 200, text: "it is durable; the run as it is now", schema: "Run" }],
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "POST",
      path: "/v1/runs/{ref}/resume",
      role: "admin",
      handle: async (context) => {
        const { id } = runOf(deck, context);
        const document = await readOptionalJson(context.req.raw);
        const { from, params } = parseWith(resumeRequest, document.value, { document });
        return started(await deck.resumeRun({ runId: id, from: from ?? null, params: params ?? {} }));
      },
      description: {
        summary: "Runs again what did not succeed, as a new run that keeps what did",
        body: { schema: "ResumeRequest", types: JSON_TYPE, required: false },
        answers: [{ status: 201, text: STARTED, schema: "ResumeReply" }],
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "POST",
      path: "/v1/runs/{ref}/rerun",
      role: "admin",
      handle: async (context) => started(await deck.rerun(runOf(deck, context).id)),
      description: {
        summary: "Runs the same document with the same params again, from its beginning",
        answers: [{ status: 201, text: STARTED, schema: "Run" }],
        problems: [404, 409, 422, 503],
      },
    },
    {
      method: "POST",
      path: "/v1/runs/{ref}/steps/{step}/approve",
      role: "admin",
      handle: async (context) => {
        const { id } = runOf(deck, context);
        const document = await readOptionalJson(context.req.raw);
        const { inputs, instance } = parseWith(approveRequest, document.value, { document });
        return await decide(deck, id, context, { approved: true, inputs: inputs ?? {}, instance, reason: null });
      },
      description: {
        summary: "Lets a step pass that waits for approval",
        body: { schema: "ApproveRequest", types: JSON_TYPE, required: false },
        answers: [{ status: 200, text: "it is durable; the run as it is now", schema: "Run" }],
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "POST",
      path: "/v1/runs/{ref}/steps/{step}/reject",
      role: "admin",
      handle: async (context) => {
        const { id } = runOf(deck, context);
        const document = await readOptionalJson(context.req.raw);
        const { reason, instance } = parseWith(rejectRequest, document.value, { document });
        return await decide(deck, id, context, { approved: false, inputs: {}, instance, reason: reason ?? null });
      },
      description: {
        summary: "Fails a step that waits for approval",
        body: { schema: "RejectRequest", types: JSON_TYPE, required: false },
        answers: [{ status: 200, text: "it is durable; the run as it is now", schema: "Run" }],
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
  ];
}

async function start(deck: DeckApi, request: Request): Promise<Response> {
  const key = idempotencyKey(request.headers);
  const document = await readJson(request);
  const given = parseWith(runRequest, document.value, { document });
  const reply = await deck.startRun({
    source: sourceOf(given),
    params: given.params ?? {},
    only: given.only ?? null,
    key,
  });
  if (reply.kind === "notFound" && typeof given.workflow === "string" && !deck.findWorkflow(given.workflow)) {
    throw notFound(unknownWorkflow(deck, given.workflow));
  }
  return started(reply);
}

function sourceOf(
  { workflow, included, version }: RunRequest,
): WorkflowSource | { readonly name: string; readonly version?: number } {
  if (typeof workflow === "string") {
    if (included) throw refuseDocument([{ pointer: "/included", detail: "belongs to a document; this is a name" }]);
    return version === undefined ? { name: workflow } : { name: workflow, version };
  }
  if (version !== undefined) {
    throw refuseDocument([{ pointer: "/version", detail: "belongs to a registered workflow; this is a document" }]);
  }
  return included ? { workflow, included } : { workflow };
}

function started(
  reply: StartReply | { readonly kind: "started"; readonly run: ResumeReply },
): Response {
  switch (reply.kind) {
    case "started":
      return jsonResponse(reply.run, 201, { location: `/v1/runs/${encodeURIComponent(reply.run.id)}` });
    case "invalid":
      throw invalidSource(reply);
    case "notFound":
      throw notFound(reply.message);
    case "conflict":
      throw new Refusal(409, "conflict", reply.message);
    case "unavailable":
      throw unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

function listRuns(deck: DeckApi, context: EdgeContext): Response {
  const query = readQuery(context.req.raw.url, runListQuery);
  const page = deck.listRuns(
    {
      ...(query.workflow === undefined ? {} : { workflow: query.workflow }),
      ...(query.state ? { states: query.state } : {}),
    },
    query.limit,
    query.cursor ?? null,
  );
  if (!page) throw badCursor();
  return jsonResponse({ runs: page.items, next: page.next });
}

async function decide(
  deck: DeckApi,
  runId: string,
  context: EdgeContext,
  decision: {
    readonly approved: boolean;
    readonly inputs: Readonly<Record<string, string | number | boolean>>;
    readonly instance: number | undefined;
    readonly reason: string | null;
  },
): Promise<Response> {
  const step = context.req.param("step") ?? "";
  const { approved, inputs, reason } = decision;
  const instance = decision.instance ?? null;
  const reply = await deck.decideApproval({ runId, step, instance, approved, inputs, reason });
  if (reply.kind === "invalid") throw invalidSource(reply);
  if (reply.kind === "notFound") throw notFound(unknownStep(deck, runId, step) ?? reply.message);
  accepted(reply);
  return runNow(deck, runId);
}

function unknownStep(deck: DeckApi, runId: string, step: string): string | undefined {
  const found = deck.findRun(runId);
  if (found.kind !== "found" || Object.hasOwn(found.value.steps, step)) return undefined;
  const meant = didYouMean(step, Object.keys(found.value.steps));
  return `run ${runId} has no step "${step.slice(0, 64)}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

function runNow(deck: DeckApi, id: string): Response {
  return jsonResponse(foundOr(deck.findRun(id), "run", id));
}

function runOf(deck: DeckApi, context: EdgeContext): RunView {
  const reference = context.req.param("ref") ?? "";
  const found = deck.findRun(reference);
  if (found.kind === "none") throw notFound(unknownRun(deck, reference));
  return foundOr(found, "run", reference);
}

/** People ask for the newest run by the workflow's name. */
function unknownRun(deck: DeckApi, reference: string): string {
  const registered = deck.listWorkflows().map(({ name }) => name);
  if (registered.includes(reference)) return `workflow ${reference} has not run yet`;
  const ran = deck.listRuns({}, RECENT_RUNS, null)?.items ?? [];
  const meant = didYouMean(reference, [...new Set([...registered, ...ran.flatMap((run) => [run.workflow, run.id])])]);
  return `there is no run "${reference.slice(0, 255)}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

const RECENT_RUNS = 100;
