/**
 * The listener itself, over real connections: requests that are no HTTP, slow ones, readers that never read, sockets that
 * never speak, two thousand connections that do nothing. Time that has to pass is virtual, bytes are real.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Listening } from "../../lib/cli/serve.ts";
import { listen, upgrade } from "../../lib/cli/serve.ts";
import { createDeckApp } from "../../lib/http/deck_app.ts";
import { eventually } from "../fixtures/eventually.ts";
import { event } from "../http/records.ts";
import { deckRig, OPEN, piece } from "../http/support.ts";
import { DeckWorld } from "./deck_world.ts";
import { cut, cuts } from "./mutations.ts";
import { requestsTo } from "./requests.ts";
import { fuzz, soon } from "./runs.ts";

const encoder = new TextEncoder();
const LISTEN = {
  host: "127.0.0.1",
  port: 0,
  tokens: null,
  caCerts: [],
  insecure: false,
  tls: null,
  dbType: "memory",
  dataDir: "/nowhere",
  logFormat: "json",
} as const;

/** Connects, sends and never reads; closed at the end of the test. */
class Connections {
  readonly open: Deno.TcpConn[] = [];
  constructor(readonly port: number) {}

  async send(text: string): Promise<Deno.TcpConn> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    this.open.push(connection);
    if (text !== "") await write(connection, text);
    return connection;
  }

  close(): void {
    for (const connection of this.open.splice(0)) connection.close();
  }
}

async function write(connection: Deno.TcpConn, text: string): Promise<void> {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** All until the end of the connection, or until what came fits `until`. */
async function read(connection: Deno.TcpConn, until?: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  try {
    while (!until?.test(text)) {
      const count = await connection.read(buffer);
      if (count === null) break;
      text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  } catch (error) {
    // What a server that closes on unread bytes does to us.
    if (!(error instanceof Deno.errors.ConnectionReset) && !(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return text;
}

async function serving(
  app: Parameters<typeof listen>[1],
  body: (connections: Connections, server: Listening) => Promise<void>,
): Promise<void> {
  const server = await listen(LISTEN, app);
  const connections = new Connections(server.port);
  try {
    await body(connections, server);
    await isServed(server);
  } finally {
    connections.close();
    await server.close();
  }
}

async function isServed({ url }: Listening): Promise<void> {
  const answer = await soon("an honest request", fetch(`${url}/healthz`));
  assert.equal(await answer.text(), "ok\n");
}

const head = (line: string, ...headers: string[]) => [line, "Host: localhost", ...headers, "", ""].join("\r\n");

Deno.test({
  name: "fuzz: bytes that are nearly HTTP",
  async fn() {
    const world = await DeckWorld.start();
    await serving(appWithSockets(world), async (connections, server) => {
      await fuzz({
        name: "raw requests",
        part: 0.05,
        cases: fc.record({ request: requestsTo(world.app.routes), marks: cuts }),
        print: ({ request, marks }) => `printf %b ${JSON.stringify(rawOf(request, marks))} | nc -N localhost 5555`,
        async attempt({ request, marks }) {
          const connection = await connections.send("");
          const answer = soon("the end of a connection", read(connection));
          try {
            await write(connection, rawOf(request, marks));
            await connection.closeWrite();
          } catch { /* The server had seen enough and closed first. */ }
          const text = await world.settled("the end of a connection", answer);
          connections.close();
          const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(text)?.[1] ?? 0);
          if (status === 500) throw new Error(`an answer that no request may get: ${text.slice(0, 500)}`);
          if (world.logger.errors.length > 0) {
            throw new Error(`an error inside: ${world.logger.errors[0].slice(0, 1_000)}`);
          }
          await isServed(server);
        },
      });
    });
    await world.end();
  },
});

function rawOf(request: Parameters<typeof rawText>[0], marks: Parameters<typeof cut>[1]): string {
  return cut(rawText(request), marks);
}

function rawText({ method, target, headers, body }: {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
}): string {
  const length = body === null ? [] : [`content-length: ${encoder.encode(body).length}`];
  return head(
    `${method} ${target} HTTP/1.1`,
    "connection: close",
    ...length,
    ...headers.map(([n, v]) => `${n}: ${v}`),
  ) +
    (body ?? "");
}

Deno.test("a body that trickles gets 408 while others are served, one that is too large 413 before it has come", async () => {
  const rig = deckRig();
  await serving(rig.app, async (connections, server) => {
    const slow = await connections.send(
      head("POST /v1/tasks HTTP/1.1", "Content-Type: application/json", "Content-Length: 100") + "{",
    );
    await eventually("the body is timed", () => rig.clock.pending === 1);
    await write(slow, '"');
    await isServed(server);
    rig.clock.advance(12_000);
    assert.match(await soon("408", read(slow, /within 1\d s/)), /^HTTP\/1\.1 408 [^]*"code":"tooSlow"/);
    for (const [path, shape] of [["/v1/tasks", /"code":"tooLarge"/], ["/tasks", /"HTTPStatusCode":413/]] as const) {
      const large = await connections.send(
        head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 99999999") + "{",
      );
      assert.match(await soon("413", read(large, /larger than/)), shape);
    }
    const chunked = await connections.send(head("POST /tasks HTTP/1.1", "Transfer-Encoding: chunked"));
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    for (let sent = 0; sent <= 2 ** 20; sent += 0x10000) await write(chunked, chunk);
    assert.match(await soon("413", read(chunked, /larger than 1 MiB/)), /^HTTP\/1\.1 413 /);
  });
});

Deno.test("a head that is too long gets 431, and above 64 KiB what the server says of it", async () => {
  const rig = deckRig();
  await serving(rig.app, async (connections) => {
    const cases: [string, RegExp][] = [
      [head(`GET /v1/tasks/${"a".repeat(10_000)} HTTP/1.1`), /^HTTP\/1\.1 431 [^]*"code":"headTooLarge"/],
      [head("GET /tasks HTTP/1.1", `X: ${"a".repeat(40_000)}`), /^HTTP\/1\.1 431 [^]*"HTTPStatusCode":431/],
      [head("GET /tasks HTTP/1.1", `X: ${"a".repeat(500_000)}`), /^(HTTP\/1\.1 4\d\d |$)/],
      [head("GET /tasks HTTP/1.1", ...Array.from({ length: 500 }, (_, i) => `X${i}: a`)), /^HTTP\/1\.1 4\d\d /],
      [head("GET /v1/info HTTP/1.1").replace("localhost", "a b<>"), /^HTTP\/1\.1 400 [^]*Host header/],
    ];
    for (const [text, expected] of cases) {
      const connection = await connections.send("");
      try {
        await write(connection, text);
      } catch { /* Refused before all of it was sent. */ }
      assert.match(await soon("a refusal", read(connection, /\r\n\r\n[^]*$/)), expected);
    }
  });
});

Deno.test("watchers and followers that never read are cut off, with bounded memory", async () => {
  const rig = deckRig();
  let taken = 0;
  let closed = false;
  rig.deck.overrides = {
    openLogs: () =>
      Promise.resolve({
        close: () => void (closed = true),
        async *[Symbol.asyncIterator]() {
          const output = piece("x".repeat(64 * 1024));
          while (true) {
            taken++;
            yield await Promise.resolve(output);
          }
        },
      }),
  };
  await serving(rig.app, async (connections, server) => {
    await connections.send(head("GET /v1/events HTTP/1.1", "Accept: text/event-stream"));
    await eventually("the watcher is there", () => rig.deck.watchers.size === 1);
    let id = 1;
    await eventually("the watcher is cut off", () => {
      for (let i = 0; i < 100; i++) rig.deck.publish(event(id++, { message: "m".repeat(10_000) }));
      return rig.deck.watchers.size === 0;
    });
    assert(id < 10_000, `${id} events were taken for one who reads none`);

    await connections.send(head("GET /v1/tasks/web/logs?follow=1 HTTP/1.1"));
    let before = -1;
    await eventually("the follower's buffers are full", () => {
      const full = taken > 0 && taken === before;
      before = taken;
      return full;
    });
    assert(taken < 1_000, `${taken * 64} KiB were taken for one who reads none`);
    await isServed(server);
    rig.clock.advance(61_000);
    await eventually("the follower is cut off", () => closed);
  });
});

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

function appWithSockets(world: DeckWorld, socketsMax?: number) {
  const { deck, clock, logger } = world;
  return createDeckApp({
    deck: deck.api,
    clock,
    logger,
    auth: OPEN,
    version: "test",
    upgrade: (request) => upgrade(request, socketsMax),
  });
}

Deno.test("sockets that never speak are closed at a deadline, too large frames and too many sockets at once", async () => {
  const world = await DeckWorld.start();
  await serving(appWithSockets(world, 300), async (connections, server) => {
    const silent: Deno.TcpConn[] = [];
    for (let i = 0; i < 100; i++) {
      const path = i % 2 === 0 ? "/v1/session" : "/v1/session/streams";
      silent.push(await connections.send(head(`GET ${path} HTTP/1.1`, ...UPGRADE)));
    }
    for (const connection of silent) {
      assert.match(await soon("an upgrade", read(connection, /\r\n\r\n/)), /^HTTP\/1\.1 101 /);
    }
    await isServed(server);
    await world.clock.advance(11_000);
    for (const connection of silent) {
      assert.match(await soon("a close", read(connection, /came/)), /no (hello|bind) came/);
    }

    // A frame that announces 65 MiB.
    const large = await connections.send(head("GET /v1/session HTTP/1.1", ...UPGRADE));
    await soon("an upgrade", read(large, /\r\n\r\n/));
    await large.write(new Uint8Array([0x81, 0xff, 0, 0, 0, 0, 4, 0x10, 0, 0, 0, 0, 0, 0]));
    await soon("the end of the connection", read(large));

    for (let i = 0; i < 220; i++) await connections.send(head("GET /v1/session HTTP/1.1", ...UPGRADE));
    const last = await connections.send(head("GET /v1/session HTTP/1.1", ...UPGRADE));
    assert.match(await soon("a refusal", read(last, /already/)), /^HTTP\/1\.1 503 [^]*300 sockets are open already/);
    await isServed(server);
    connections.close();
    await eventually("sockets are free again", async () => {
      const again = await connections.send(head("GET /v1/session HTTP/1.1", ...UPGRADE));
      return /^HTTP\/1\.1 101 /.test(await read(again, /\r\n\r\n/));
    });
  });
  await world.end();
});

Deno.test("an upgrade that is none is refused with a sentence", async () => {
  const world = await DeckWorld.start();
  await serving(appWithSockets(world), async (connections) => {
    for (const headers of [UPGRADE.slice(0, 3), UPGRADE.slice(1)]) {
      const connection = await connections.send(head("GET /v1/session HTTP/1.1", "Connection: close", ...headers));
      const answer = await soon("a refusal", read(connection, /\r\n\r\n[^]*\}/));
      assert.match(answer, /^HTTP\/1\.1 400 [^]*"detail":"no WebSocket can be made of this request: /);
    }
  });
  assert.deepEqual(world.logger.errors, []);
  await world.end();
});

Deno.test("2,000 connections that do nothing, or send half a head, keep nobody from being served", async () => {
  const rig = deckRig();
  await serving(rig.app, async (connections, server) => {
    const rssBefore = Deno.memoryUsage().rss;
    for (let i = 0; i < 2_000; i++) {
      await connections.send(
        i % 3 === 0 ? "" : i % 3 === 1 ? "GET /healthz HTTP/1.1\r\nX-Half:" : head("GET /healthz HTTP/1.1"),
      );
    }
    for (let i = 0; i < 20; i++) await isServed(server);
    const mebibytes = (Deno.memoryUsage().rss - rssBefore) / 2 ** 20;
    // Both ends live in this process.
    assert(mebibytes < 200, `2,000 connections took ${mebibytes.toFixed(0)} MiB`);
  });
});
