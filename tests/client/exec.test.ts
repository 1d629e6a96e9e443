import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import { problem, scriptedDeck } from "./scripted_deck.ts";

type OnFrame = (frame: string | Uint8Array, socket: WebSocket) => void;

/** A deck with one task, whose exec socket a test answers frame by frame. */
export function execDeck(onFrame: OnFrame) {
  return scriptedDeck(({ path }, request) => {
    if (path === "/v1/tasks/web") return Response.json({ id: "id-1" });
    if (path !== "/v1/tasks/id-1/exec") return undefined;
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => onFrame(typeof data === "string" ? data : new Uint8Array(data), socket);
    return response;
  });
}

const frame = (kind: number, text: string) => new Uint8Array([kind, ...new TextEncoder().encode(text)]);
const end = (socket: WebSocket, exitCode: number) => socket.send(JSON.stringify({ kind: "end", exitCode }));

Deno.test("exec() passes input, sizes and output, and the exit code", async () => {
  const frames: string[] = [];
  await using deck = execDeck((data, socket) => {
    frames.push(typeof data === "string" ? data : `${data[0]}:${new TextDecoder().decode(data.subarray(1))}`);
    if (typeof data !== "string" || !data.includes("closeStdin")) return;
    socket.send(frame(1, "out"));
    socket.send(frame(2, "err"));
    end(socket, 3);
  });
  const session = await connect(deck.address, { token: "secret" }).exec("web", {
    command: ["cat"],
    tty: false,
    stdin: true,
  });
  await session.write(new TextEncoder().encode("hello"));
  session.resize(80, 24);
  session.closeStdin();
  const output: string[] = [];
  for await (const { stream, data } of session.output) output.push(`${stream} ${new TextDecoder().decode(data)}`);
  assert.deepEqual(output, ["stdout out", "stderr err"]);
  assert.equal(await session.exitCode, 3);
  assert.deepEqual(frames, [
    '{"command":["cat"],"tty":false,"stdin":true}',
    "0:hello",
    '{"kind":"resize","columns":80,"rows":24}',
    '{"kind":"closeStdin"}',
  ]);
  assert.equal(deck.asked[1].headers.get("authorization"), "Bearer secret");
});

Deno.test("exec() throws what the deck says went wrong", async () => {
  await using deck = execDeck((_data, socket) =>
    socket.send(JSON.stringify({ kind: "error", message: "no such file: sh" }))
  );
  const session = await connect(deck.address).exec("web", { command: ["sh"], tty: false, stdin: false });
  await assert.rejects(session.exitCode, { code: "execFailed", message: "no such file: sh" });
  await assert.rejects(Array.fromAsync(session.output), { message: "no such file: sh" });
});

Deno.test("exec() notices that the connection broke", async () => {
  await using deck = execDeck((_data, socket) => socket.close(1001, "deck is stopping"));
  const session = await connect(deck.address).exec("web", { command: ["sh"], tty: false, stdin: false });
  await assert.rejects(session.exitCode, { code: "interrupted", message: /deck is stopping/ });
});

Deno.test("exec() says why a task cannot be had", async () => {
  await using deck = scriptedDeck(() => problem(404, "notFound", 'there is no task "web"'));
  const request = { command: ["sh"], tty: false, stdin: false };
  await assert.rejects(connect(deck.address).exec("web", request), { message: 'there is no task "web"' });
});
