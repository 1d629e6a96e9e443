/** The original manager's routes, for clients written for it. */
import type { Clock } from "../../contracts/clock.ts";
import type { CommandReply, DeckApi, SubmitReply } from "../../deck/api.ts";
import type { EdgeContext, Route } from "../edge.ts";
import { goJsonAnswer, goJsonListAnswer } from "./answers.ts";
import { stopAnswer, takeEvent, taskIdOf } from "./event_body.ts";
import type { EventOutcome } from "./event_body.ts";
import { renderDeckTask, renderNode } from "./render.ts";

export function originalDeckRoutes(deck: DeckApi, clock: Clock): Route[] {
  const act = {
    submit: async (task: Parameters<DeckApi["submit"]>[0]) => submitted(await deck.submit(task)),
    stop: async (taskId: string) => stopped(await deck.stop(taskId, null)),
  };
  const post = (context: EdgeContext) => takeEvent(context.req.raw, act);
  const list = () => goJsonListAnswer(rendered(deck), clock);
  return [
    { method: "POST", path: "/tasks", role: "admin", handle: post },
    { method: "GET", path: "/tasks", role: "read", handle: list },
    // The original's router does not tell them apart.
    { method: "POST", path: "/tasks/", role: "admin", handle: post },
    { method: "GET", path: "/tasks/", role: "read", handle: list },
    {
      method: "DELETE",
      path: "/tasks/{id}",
      role: "admin",
      handle: (context) => remove(deck, context.req.param("id") ?? ""),
    },
    { method: "GET", path: "/nodes", role: "read", handle: () => goJsonAnswer(deck.originalNodes().map(renderNode)) },
  ];
}

function* rendered(deck: DeckApi): Generator<Record<string, unknown>> {
  for (const task of deck.originalTasks()) yield renderDeckTask(task);
}

function submitted(reply: SubmitReply): EventOutcome {
  return reply.kind === "accepted" ? { kind: "accepted", id: reply.sail.id } : reply;
}

function stopped(reply: CommandReply): EventOutcome {
  return reply.kind === "done" ? { kind: "stopped" } : reply;
}

async function remove(deck: DeckApi, text: string): Promise<Response> {
  const parsed = taskIdOf(text);
  if ("answer" in parsed) return parsed.answer;
  const reply = await deck.stop(parsed.id, null);
  return stopAnswer(reply);
}
