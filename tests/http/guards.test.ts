/** Who is answered at all. */
import assert from "node:assert/strict";
import { createGuard, isLoopback } from "../../lib/http/guards.ts";
import type { AuthOptions } from "../../lib/http/guards.ts";
import { deckRig, OPEN } from "./support.ts";

function codeOf(auth: AuthOptions, headers: Record<string, string>): string {
  const host = headers.host ?? "localhost:5555";
  const request = new Request("http://localhost:5555/v1/tasks", { headers: { host, ...headers } });
  return createGuard(auth)(request)?.code ?? "passes";
}

const TOKEN = { ...OPEN, token: "s3cret" };
const PUBLIC = { token: null, listenHost: "0.0.0.0" };
const NAMED = { ...OPEN, advertiseHosts: ["deck.example", "[fd00::1]"] };

const CASES: [what: string, auth: AuthOptions, headers: Record<string, string>, code: string][] = [
  ["localhost", OPEN, {}, "passes"],
  ["127.0.0.1", OPEN, { host: "127.0.0.1:5555" }, "passes"],
  ["another loopback address", OPEN, { host: "127.8.9.10" }, "passes"],
  ["::1", OPEN, { host: "[::1]:5555" }, "passes"],
  ["capitals and a dot", OPEN, { host: "LOCALHOST.:5555" }, "passes"],
  ["a name re-bound to loopback", OPEN, { host: "evil.example:5555" }, "hostRefused"],
  ["a name that begins like loopback", OPEN, { host: "127.0.0.1.evil.example" }, "hostRefused"],
  ["an advertised name", NAMED, { host: "Deck.example:5555" }, "passes"],
  ["an advertised address", NAMED, { host: "[fd00::1]:5555" }, "passes"],
  ["the address listened on", { ...OPEN, listenHost: "127.0.0.2" }, { host: "127.0.0.2:1" }, "passes"],
  ["any name, listening everywhere", PUBLIC, { host: "deck.example" }, "passes"],
  ["any name with a token", TOKEN, { host: "deck.example", authorization: "Bearer s3cret" }, "passes"],
  ["our own page", OPEN, { origin: "http://localhost:5555", "sec-fetch-site": "same-origin" }, "passes"],
  ["our own page behind TLS", PUBLIC, { host: "deck.example", origin: "https://deck.example" }, "passes"],
  ["the address bar", OPEN, { "sec-fetch-site": "none" }, "passes"],
  ["a foreign page", OPEN, { origin: "http://evil.example" }, "originRefused"],
  ["a page on another port", OPEN, { origin: "http://localhost:3000" }, "originRefused"],
  ["a page without origin", OPEN, { origin: "null" }, "originRefused"],
  ["a file", OPEN, { origin: "file://" }, "originRefused"],
  ["a foreign page's form", OPEN, { "sec-fetch-site": "cross-site" }, "originRefused"],
  ["a page on the same site", OPEN, { "sec-fetch-site": "same-site" }, "originRefused"],
  [
    "a foreign page with the token",
    TOKEN,
    { origin: "http://evil.example", authorization: "Bearer s3cret" },
    "originRefused",
  ],
  ["a Host with a port trick", OPEN, { host: "localhost:5555@evil.example" }, "hostRefused"],
  ["a Host with two ports", OPEN, { host: "evil.example:127.0.0.1:80" }, "hostRefused"],
  ["an empty Host", OPEN, { host: "" }, "hostRefused"],
  ["an origin that begins like ours", OPEN, { origin: "http://localhost:5555.evil.example" }, "originRefused"],
  ["an origin with our name as its user", OPEN, { origin: "http://localhost:5555@evil.example" }, "originRefused"],
];

for (const [what, auth, headers, code] of CASES) {
  Deno.test(`createGuard() ${what}: ${code}`, () => assert.equal(codeOf(auth, headers), code));
}

Deno.test("isLoopback()", () => {
  for (const host of ["localhost", "a.localhost", "127.0.0.1", "::1", "[::1]:80"]) assert(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "", "127.0.0.1.nip.io"]) {
    assert(!isLoopback(host), host);
  }
});

Deno.test("what a guard refuses is told in the manner of the route", async () => {
  const rig = deckRig(TOKEN);
  const v1 = await rig.fetch("/v1/info");
  assert.equal(v1.status, 401);
  assert.equal(v1.headers.get("www-authenticate"), "Bearer");
  assert.equal((await v1.json()).code, "unauthorized");
  const original = await rig.fetch("/tasks", { headers: { origin: "http://evil.example" } });
  assert.equal(original.status, 403);
  assert.deepEqual(await original.json(), {
    HTTPStatusCode: 403,
    Message: "requests from the page http://evil.example are refused",
  });
  assert.equal(rig.deck.calls.length, 0);
  assert.equal((await rig.fetch("/v1/info", { headers: { authorization: "Bearer s3cret" } })).status, 200);
});

Deno.test("a socket is refused before it is upgraded", async () => {
  const rig = deckRig();
  const headers = { upgrade: "websocket", origin: "http://evil.example" };
  assert.equal((await rig.fetch("/v1/tasks/web/exec", { headers })).status, 403);
  assert.equal(rig.links.length, 0);
});
