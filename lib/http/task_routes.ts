/** /v1/tasks: lists, single tasks, stopping, output and exec. Reads are answered from what the deck has committed. */
import { stopRequest } from "../messages/api.ts";
import type { TaskDetailView } from "../messages/api.ts";
import { parseDuration } from "../core/documents/units.ts";
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { DeckApi } from "../deck/api.ts";
import { readOptionalJson } from "./body.ts";
import { upgradeWith } from "./edge.ts";
import type { EdgeContext, Route, RouteDescription, Upgrade } from "./edge.ts";
import { serveExec } from "./exec.ts";
import { parseWith, refuseDocument } from "./issues.ts";
import { logsAnswer } from "./logs.ts";
import { jsonResponse, notFound, Refusal, unavailable } from "./problems.ts";
import { logsQuery, readQuery, taskListQuery } from "./query.ts";
import { badCursor, foundOr } from "./references.ts";
import { submit } from "./submit.ts";

const GRACE_MS_MAX = 86_400_000;
const DOCUMENT_TYPES = ["application/json", "application/yaml", "text/yaml"];
const KEY_HEADER = {
  "Idempotency-Key": "the same key and body again completes or repeats the answer; another body is refused (409)",
};

export function taskRoutes(options: {
  readonly deck: DeckApi;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly upgrade: Upgrade;
}): Route[] {
  const { deck, clock, logger, upgrade } = options;
  const stop = async (context: EdgeContext) => {
    const task = taskOf(deck, context);
    const document = await readOptionalJson(context.req.raw);
    return stopTask(deck, task.id, graceOf(parseWith(stopRequest, document.value, { document }).grace));
  };
  return [
    {
      method: "POST",
      path: "/v1/tasks",
      role: "admin",
      handle: (context) => submit(deck, clock, context.req.raw),
      description: {
        summary: "Starts a task, or a batch of at most 10,000",
        headers: KEY_HEADER,
        body: { schema: "SubmitRequest", types: DOCUMENT_TYPES, required: true },
        answers: [
          { status: 201, text: "the task, or of a batch all tasks were accepted", schema: "SubmitReply" },
          { status: 200, text: "of a batch some tasks were not accepted", schema: "SubmitBatchReply" },
        ],
        problems: [400, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/tasks",
      role: "read",
      handle: (context) => listTasks(deck, context),
      description: {
        summary: "Lists tasks, newest last",
        query: taskListQuery,
        answers: [{ status: 200, text: "a page", schema: "TaskList" }],
        problems: [400],
      },
    },
    {
      method: "GET",
      path: "/v1/tasks/{ref}",
      role: "read",
      handle: (context) => jsonResponse(taskOf(deck, context)),
      description: {
        summary: "One task by id, name, or the beginning of an id",
        answers: [{ status: 200, text: "the task", schema: "TaskDetail" }],
        problems: [404, 409],
      },
    },
    {
      method: "DELETE",
      path: "/v1/tasks/{ref}",
      role: "admin",
      handle: (context) => stopTask(deck, taskOf(deck, context).id, null),
      description: { ...STOP_DESCRIPTION, summary: "Stops a task; its record stays for a while" },
    },
    {
      method: "POST",
      path: "/v1/tasks/{ref}/stop",
      role: "admin",
      handle: stop,
      description: {
        ...STOP_DESCRIPTION,
        body: { schema: "StopRequest", types: ["application/json"], required: false },
        problems: [400, 404, 408, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/tasks/{ref}/logs",
      role: "read",
      long: true,
      handle: (context) => {
        const task = taskOf(deck, context);
        const query = readQuery(context.req.raw.url, logsQuery);
        return logsAnswer(deck, clock, task.id, query, context.req.raw);
      },
      description: {
        summary: "A task's output, also after it has ended; streamed",
        query: logsQuery,
        answers: [{
          status: 200,
          text: "the output",
          schema: "LogLine",
          types: ["text/plain", "application/x-ndjson"],
        }],
        problems: [400, 404, 409, 502, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/tasks/{ref}/exec",
      role: "admin",
      handle: (context) => {
        const task = taskOf(deck, context);
        return upgradeWith(context, upgrade, (link) => serveExec({ deck, clock, logger, link, taskId: task.id }));
      },
      description: {
        summary: "Runs a command in the task's container (WebSocket). The first text frame is an ExecRequest; binary " +
          "frames begin with 0 stdin, 1 stdout or 2 stderr; later text frames are ExecClientMessage, the last one from " +
          "the deck is ExecEndMessage",
        answers: [{ status: 101, text: "the socket" }],
        problems: [404, 409, 426],
      },
    },
  ];
}

const STOP_DESCRIPTION: RouteDescription = {
  summary: "Stops a task",
  answers: [{ status: 200, text: "the stop is durable; the task as it is now", schema: "Task" }],
  problems: [404, 409, 503],
};

function listTasks(deck: DeckApi, context: EdgeContext): Response {
  const query = readQuery(context.req.raw.url, taskListQuery);
  const labels = query.label?.map((pair): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  const page = deck.listTasks(
    {
      ...(query.state ? { states: query.state } : {}),
      ...(query.node === undefined ? {} : { node: query.node }),
      ...(labels ? { labels: Object.fromEntries(labels) } : {}),
      ...(query.live ? { live: true } : {}),
    },
    query.limit,
    query.cursor ?? null,
  );
  if (!page) throw badCursor();
  return jsonResponse({ tasks: page.items, next: page.next });
}

async function stopTask(deck: DeckApi, taskId: string, graceMs: number | null): Promise<Response> {
  const reply = await deck.stop(taskId, graceMs);
  switch (reply.kind) {
    case "done": {
      const task = deck.summaryOf(taskId);
      if (!task) throw notFound(`there is no task ${taskId} any more`);
      return jsonResponse(task);
    }
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

function graceOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= GRACE_MS_MAX) return ms;
  throw refuseDocument([{
    pointer: "/grace",
    detail: `not a duration of at most 1d: "${text.slice(0, 64)}"; write 10s`,
  }]);
}

function taskOf(deck: DeckApi, context: EdgeContext): TaskDetailView {
  const reference = context.req.param("ref") ?? "";
  return foundOr(deck.findTask(reference), "task", reference);
}
