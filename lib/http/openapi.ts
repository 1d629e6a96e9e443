/**
 * The OpenAPI 3.1 document, made from the routes' descriptions and the zod schemas. Owns the schemas' public names. Documents
 * are described as users write them (before parsing), so the schema and the parser cannot differ.
 */
import { z } from "zod";
import { serviceDocument } from "../core/documents/service.ts";
import { taskDocument } from "../core/documents/task.ts";
import * as api from "../messages/api.ts";
import * as services from "../messages/service_api.ts";
import * as runs from "../messages/run_api.ts";
import { execClientMessage, execEndMessage } from "./exec.ts";
import type { Route, RouteDescription } from "./edge.ts";

const logLine = z.object({ stream: z.enum(["stdout", "stderr"]), text: z.string() });

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  TaskDocument: taskDocument,
  SubmitRequest: api.submitRequest,
  SubmitReply: z.union([api.taskView, api.submitBatchReply]),
  SubmitBatchReply: api.submitBatchReply,
  StopRequest: api.stopRequest,
  Task: api.taskView,
  TaskDetail: api.taskDetailView,
  TaskList: api.taskList,
  Attempt: api.attemptView,
  Port: api.portView,
  Node: api.nodeView,
  NodeList: api.nodeList,
  Event: api.eventView,
  EventList: api.eventList,
  DeckInfo: api.deckInfo,
  WorkflowSource: runs.workflowSource,
  Workflow: runs.workflowView,
  WorkflowApplied: runs.workflowApplied,
  WorkflowDetail: runs.workflowDetailView,
  WorkflowList: runs.workflowList,
  RunRequest: runs.runRequest,
  Run: runs.runView,
  RunSummary: runs.runSummary,
  RunList: runs.runList,
  RunStep: runs.stepView,
  RunStepInstance: runs.stepInstanceView,
  ApproveRequest: runs.approveRequest,
  RejectRequest: runs.rejectRequest,
  CancelRequest: runs.cancelRequest,
  ResumeRequest: runs.resumeRequest,
  ResumeReply: runs.resumeReply,
  ServiceDocument: serviceDocument,
  Service: services.serviceView,
  ServiceDetail: services.serviceDetailView,
  ServiceList: services.serviceList,
  ServiceApplied: services.serviceApplied,
  ServicePlan: services.servicePlan,
  ServiceHistory: services.serviceHistory,
  Replica: services.replicaView,
  Revision: services.revisionView,
  Rollout: services.rolloutView,
  RolloutList: services.rolloutList,
  AddressList: services.addressList,
  ScaleRequest: services.scaleRequest,
  RollbackRequest: services.rollbackRequest,
  Secret: api.secretView,
  SecretList: api.secretList,
  SecretRequest: api.secretRequest,
  TokenCreateRequest: api.tokenCreateRequest,
  TokenCreated: api.tokenCreated,
  TokenList: api.tokenList,
  LogLine: logLine,
  ExecRequest: api.execRequestBody,
  ExecClientMessage: execClientMessage,
  ExecEndMessage: execEndMessage,
  Problem: api.problem,
};

type Json = Record<string, unknown>;

/** `version` is the program's. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const { method, path, description } of routes) {
    if (!description) continue;
    (paths[path] ??= {})[method.toLowerCase()] = operation(method, path, description);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Ormen",
      version,
      description: "The deck's API. Errors are problem documents (RFC 9457).",
    },
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(method: string, path: string, description: RouteDescription): Json {
  const { summary, body, problems } = description;
  const answers: Record<string, { description: string; content?: Json }> = {};
  for (const { status, text, schema, types } of description.answers) {
    const known = answers[status];
    const media = types ?? (schema ? ["application/json"] : []);
    const content = Object.fromEntries(media.map((type) => [type, {
      schema: schema && type !== "text/plain" ? reference(schema) : { type: "string" },
    }]));
    answers[status] = {
      description: known ? `${known.description}; or ${text}` : text,
      ...(media.length > 0 || known?.content ? { content: { ...known?.content, ...content } } : {}),
    };
  }
  for (const status of problems) {
    answers[status] = {
      description: "refused",
      content: { "application/problem+json": { schema: reference("Problem") } },
    };
  }
  return {
    operationId: operationId(method, path),
    summary,
    parameters: parametersOf(path, description),
    ...(body
      ? {
        requestBody: {
          required: body.required,
          content: Object.fromEntries(body.types.map((type) => [type, { schema: reference(body.schema) }])),
        },
      }
      : {}),
    responses: answers,
  };
}

function parametersOf(path: string, { query, headers }: RouteDescription): Json[] {
  const string = { type: "string" };
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    description: "an id, a name, or the beginning of an id",
    schema: string,
  }));
  const inHeaders = Object.entries(headers ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    description,
    schema: string,
  }));
  if (!query) return [...inPath, ...inHeaders];
  // Parameters are text on the wire and are described by what is read from it.
  const { properties } = z.toJSONSchema(query, { io: "output", unrepresentable: "any" });
  const inQuery = Object.entries(properties ?? {}).map(([name, schema]) => ({ name, in: "query", schema }));
  return [...inPath, ...inQuery, ...inHeaders];
}

/** `listTasks`-like names would need a table; method and path say the same and cannot clash. */
function operationId(method: string, path: string): string {
  const words = path.split("/").filter(Boolean).map((word) => word.replaceAll(/[{}]/g, "").replaceAll(".", "_"));
  return [method.toLowerCase(), ...words].join("_");
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function componentSchemas(): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: "input",
    unrepresentable: "any",
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $id: _id, $schema: _dialect, ...schema }]) => [id, schema as Json]),
  );
}
