/**
 * /v1/services and /v1/rollouts: applying documents, what becomes of them, and where services answer. Owns how they are told
 * over HTTP; what a document means is judged by its schema, what follows from it in the deck's core.
 */
import type { Clock } from "../contracts/clock.ts";
import { didYouMean } from "../core/documents/issues.ts";
import { serviceDocument } from "../core/documents/service.ts";
import type { ServiceSpec } from "../core/documents/service.ts";
import type { RolloutVerb, ServiceApi, ServiceChangeReply } from "../deck/service_api.ts";
import { rollbackRequest, scaleRequest } from "../messages/service_api.ts";
import type { RolloutView, ServiceDetailView } from "../messages/service_api.ts";
import { addressStream } from "./address_stream.ts";
import { BODY_BYTES_MAX, readDocument, readJson, readOptionalJson } from "./body.ts";
import type { EdgeContext, Route, RouteDescription } from "./edge.ts";
import { parseWith } from "./issues.ts";
import { jsonResponse, notFound } from "./problems.ts";
import { readQuery, rolloutListQuery } from "./query.ts";
import { accepted, refusalOf } from "./references.ts";

const DOCUMENT_TYPES = ["application/json", "application/yaml", "text/yaml"];
const EVENT_STREAM = "text/event-stream";
const CHANGE_PROBLEMS = [400, 404, 408, 409, 413, 415, 422, 503] as const;

export function serviceRoutes(deck: ServiceApi, clock: Clock): Route[] {
  const named = (context: EdgeContext) => serviceOf(deck, context.req.param("name") ?? "");
  return [
    {
      method: "GET",
      path: "/v1/services",
      role: "read",
      handle: () => jsonResponse({ services: deck.listServices() }),
      description: {
        summary: "Lists the services",
        answers: [{ status: 200, text: "all of them, by name", schema: "ServiceList" }],
        problems: [],
      },
    },
    {
      method: "POST",
      path: "/v1/services",
      role: "admin",
      handle: async (context) => {
        const reply = await deck.applyService(await documentOf(context));
        return applied(reply, (change) => change === "created" ? 201 : 200);
      },
      description: {
        summary: "Makes a service, or rolls out what is new in its document; the same again changes nothing",
        body: { schema: "ServiceDocument", types: DOCUMENT_TYPES, required: true },
        answers: [
          { status: 201, text: "the service is new", schema: "ServiceApplied" },
          { status: 200, text: "it has changed, or is as it was", schema: "ServiceApplied" },
        ],
        problems: [400, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "POST",
      path: "/v1/services/plan",
      role: "read",
      handle: async (context) => jsonResponse(deck.planService(await documentOf(context))),
      description: {
        summary: "What applying a document would change; nothing is changed",
        body: { schema: "ServiceDocument", types: DOCUMENT_TYPES, required: true },
        answers: [{ status: 200, text: "the plan", schema: "ServicePlan" }],
        problems: [400, 408, 413, 415, 422],
      },
    },
    {
      method: "GET",
      path: "/v1/services/{name}",
      role: "read",
      handle: (context) => jsonResponse(named(context)),
      description: {
        summary: "One service with its replicas",
        answers: [{ status: 200, text: "the service", schema: "ServiceDetail" }],
        problems: [404],
      },
    },
    {
      method: "DELETE",
      path: "/v1/services/{name}",
      role: "admin",
      handle: async (context) => {
        accepted(await deck.removeService(named(context).name));
        return new Response(null, { status: 202 });
      },
      description: {
        summary: "Stops all replicas, then forgets the service",
        answers: [{ status: 202, text: "it is durable that it goes" }],
        problems: [404, 503],
      },
    },
    change("scale", "Changes how many replicas there are", "ScaleRequest", async (name, context) => {
      const document = await readJson(context.req.raw);
      return await deck.scaleService(name, parseWith(scaleRequest, document.value, { document }).replicas);
    }),
    change("rollback", "Goes back to an earlier revision", "RollbackRequest", async (name, context) => {
      const document = await readOptionalJson(context.req.raw);
      return await deck.rollbackService(name, parseWith(rollbackRequest, document.value, { document }).to ?? null);
    }),
    change("restart", "Replaces every replica by one that is the same, as an update would", null, (name) => {
      return deck.restartService(name);
    }),
    {
      method: "GET",
      path: "/v1/services/{name}/history",
      role: "read",
      handle: (context) => jsonResponse(deck.serviceHistory(named(context).name)!),
      description: {
        summary: "The revisions and rollouts that are kept, newest first",
        answers: [{ status: 200, text: "the history", schema: "ServiceHistory" }],
        problems: [404],
      },
    },
    {
      method: "GET",
      path: "/v1/services/{name}/addresses",
      role: "read",
      long: true,
      handle: (context) => addresses(deck, clock, named(context).name, context),
      description: {
        summary: "Where healthy replicas answer; with Accept: text/event-stream the list now and after each change",
        answers: [
          { status: 200, text: "the list", schema: "AddressList" },
          { status: 200, text: "the stream; data is one AddressList", schema: "AddressList", types: [EVENT_STREAM] },
        ],
        problems: [404],
      },
    },
    {
      method: "GET",
      path: "/v1/rollouts",
      role: "read",
      handle: (context) => {
        const { service } = readQuery(context.req.raw.url, rolloutListQuery);
        if (service !== undefined) serviceOf(deck, service);
        return jsonResponse({ rollouts: deck.listRollouts(service ?? null) });
      },
      description: {
        summary: "The newest rollout of each service, or those of one that are kept",
        query: rolloutListQuery,
        answers: [{ status: 200, text: "the rollouts", schema: "RolloutList" }],
        problems: [400, 404],
      },
    },
    {
      method: "GET",
      path: "/v1/services/{name}/rollouts",
      role: "read",
      handle: (context) => jsonResponse({ rollouts: deck.listRollouts(named(context).name) }),
      description: {
        summary: "The rollouts of a service that are kept, newest first",
        answers: [{ status: 200, text: "the rollouts", schema: "RolloutList" }],
        problems: [404],
      },
    },
    {
      method: "GET",
      path: "/v1/services/{name}/rollouts/{number}",
      role: "read",
      handle: (context) => jsonResponse(rolloutOf(deck, named(context).name, context.req.param("number") ?? "")),
      description: {
        summary: "One rollout by its number, or `latest`",
        answers: [{ status: 200, text: "the rollout", schema: "Rollout" }],
        problems: [404],
      },
    },
    ...(["pause", "resume", "promote", "abort"] as const).map(steer),
  ];

  function change(
    verb: string,
    summary: string,
    schema: string | null,
    ask: (name: string, context: EdgeContext) => Promise<ServiceChangeReply>,
  ): Route {
    const body: RouteDescription["body"] = schema === null
      ? undefined
      : { schema, types: ["application/json"], required: verb === "scale" };
    return {
      method: "POST",
      path: `/v1/services/{name}/${verb}`,
      role: "admin",
      handle: async (context) => applied(await ask(named(context).name, context), () => 200),
      description: {
        summary,
        ...(body ? { body } : {}),
        answers: [{ status: 200, text: "it is durable; the service as it is now", schema: "ServiceApplied" }],
        problems: schema === null ? [404, 409, 503] : [...CHANGE_PROBLEMS],
      },
    };
  }

  function steer(verb: RolloutVerb): Route {
    return {
      method: "POST",
      path: `/v1/services/{name}/rollouts/latest/${verb}`,
      role: "admin",
      handle: async (context) => {
        const { name } = named(context);
        accepted(await deck.changeRollout(name, verb));
        return jsonResponse(rolloutOf(deck, name, "latest"));
      },
      description: {
        summary: `${verb[0].toUpperCase()}${verb.slice(1)}s the rollout that is under way`,
        answers: [{ status: 200, text: "it is durable; the newest rollout as it is now", schema: "Rollout" }],
        problems: [404, 409, 503],
      },
    };
  }
}

async function documentOf(context: EdgeContext): Promise<ServiceSpec> {
  const document = await readDocument(context.req.raw, { jsonBytesMax: BODY_BYTES_MAX });
  return parseWith(serviceDocument, document.value, { document });
}

function applied(
  reply: ServiceChangeReply,
  status: (change: Extract<ServiceChangeReply, { kind: "applied" }>["applied"]["change"]) => number,
): Response {
  if (reply.kind !== "applied") throw refusalOf(reply);
  return jsonResponse(reply.applied, status(reply.applied.change));
}

function serviceOf(deck: ServiceApi, name: string): ServiceDetailView {
  const found = deck.findService(name);
  if (found) return found;
  const meant = didYouMean(name, deck.listServices().map((service) => service.name));
  throw notFound(
    `there is no service "${name.slice(0, 128)}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
  );
}

function rolloutOf(deck: ServiceApi, service: string, text: string): RolloutView {
  const number = text === "latest" ? null : /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  const found = number === undefined ? undefined : deck.findRollout(service, number);
  if (!found) throw notFound(`service ${service} has no rollout "${text.slice(0, 32)}" (any more)`);
  return found;
}

function addresses(deck: ServiceApi, clock: Clock, name: string, context: EdgeContext): Response {
  const request = context.req.raw;
  if (!request.headers.get("accept")?.includes(EVENT_STREAM)) return jsonResponse(deck.serviceAddresses(name)!);
  const headers = { "content-type": EVENT_STREAM, "cache-control": "no-store", "x-accel-buffering": "no" };
  if (request.method === "HEAD") return new Response(null, { headers });
  return new Response(addressStream(deck, clock, name), { headers });
}
