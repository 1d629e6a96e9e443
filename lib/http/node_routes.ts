/** /v1/nodes: lists, single nodes, and what an operator does with them. */
import type { CommandReply, DeckApi } from "../deck/api.ts";
import type { NodeView } from "../messages/api.ts";
import type { EdgeContext, Route } from "./edge.ts";
import { jsonResponse } from "./problems.ts";
import { nodeListQuery, readQuery } from "./query.ts";
import { accepted, badCursor, foundOr } from "./references.ts";

export function nodeRoutes(deck: DeckApi): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/nodes",
      role: "read",
      handle: (context) => {
        const query = readQuery(context.req.raw.url, nodeListQuery);
        const page = deck.listNodes(query.limit, query.cursor ?? null);
        if (!page) throw badCursor();
        return jsonResponse({ nodes: page.items, next: page.next });
      },
      description: {
        summary: "Lists nodes",
        query: nodeListQuery,
        answers: [{ status: 200, text: "a page", schema: "NodeList" }],
        problems: [400],
      },
    },
    {
      method: "GET",
      path: "/v1/nodes/{ref}",
      role: "read",
      handle: (context) => jsonResponse(nodeOf(deck, context)),
      description: {
        summary: "One node by id or name",
        answers: [{ status: 200, text: "the node", schema: "Node" }],
        problems: [404, 409],
      },
    },
    {
      method: "DELETE",
      path: "/v1/nodes/{ref}",
      role: "admin",
      handle: async (context) => {
        accepted(await deck.removeNode(nodeOf(deck, context).id));
        return new Response(null, { status: 204 });
      },
      description: {
        summary: "Forgets a node that is down or drained",
        answers: [{ status: 204, text: "it is forgotten" }],
        problems: [404, 409, 503],
      },
    },
    change("drain", "Moves a node's tasks away; it takes no new ones", (id) => deck.drain(id)),
    change("resume", "Lets a node take tasks again", (id) => deck.resume(id)),
  ];

  function change(verb: string, summary: string, command: (nodeId: string) => Promise<CommandReply>): Route {
    return {
      method: "POST",
      path: `/v1/nodes/{ref}/${verb}`,
      role: "admin",
      handle: async (context) => {
        const { id } = nodeOf(deck, context);
        accepted(await command(id));
        return jsonResponse(foundOr(deck.findNode(id), "node", id));
      },
      description: {
        summary,
        answers: [{ status: 200, text: "it is durable; the node as it is now", schema: "Node" }],
        problems: [404, 409, 503],
      },
    };
  }
}

function nodeOf(deck: DeckApi, context: EdgeContext): NodeView {
  const reference = context.req.param("ref") ?? "";
  return foundOr(deck.findNode(reference), "node", reference);
}
