/** The original worker's routes: tasks given to this sailor directly, and what runs on it. */
import type { EdgeContext, Route } from "../edge.ts";
import type { LocalTask, SailorApi } from "../sailor_api.ts";
import { emptyAnswer, goJsonAnswer } from "./answers.ts";
import { stopAnswer, takeEvent, taskIdOf } from "./event_body.ts";
import type { EventOutcome } from "./event_body.ts";
import { renderSailorTask, renderStats } from "./render.ts";

export function originalSailorRoutes(sailor: SailorApi): Route[] {
  const act = {
    submit: (task: LocalTask): Promise<EventOutcome> => sailor.localSubmit(task),
    async stop(taskId: string): Promise<EventOutcome> {
      const reply = await sailor.localStop(taskId);
      return reply.kind === "done" ? { kind: "stopped" } : reply;
    },
  };
  const post = (context: EdgeContext) => takeEvent(context.req.raw, act);
  const list = () => goJsonAnswer(Array.from(sailor.tasks(), renderSailorTask));
  return [
    { method: "POST", path: "/tasks", role: "admin", handle: post },
    { method: "GET", path: "/tasks", role: "read", handle: list },
    // The original's router does not tell them apart.
    { method: "POST", path: "/tasks/", role: "admin", handle: post },
    { method: "GET", path: "/tasks/", role: "read", handle: list },
    {
      method: "GET",
      path: "/tasks/{id}",
      role: "read",
      handle: (context) => inspect(sailor, context.req.param("id") ?? ""),
    },
    {
      method: "DELETE",
      path: "/tasks/{id}",
      role: "admin",
      handle: (context) => remove(sailor, context.req.param("id") ?? ""),
    },
    {
      method: "GET",
      path: "/stats",
      role: "read",
      handle: async () => goJsonAnswer(renderStats(await sailor.stats())),
    },
  ];
}

async function inspect(sailor: SailorApi, text: string): Promise<Response> {
  const parsed = taskIdOf(text);
  if ("answer" in parsed) return parsed.answer;
  const document = await sailor.inspectRaw(parsed.id);
  return document === undefined ? emptyAnswer(404) : goJsonAnswer(document);
}

async function remove(sailor: SailorApi, text: string): Promise<Response> {
  const parsed = taskIdOf(text);
  if ("answer" in parsed) return parsed.answer;
  const reply = await sailor.localStop(parsed.id);
  return stopAnswer(reply);
}
