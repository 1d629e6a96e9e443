/**
 * /v1/workflows: registering documents by name, their versions, pausing of schedules. Owns how problems of a workflow's
 * source are told over HTTP; what a document means is judged in the deck's core.
 */
import { didYouMean } from "../core/documents/issues.ts";
import type { DeckApi } from "../deck/api.ts";
import type { Invalid } from "../deck/workflow_api.ts";
import { applyRequest } from "../messages/run_api.ts";
import type { WorkflowDetailView } from "../messages/run_api.ts";
import { readJson } from "./body.ts";
import type { EdgeContext, Route } from "./edge.ts";
import { parseWith, pointerOf, refuseDocument } from "./issues.ts";
import { jsonResponse, notFound, Refusal, unavailable } from "./problems.ts";
import { readQuery, workflowSourceQuery } from "./query.ts";
import { accepted } from "./references.ts";

const JSON_TYPE = ["application/json"];

export function workflowRoutes(deck: DeckApi): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/workflows",
      role: "read",
      handle: () => jsonResponse({ workflows: deck.listWorkflows() }),
      description: {
        summary: "Lists the registered workflows",
        answers: [{ status: 200, text: "all of them", schema: "WorkflowList" }],
        problems: [],
      },
    },
    {
      method: "GET",
      path: "/v1/workflows/{name}",
      role: "read",
      handle: (context) => jsonResponse(workflowOf(deck, context)),
      description: {
        summary: "One workflow with its versions and last runs",
        answers: [{ status: 200, text: "the workflow", schema: "WorkflowDetail" }],
        problems: [404],
      },
    },
    {
      method: "PUT",
      path: "/v1/workflows/{name}",
      role: "admin",
      handle: (context) => apply(deck, context),
      description: {
        summary:
          "Registers a workflow under its document's name, or a new version of it; the same again changes nothing",
        body: { schema: "WorkflowSource", types: JSON_TYPE, required: true },
        answers: [
          { status: 201, text: "the workflow is new", schema: "WorkflowApplied" },
          { status: 200, text: "it has a new version, or is as it was", schema: "WorkflowApplied" },
        ],
        problems: [400, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "DELETE",
      path: "/v1/workflows/{name}",
      role: "admin",
      handle: async (context) => {
        accepted(await deck.removeWorkflow(workflowOf(deck, context).name));
        return new Response(null, { status: 204 });
      },
      description: {
        summary: "Forgets a workflow, its versions and its schedule; its runs go on and are kept",
        answers: [{ status: 204, text: "it is forgotten" }],
        problems: [404, 409, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/workflows/{name}/source",
      role: "read",
      handle: (context) => {
        const { version } = readQuery(context.req.raw.url, workflowSourceQuery);
        const { name } = workflowOf(deck, context);
        const source = deck.workflowSource(name, version);
        if (!source) throw notFound(`workflow ${name} has no version ${version ?? "any more"}`);
        return jsonResponse(source);
      },
      description: {
        summary: "The document of a version, and those that it includes",
        query: workflowSourceQuery,
        answers: [{ status: 200, text: "as it was sent", schema: "WorkflowSource" }],
        problems: [400, 404],
      },
    },
    change("pause", true, "Lets no slot of its schedule start a run until it is unpaused"),
    change("unpause", false, "Lets its schedule start runs again"),
  ];

  function change(verb: string, paused: boolean, summary: string): Route {
    return {
      method: "POST",
      path: `/v1/workflows/{name}/${verb}`,
      role: "admin",
      handle: async (context) => {
        const { name } = workflowOf(deck, context);
        accepted(await deck.pauseWorkflow(name, paused));
        return jsonResponse(findWorkflow(deck, name));
      },
      description: {
        summary,
        answers: [{ status: 200, text: "it is durable; the workflow as it is now", schema: "WorkflowDetail" }],
        problems: [404, 409, 503],
      },
    };
  }
}

async function apply(deck: DeckApi, context: EdgeContext): Promise<Response> {
  const name = context.req.param("name") ?? "";
  const document = await readJson(context.req.raw);
  const source = parseWith(applyRequest, document.value, { document });
  if (source.workflow.name !== name) {
    throw refuseDocument([{ pointer: "/workflow/name", detail: `must be "${name.slice(0, 128)}", as in the address` }]);
  }
  const reply = await deck.applyWorkflow(source);
  switch (reply.kind) {
    case "applied":
      return jsonResponse({ ...reply.workflow, change: reply.change }, reply.change === "created" ? 201 : 200);
    case "invalid":
      throw invalidSource(reply);
    case "conflict":
      throw new Refusal(409, "conflict", reply.message);
    case "unavailable":
      throw unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

function workflowOf(deck: DeckApi, context: EdgeContext): WorkflowDetailView {
  return findWorkflow(deck, context.req.param("name") ?? "");
}

function findWorkflow(deck: DeckApi, name: string): WorkflowDetailView {
  const found = deck.findWorkflow(name);
  if (!found) throw notFound(unknownWorkflow(deck, name));
  return found;
}

export function unknownWorkflow(deck: DeckApi, name: string): string {
  const meant = didYouMean(name, deck.listWorkflows().map((workflow) => workflow.name));
  return `there is no workflow "${name.slice(0, 128)}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

/** Pointers lead from the request's body: into the document, one that it includes, or what was given with it. */
export function invalidSource({ problems }: Invalid): Refusal {
  return refuseDocument(problems.map(({ included, path, rule, detail }) => {
    const root = rule === "given" ? [] : included === null ? ["workflow"] : ["included", included];
    return { pointer: pointerOf([...root, ...path]), detail };
  }));
}
