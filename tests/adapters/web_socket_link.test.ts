import assert from "node:assert/strict";
import { createDialer, linkOf } from "../../lib/adapters/web_socket_link.ts";
import type { Link } from "../../lib/contracts/link.ts";
import { FRAME_BYTES_MAX } from "../../lib/messages/session.ts";
import { within } from "../session/support.ts";

/** Off by default, and what these tests are about. */
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true });

interface Server extends AsyncDisposable {
  readonly url: string;
  /** The link of the next connection, taken before its socket is open. */
  next(): Promise<Link>;
  readonly tokens: (string | null)[];
}

function serve(frameBytesMax = FRAME_BYTES_MAX, onLink: (link: Link) => void = () => {}): Server {
  const links: Link[] = [];
  const wanted: ((link: Link) => void)[] = [];
  const tokens: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    tokens.push(request.headers.get("authorization"));
    if (new URL(request.url).pathname === "/closed") return new Response("no", { status: 401 });
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    const link = linkOf(socket, frameBytesMax);
    onLink(link);
    const take = wanted.shift();
    if (take) take(link);
    else links.push(link);
    return response;
  });
  return {
    url: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`,
    tokens,
    next: () => {
      const link = links.shift();
      return within("a connection", link ? Promise.resolve(link) : new Promise((resolve) => wanted.push(resolve)));
    },
    [Symbol.asyncDispose]: () => within("the server's end", server.shutdown()),
  };
}

const closing = (link: Link) => within("a close", new Promise<string>((resolve) => link.onClose(resolve)));

/** Closes from one end and waits for both, so that no socket outlives the test. */
async function closeBoth(near: Link, far: Link): Promise<void> {
  const both = Promise.all([closing(near), closing(far)]);
  near.close("done");
  await both;
}

test("linkOf() carries text and bytes both ways, in order, keeping what came early", async () => {
  // Sent before the socket is open.
  await using server = serve(FRAME_BYTES_MAX, (link) => link.send("welcome"));
  const near = await createDialer(FRAME_BYTES_MAX).dial(server.url, { token: "t" });
  const far = await server.next();
  near.send("one");
  near.send(new Uint8Array([2, 3]));
  near.send("last");
  const { promise, resolve } = Promise.withResolvers<void>();
  const received: unknown[] = [];
  far.onFrame((frame) => {
    received.push(frame);
    if (frame === "last") resolve();
  });
  await within("the frames", promise);
  assert.deepEqual(received, ["one", new Uint8Array([2, 3]), "last"]);
  const welcomed = await within("the early frame", new Promise((resolve) => near.onFrame(resolve)));
  assert.equal(welcomed, "welcome");
  assert.deepEqual(server.tokens, ["Bearer t"]);
  await closeBoth(near, far);
});

test("linkOf() tells both ends the reason of a close, once each", async () => {
  await using server = serve();
  const near = await createDialer(FRAME_BYTES_MAX).dial(server.url, {});
  const far = await server.next();
  const told: string[] = [];
  const both = new Promise<void>((resolve) => {
    const tell = (end: string) => (reason: string) => {
      told.push(`${end}: ${reason}`);
      if (told.length === 2) resolve();
    };
    near.onClose(tell("near"));
    far.onClose(tell("far"));
  });
  near.close("the session is over, says Łucja");
  near.close("again");
  far.close("me too");
  near.send("too late");
  await within("both closes", both);
  far.close("once more");
  assert.equal(told.length, 2);
  assert.ok(told.includes("near: the session is over, says Łucja"));
  assert.equal(await closing(near), "the session is over, says Łucja");
  assert.deepEqual(server.tokens, [null]);
});

test("linkOf() closes on a frame that is too large, sent or received", async () => {
  await using server = serve(1000);
  for (
    const [senderMax, text] of [[1000, /2000 bytes is too large to send/], [5000, /2000 bytes is too large/]] as const
  ) {
    const near = await createDialer(senderMax).dial(server.url, {});
    const far = await server.next();
    const received: unknown[] = [];
    far.onFrame((frame) => received.push(frame));
    const closes = Promise.all([closing(near), closing(far)]);
    near.send(new Uint8Array(1000));
    near.send(new Uint8Array(2000));
    for (const reason of await closes) assert.match(reason, text);
    assert.ok(received.length <= 1);
  }
});

test("linkOf() keeps no more than one frame's limit for a handler that never comes", async () => {
  await using server = serve(1000);
  const near = await createDialer(1000).dial(server.url, {});
  const far = await server.next();
  const closes = Promise.all([closing(near), closing(far)]);
  near.send(new Uint8Array(600));
  near.send(new Uint8Array(600));
  assert.deepEqual(await closes, Array(2).fill("too much came before anybody listened"));
});

/** The server's half of a WebSocket handshake, and then silence. */
async function acceptAndFreeze(listener: Deno.TcpListener): Promise<Deno.TcpConn> {
  const connection = await listener.accept();
  const buffer = new Uint8Array(4096);
  const request = new TextDecoder().decode(buffer.subarray(0, (await connection.read(buffer))!));
  const key = /sec-websocket-key: (.*)\r/i.exec(request)![1];
  const digest = await crypto.subtle.digest(
    "SHA-1",
    new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
  );
  const accept = btoa(String.fromCharCode(...new Uint8Array(digest)));
  const head = ["HTTP/1.1 101 x", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  return connection;
}

test("linkOf() gives up a peer that does not answer the close", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = acceptAndFreeze(listener);
  const url = `ws://127.0.0.1:${listener.addr.port}/`;
  const link = await createDialer(FRAME_BYTES_MAX).dial(url, {});
  const closed = closing(link);
  link.close("no heartbeat");
  assert.equal(await within("the close", closed, 4_000), "no heartbeat");
  // The socket itself goes with its connection.
  const connection = await accepted;
  connection.close();
});

test("linkOf() hears of a connection that breaks", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = acceptAndFreeze(listener);
  const link = await createDialer(FRAME_BYTES_MAX).dial(`ws://127.0.0.1:${listener.addr.port}/`, {});
  const closed = closing(link);
  (await accepted).close();
  assert.notEqual(await closed, "");
});

test("dial() says why nobody could be reached", async () => {
  await using server = serve();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refused = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  const dialer = createDialer(FRAME_BYTES_MAX);
  const cases: readonly (readonly [string, string])[] = [
    [`ws://${refused}/v1/session?secret=x`, `cannot reach ws://${refused}: connection refused`],
    [`http://${refused}`, `cannot reach ws://${refused}: connection refused`],
    [`https://${refused}`, `cannot reach wss://${refused}: connection refused`],
    ["ws://no-such-host.invalid:1", "cannot reach ws://no-such-host.invalid:1: no such host"],
    [
      `${server.url}/closed`,
      `cannot reach ws://${new URL(server.url).host}: it does not accept the token (status 401)`,
    ],
  ];
  for (const [url, message] of cases) {
    await assert.rejects(within(url, dialer.dial(url, { token: "t" })), { message });
  }
});

test("dial() gives up when it is told to, and leaves nothing behind", async () => {
  // Takes connections and never answers.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dialer = createDialer(FRAME_BYTES_MAX);
  const host = `127.0.0.1:${listener.addr.port}`;
  const giveUp = new AbortController();
  const accepted = listener.accept();
  const dialling = dialer.dial(`ws://${host}`, { signal: giveUp.signal });
  const connection = await accepted;
  giveUp.abort();
  const message = `cannot reach ws://${host}: given up`;
  await assert.rejects(within("the dial", dialling, 2_000), { message });
  await assert.rejects(dialer.dial(`ws://${host}`, { signal: giveUp.signal }), { message });
  connection.close();
});
