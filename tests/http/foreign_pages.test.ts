/**
 * What a page in somebody's browser can make it send to a listener, tried byte by byte over TCP: fetch would not send half of
 * it. Each attack is tried on deck and sailor, without a token on loopback and with one. Nothing may be read or done.
 */
import assert from "node:assert/strict";
import { createSailorApp } from "../../lib/http/sailor_app.ts";
import type { HttpApp } from "../../lib/http/deck_app.ts";
import { TASK_ID } from "./records.ts";
import { deckRig, FakeLink, OPEN, RecordingLogger, VirtualClock } from "./support.ts";

const TOKEN = "right-token-of-this-listener";
const TASK1 = Deno.readTextFileSync(new URL("../../task1.json", import.meta.url));

interface Listener {
  readonly port: number;
  readonly done: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** PORT in a line stands for the listener's own. */
interface Attack {
  readonly what: string;
  readonly lines: readonly string[];
  readonly body?: string;
  /** 403 unless said; a request that is no HTTP may be refused as such. */
  readonly statuses?: readonly number[];
}

const list = (...headers: string[]) => ["GET /tasks HTTP/1.1", ...headers];
const submit = (...headers: string[]) => ["POST /tasks HTTP/1.1", ...headers];
const upgrade = (path: string, ...headers: string[]) => [
  `GET ${path} HTTP/1.1`,
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ...headers,
];

/** The browser believes that a foreign name leads to this machine, and takes our answers for that page's own. */
const NAMES: readonly Attack[] = [
  { what: "a re-bound name", lines: list("Host: evil.example:PORT") },
  {
    what: "a re-bound name that is its own origin",
    lines: list("Host: evil.example:PORT", "Origin: http://evil.example:PORT", "Sec-Fetch-Site: same-origin"),
  },
  {
    what: "a task from a re-bound name",
    lines: submit("Host: evil.example:PORT", "Content-Type: application/json"),
    body: TASK1,
  },
  { what: "a name that begins like ours", lines: list("Host: localhost.evil.example:PORT") },
  { what: "a name that ends like ours", lines: list("Host: evil-localhost:PORT") },
  { what: "an address with a tail", lines: list("Host: 127.0.0.1.evil.example:PORT") },
  { what: "our address as a port", lines: list("Host: evil.example:127.0.0.1"), statuses: [400, 403] },
  { what: "two ports", lines: list("Host: evil.example:PORT:PORT"), statuses: [400, 403] },
  { what: "our name as a user", lines: list("Host: localhost@evil.example"), statuses: [400, 403] },
  { what: "our name as a user and a port", lines: list("Host: localhost:PORT@evil.example"), statuses: [400, 403] },
  { what: "our name after a #", lines: list("Host: evil.example#localhost"), statuses: [400, 403] },
  { what: "our name after a /", lines: list("Host: evil.example/localhost"), statuses: [400, 403] },
  { what: "brackets and a tail", lines: list("Host: [::1].evil.example"), statuses: [400, 403] },
  { what: "the address of all, which leads to loopback", lines: list("Host: 0.0.0.0:PORT") },
  { what: "the same of IPv6", lines: list("Host: [::]:PORT") },
  { what: "an empty name", lines: list("Host:"), statuses: [400, 403] },
  { what: "our name, then theirs", lines: list("Host: localhost:PORT", "Host: evil.example"), statuses: [400, 403] },
  { what: "their name, then ours", lines: list("Host: evil.example", "Host: localhost:PORT"), statuses: [400, 403] },
  { what: "our name forwarded", lines: list("Host: evil.example", "X-Forwarded-Host: localhost:PORT") },
  {
    what: "our name in the target alone",
    lines: ["GET http://localhost:PORT/tasks HTTP/1.1", "Host: evil.example"],
    statuses: [400, 403],
  },
  {
    what: "their name in the target alone",
    lines: ["GET http://evil.example/tasks HTTP/1.1", "Host: localhost:PORT"],
    statuses: [400, 403],
  },
  { what: "a session from a re-bound name", lines: upgrade("/v1/session", "Host: evil.example:PORT") },
];

/** The page calls us by our right name; the browser says where it comes from. */
const PAGES: readonly Attack[] = [
  { what: "a foreign page", lines: list("Origin: http://evil.example") },
  { what: "a sandboxed page or a file", lines: list("Origin: null") },
  { what: "a page that names no origin", lines: list("Origin:") },
  { what: "a page on another port here", lines: list("Origin: http://localhost:1") },
  { what: "a page on the default port here", lines: list("Origin: http://localhost") },
  { what: "a page under our other name", lines: list("Origin: http://127.0.0.1:PORT") },
  { what: "a page whose port begins like ours", lines: list("Origin: http://localhost:PORT.evil.example") },
  { what: "a page that has our name as its user", lines: list("Origin: http://localhost:PORT@evil.example") },
  {
    what: "our page, then a foreign one",
    lines: list("Origin: http://localhost:PORT", "Origin: http://evil.example"),
  },
  {
    what: "a foreign page, then ours",
    lines: list("Origin: http://evil.example", "Origin: http://localhost:PORT"),
  },
  { what: "an image of a foreign page", lines: list("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors") },
  { what: "an image of a page on another port", lines: list("Sec-Fetch-Site: same-site") },
  { what: "a site in capitals", lines: list("Sec-Fetch-Site: CROSS-SITE") },
  { what: "two sites", lines: list("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site") },
  {
    what: "our origin, but a foreign site",
    lines: list("Origin: http://localhost:PORT", "Sec-Fetch-Site: cross-site"),
  },
  {
    what: "a form of text that is JSON",
    lines: submit("Origin: http://evil.example", "Content-Type: text/plain"),
    body: TASK1,
  },
  { what: "a form out of a sandbox", lines: submit("Origin: null", "Content-Type: text/plain"), body: TASK1 },
  {
    what: "a form without origin",
    lines: submit("Sec-Fetch-Site: cross-site", "Content-Type: application/x-www-form-urlencoded"),
    body: TASK1,
  },
  {
    what: "a beacon",
    lines: submit("Origin: http://evil.example", "Sec-Fetch-Mode: no-cors", "Content-Type: text/plain;charset=UTF-8"),
    body: TASK1,
  },
  {
    what: "a question beforehand",
    lines: [
      `OPTIONS /tasks/${TASK_ID} HTTP/1.1`,
      "Origin: http://evil.example",
      "Access-Control-Request-Method: DELETE",
      "Access-Control-Request-Headers: authorization,content-type",
      "Access-Control-Request-Private-Network: true",
    ],
  },
  {
    what: "a stop in the clothes of a form",
    lines: [`POST /tasks/${TASK_ID}?_method=DELETE HTTP/1.1`, "Origin: null", "X-HTTP-Method-Override: DELETE"],
    body: "",
  },
  { what: "a session from a page", lines: upgrade("/v1/session", "Origin: http://evil.example") },
  { what: "a session from a sandbox", lines: upgrade("/v1/session", "Origin: null") },
  { what: "a session from a page next door", lines: upgrade("/v1/session", "Origin: http://localhost:1") },
  { what: "streams from a page", lines: upgrade("/v1/session/streams", "Origin: http://evil.example") },
  { what: "streams without origin", lines: upgrade("/v1/session/streams", "Sec-Fetch-Site: cross-site") },
];

/** Places where a page can put a token without asking beforehand, or that end in logs and histories. */
const MISPLACED: readonly Attack[] = [
  { what: "no token", lines: list() },
  { what: "the token in the address", lines: [`GET /tasks?token=${TOKEN}&access_token=${TOKEN} HTTP/1.1`] },
  { what: "the token in a cookie", lines: list(`Cookie: token=${TOKEN}; authorization=Bearer ${TOKEN}`) },
  { what: "the token as a password", lines: list(`Authorization: Basic ${btoa(`ormen:${TOKEN}`)}`) },
  { what: "the token in another header", lines: list(`X-Api-Key: ${TOKEN}`, `Proxy-Authorization: Bearer ${TOKEN}`) },
  { what: "the token as a subprotocol", lines: upgrade("/v1/session", `Sec-WebSocket-Protocol: bearer, ${TOKEN}`) },
  { what: "half of the token", lines: list(`Authorization: Bearer ${TOKEN.slice(0, -1)}`) },
  { what: "two tokens", lines: list("Authorization: Bearer wrong-token-of-nobody", `Authorization: Bearer ${TOKEN}`) },
].map((attack) => ({ ...attack, statuses: [400, 401] }));

const APPS: Record<string, (token: string | null) => { app: HttpApp; done: string[] }> = {
  deck(token) {
    const rig = deckRig({ ...OPEN, token });
    const done: string[] = [];
    const note = (name: string) => () => {
      done.push(name);
      throw new Error(`${name} was called`);
    };
    for (const name of DECK_ACTS) rig.deck.overrides[name] = note(name);
    rig.deck.overrides.findToken = () => undefined;
    return { app: rig.app, done };
  },
  sailor(token) {
    const done: string[] = [];
    const note = (name: string) => (): never => {
      done.push(name);
      throw new Error(`${name} was called`);
    };
    const app = createSailorApp({
      sailor: {
        localSubmit: note("localSubmit"),
        localStop: note("localStop"),
        tasks: () => [],
        inspectRaw: note("inspectRaw"),
        stats: note("stats"),
        acceptSession: note("acceptSession"),
        acceptStreams: note("acceptStreams"),
        notReady: () => null,
      },
      auth: { ...OPEN, token },
      upgrade: () => ({ response: new Response(null, { headers: { upgraded: "yes" } }), link: new FakeLink() }),
      clock: new VirtualClock(),
      logger: new RecordingLogger(),
      version: "0.1.0",
    });
    return { app, done };
  },
};
const DECK_ACTS = [
  "submit",
  "submitBatch",
  "stop",
  "drain",
  "resume",
  "removeNode",
  "acceptSession",
  "acceptStreams",
] as const;

async function onListener(who: string, token: string | null, test: (listener: Listener) => Promise<void>) {
  const { app, done } = APPS[who](token);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr }) => app.fetch(request, { remoteAddr: remoteAddr as Deno.NetAddr }),
  );
  try {
    await test({ port: server.addr.port, done });
  } finally {
    await server.shutdown();
  }
}

/** Host and length are added where an attack does not say them. */
async function send(port: number, attack: Pick<Attack, "lines" | "body">, more: readonly string[] = []) {
  const [target, ...given] = attack.lines;
  const headers = [...given, ...more];
  const has = (name: string) => headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
  if (!has("host")) headers.unshift("Host: localhost:PORT");
  if (attack.body !== undefined) headers.push(`Content-Length: ${new TextEncoder().encode(attack.body).length}`);
  headers.push(has("upgrade") ? "Connection: Upgrade, close" : "Connection: close");
  const head = [target, ...headers].join("\r\n").replaceAll("PORT", String(port));
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(`${head}\r\n\r\n${attack.body ?? ""}`));
  return answerOf(await new Response(connection.readable).text());
}

function answerOf(text: string): Answer {
  const [head, ...body] = text.split("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, body: body.join("\r\n\r\n") };
}

async function assertRefused(listener: Listener, attack: Attack, more: readonly string[], statuses: readonly number[]) {
  const { status, head, body } = await send(listener.port, attack, more);
  const told = `${attack.what}: ${head}`;
  assert(statuses.includes(status), told);
  assert.doesNotMatch(head, /access-control-|upgraded/i, told);
  assert(!body.includes(TOKEN), `${attack.what}: the answer tells the token`);
  assert.deepEqual(listener.done, [], told);
}

const BEARER = [`Authorization: Bearer ${TOKEN}`];

for (const who of Object.keys(APPS)) {
  Deno.test(`${who} without a token: what pages send is refused, what programs send is not`, () =>
    onListener(who, null, async (listener) => {
      assert.equal((await send(listener.port, { lines: list() })).status, 200);
      for (const attack of [...NAMES, ...PAGES]) {
        await assertRefused(listener, attack, [], attack.statuses ?? [403]);
      }
    }));

  Deno.test(`${who} with a token: a page that holds it is refused all the same`, () =>
    onListener(who, TOKEN, async (listener) => {
      assert.equal((await send(listener.port, { lines: list() }, BEARER)).status, 200);
      for (const attack of PAGES) await assertRefused(listener, attack, BEARER, attack.statuses ?? [403]);
    }));

  Deno.test(`${who} with a token: a re-bound name does not stand for it, nor does a token in the wrong place`, () =>
    onListener(who, TOKEN, async (listener) => {
      for (const attack of NAMES) await assertRefused(listener, attack, [], [400, 401, 403]);
      // Fewer than an address may guess wrong before it is told to wait.
      for (const attack of MISPLACED) await assertRefused(listener, attack, [], attack.statuses ?? []);
    }));

  Deno.test(`${who}: a header or a parameter does not change the method`, () =>
    onListener(who, null, async (listener) => {
      for (const header of ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]) {
        const answer = await send(listener.port, {
          lines: ["GET /tasks?_method=DELETE HTTP/1.1", `${header}: DELETE`],
        });
        assert.equal(answer.status, 200, header);
        const one = [`POST /tasks/${TASK_ID}?_method=DELETE HTTP/1.1`, `${header}: DELETE`];
        assert.equal((await send(listener.port, { lines: one, body: "" })).status, 405, header);
      }
      assert.deepEqual(listener.done, []);
    }));
}
