/** A deck that says what a test makes it say, at a true port: for what happens between a sailor's process and a deck. */
import { linkOf } from "../../lib/adapters/web_socket_link.ts";
import { FRAME_BYTES_MAX, SESSION_PATH } from "../../lib/messages/session.ts";
import type { Assignment, AttemptReport } from "../../lib/messages/session.ts";
import { eventually } from "../fixtures/eventually.ts";
import { ScriptedDeck } from "../sailor/support/rig.ts";

export interface SocketDeck {
  readonly port: number;
  /** The next sailor that dials in and says hello, after those that came before. */
  next(acknowledges: boolean): Promise<ScriptedDeck>;
  close(): Promise<void>;
}

export function openSocketDeck(): SocketDeck {
  const waiting: WebSocket[] = [];
  const open = new Set<WebSocket>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    if (new URL(request.url).pathname !== SESSION_PATH) return new Response(null, { status: 503 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    open.add(socket);
    waiting.push(socket);
    return response;
  });
  return {
    port: server.addr.port,
    async next(acknowledges) {
      const socket = await eventually("a sailor dials", () => waiting.shift());
      const deck = new ScriptedDeck(acknowledges);
      const link = linkOf(socket, FRAME_BYTES_MAX);
      deck.pair.near.onFrame((frame) => link.send(frame as string));
      deck.pair.near.onClose((reason) => link.close(reason));
      link.onFrame((frame) => deck.pair.near.send(frame as string));
      link.onClose((reason) => deck.pair.near.close(reason));
      await eventually("it says hello", () => deck.messages.some((message) => message.kind === "hello"));
      return deck;
    },
    async close() {
      for (const socket of open) socket.close();
      await server.shutdown();
    },
  };
}

/** The end that was told of each, with what it left behind. */
export async function endsOf(
  deck: ScriptedDeck,
  assignments: readonly Assignment[],
): Promise<Record<string, AttemptReport>> {
  const found: Record<string, AttemptReport> = {};
  for (const { sailId } of assignments) {
    found[sailId] = await eventually(
      `${sailId} has ended`,
      () => deck.reports(sailId).findLast((report) => report.cause !== null),
      60_000,
    );
  }
  return found;
}
