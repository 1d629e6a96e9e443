/** Who may do what: tokens of the operator, tokens of the deck, roles, guessing, and what ends with a token. */
import assert from "node:assert/strict";
import { createAccess, digestOf, networkOf } from "../../lib/http/access.ts";
import type { Grant, MadeToken } from "../../lib/http/access.ts";
import { Refusal } from "../../lib/http/problems.ts";
import { collectingLogger } from "../fixtures/logger.ts";
import { deckRig, OPEN, postJson, VirtualClock } from "./support.ts";

const OPERATOR = "operator-s3cret-token";
const MADE = { join: "join-token-of-a-test", read: "read-token-of-a-test", admin: "admin-token-of-a-test" } as const;

function accessRig(operator: readonly string[] = [OPERATOR]) {
  const clock = new VirtualClock();
  const logger = collectingLogger();
  const made = new Map<string, MadeToken>();
  const failures: string[] = [];
  const rig = { operator };
  const access = createAccess({
    operator: () => rig.operator,
    findMade: (digest) => made.get(digest),
    clock,
    logger,
    onFailure: (kind) => failures.push(kind),
  });
  const check = (token: string | null, remote = "10.0.0.1") =>
    access.check(new Headers(token === null ? {} : { authorization: `Bearer ${token}` }), remote);
  const code = (token: string | null, remote?: string) => {
    const entered = check(token, remote);
    return entered instanceof Refusal ? `${entered.status} ${entered.code}` : entered.role;
  };
  return { rig, clock, logger, made, failures, access, check, code };
}

Deno.test("check() knows each token by its role, and refuses what is near", () => {
  const { made, code } = accessRig([OPERATOR, "another-token-of-the-operator"]);
  for (const [role, token] of Object.entries(MADE)) {
    made.set(digestOf(token), { id: role, role: role as MadeToken["role"], expiresMs: null });
    assert.equal(code(token), role);
  }
  assert.equal(code(OPERATOR), "admin");
  assert.equal(code("another-token-of-the-operator"), "admin");
  for (const wrong of [null, "", "operator-s3cret-toke", `${OPERATOR}x`, digestOf(OPERATOR), digestOf(MADE.read)]) {
    assert.equal(code(wrong), "401 unauthorized", String(wrong));
  }
});

Deno.test("check() takes Bearer in any case, and no other scheme", () => {
  const { access } = accessRig();
  const enters = (authorization: string) =>
    !(access.check(new Headers({ authorization }), "10.0.0.1") instanceof Refusal);
  assert(enters(`bearer  ${OPERATOR}`));
  for (const other of [`Basic ${OPERATOR}`, OPERATOR, `Bearer ${OPERATOR} x`]) assert(!enters(other), other);
});

Deno.test("a token that has expired, or is made anew in the operator's file, counts at once", () => {
  const { rig, clock, made, code } = accessRig();
  made.set(digestOf(MADE.read), { id: "r", role: "read", expiresMs: clock.wallMs() + 1_000 });
  assert.equal(code(MADE.read), "read");
  clock.advance(1_000);
  assert.equal(code(MADE.read), "401 unauthorized");
  rig.operator = ["the-operators-new-token", OPERATOR];
  assert.equal(code("the-operators-new-token"), "admin");
  rig.operator = ["the-operators-new-token"];
  assert.equal(code(OPERATOR), "401 unauthorized");
});

Deno.test("whoever guesses is not listened to for a minute, right tokens that are known pass, others too", () => {
  const { clock, logger, made, failures, code } = accessRig();
  made.set(digestOf(MADE.read), { id: "r", role: "read", expiresMs: null });
  assert.equal(code(MADE.read), "read");
  for (let i = 0; i < 10; i++) assert.equal(code(`guess-${i}`), "401 unauthorized");
  for (let i = 0; i < 50; i++) assert.equal(code(`guess-${10 + i}`), "429 tooManyFailures");
  // Not even a hit is told to one who guesses.
  assert.equal(code(OPERATOR), "429 tooManyFailures");
  assert.equal(code(MADE.read), "read", "a neighbour's token that was right before");
  made.set(digestOf(MADE.join), { id: "j", role: "join", expiresMs: null });
  assert.equal(code(MADE.join), "join", "a neighbour's token that nobody could have guessed");
  assert.equal(code(OPERATOR, "10.0.0.2"), "admin", "another address");
  assert.equal(code(null), "401 unauthorized", "asking without a token is no guess");
  clock.advance(60_000);
  assert.equal(code(OPERATOR), "admin");
  assert.equal(failures.filter((kind) => kind === "held").length, 51);
  assert.equal(logger.lines.length, 1, "told once a burst");
  assert(!JSON.stringify(logger.lines).includes("guess-"));
});

Deno.test("new tokens of the operator count at once, also for who tried them too early too often", () => {
  const { rig, code } = accessRig();
  for (let i = 0; i < 20; i++) code("the-operators-new-token");
  assert.equal(code("the-operators-new-token"), "429 tooManyFailures");
  rig.operator = ["the-operators-new-token", OPERATOR];
  assert.equal(code("the-operators-new-token"), "admin");
});

Deno.test("one who guesses from a million addresses does not fill the memory", () => {
  const { code } = accessRig();
  for (let i = 0; i < 30_000; i++) {
    assert.equal(code("wrong", `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`), "401 unauthorized");
  }
  // The first addresses are forgotten, which lets them guess again, and nothing else.
  assert.equal(code(OPERATOR, "10.0.0.0"), "admin");
});

Deno.test("networkOf() takes the first half of an IPv6 address", () => {
  for (
    const [address, network] of [
      ["10.0.0.1", "10.0.0.1"],
      ["::ffff:10.0.0.1", "10.0.0.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
      ["[2001:0DB8:0001:0002::]", "2001:db8:1:2::/64"],
      ["2001:db8::1", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ]
  ) assert.equal(networkOf(address), network);
});

Deno.test("what is open ends when its token is taken back, expires, or leaves the operator's file", () => {
  const { rig, clock, made, access, check } = accessRig();
  const ended: string[] = [];
  const open = (token: string) => (check(token) as Grant).onEnd!(() => ended.push(token));
  made.set(digestOf(MADE.read), { id: "r", role: "read", expiresMs: null });
  made.set(digestOf(MADE.join), { id: "j", role: "join", expiresMs: clock.wallMs() + 10_000 });
  open(MADE.read);
  open(MADE.join);
  open(OPERATOR);
  const letGo = open(OPERATOR);
  letGo();
  clock.advance(5_000);
  assert.deepEqual(ended, []);
  made.delete(digestOf(MADE.read));
  access.revoked();
  assert.deepEqual(ended, [MADE.read], "at once");
  clock.advance(8_000);
  assert.deepEqual(ended, [MADE.read, MADE.join]);
  rig.operator = ["the-operators-new-token"];
  clock.advance(2_000);
  assert.deepEqual(ended, [MADE.read, MADE.join, OPERATOR]);
  clock.advance(10_000);
  assert.equal(clock.pending, 0, "nothing is looked at when nothing is open");
});

const AUTH = { ...OPEN, token: OPERATOR };

function tokenRig() {
  const rig = deckRig(AUTH);
  const made = new Map<string, MadeToken>();
  rig.deck.overrides = { findToken: (digest) => made.get(digest) };
  for (const [role, token] of Object.entries(MADE)) {
    made.set(digestOf(token), { id: role, role: role as MadeToken["role"], expiresMs: null });
  }
  return { ...rig, made };
}

/** Who may use each route: nobody is asked, whoever may read, whoever may join, whoever may do everything. */
const ROUTES: readonly (readonly [method: string, path: string, needs: "open" | "read" | "join" | "admin"])[] = [
  ["GET", "/healthz", "open"],
  ["GET", "/readyz", "open"],
  ["GET", "/metrics", "read"],
  ["GET", "/tasks", "read"],
  ["GET", "/tasks/", "read"],
  ["POST", "/tasks", "admin"],
  ["POST", "/tasks/", "admin"],
  ["DELETE", "/tasks/{id}", "admin"],
  ["GET", "/nodes", "read"],
  ["POST", "/v1/tasks", "admin"],
  ["GET", "/v1/tasks", "read"],
  ["GET", "/v1/tasks/{ref}", "read"],
  ["DELETE", "/v1/tasks/{ref}", "admin"],
  ["POST", "/v1/tasks/{ref}/stop", "admin"],
  ["GET", "/v1/tasks/{ref}/logs", "read"],
  ["GET", "/v1/tasks/{ref}/exec", "admin"],
  ["GET", "/v1/nodes", "read"],
  ["GET", "/v1/nodes/{ref}", "read"],
  ["DELETE", "/v1/nodes/{ref}", "admin"],
  ["POST", "/v1/nodes/{ref}/drain", "admin"],
  ["POST", "/v1/nodes/{ref}/resume", "admin"],
  ["GET", "/v1/workflows", "read"],
  ["GET", "/v1/workflows/{name}", "read"],
  ["PUT", "/v1/workflows/{name}", "admin"],
  ["DELETE", "/v1/workflows/{name}", "admin"],
  ["GET", "/v1/workflows/{name}/source", "read"],
  ["POST", "/v1/workflows/{name}/pause", "admin"],
  ["POST", "/v1/workflows/{name}/unpause", "admin"],
  ["GET", "/v1/secrets", "read"],
  ["PUT", "/v1/secrets/{name}", "admin"],
  ["DELETE", "/v1/secrets/{name}", "admin"],
  ["POST", "/v1/runs", "admin"],
  ["GET", "/v1/runs", "read"],
  ["GET", "/v1/runs/{ref}", "read"],
  ["GET", "/v1/runs/{ref}/source", "read"],
  ["POST", "/v1/runs/{ref}/cancel", "admin"],
  ["POST", "/v1/runs/{ref}/resume", "admin"],
  ["POST", "/v1/runs/{ref}/rerun", "admin"],
  ["POST", "/v1/runs/{ref}/steps/{step}/approve", "admin"],
  ["POST", "/v1/runs/{ref}/steps/{step}/reject", "admin"],
  ["GET", "/v1/services", "read"],
  ["POST", "/v1/services", "admin"],
  ["POST", "/v1/services/plan", "read"],
  ["GET", "/v1/services/{name}", "read"],
  ["DELETE", "/v1/services/{name}", "admin"],
  ["POST", "/v1/services/{name}/scale", "admin"],
  ["POST", "/v1/services/{name}/rollback", "admin"],
  ["POST", "/v1/services/{name}/restart", "admin"],
  ["GET", "/v1/services/{name}/history", "read"],
  ["GET", "/v1/services/{name}/addresses", "read"],
  ["GET", "/v1/rollouts", "read"],
  ["GET", "/v1/services/{name}/rollouts", "read"],
  ["GET", "/v1/services/{name}/rollouts/{number}", "read"],
  ["POST", "/v1/services/{name}/rollouts/latest/pause", "admin"],
  ["POST", "/v1/services/{name}/rollouts/latest/resume", "admin"],
  ["POST", "/v1/services/{name}/rollouts/latest/promote", "admin"],
  ["POST", "/v1/services/{name}/rollouts/latest/abort", "admin"],
  ["GET", "/v1/events", "read"],
  ["GET", "/v1/backup", "admin"],
  ["GET", "/v1/info", "read"],
  ["GET", "/v1/openapi.json", "read"],
  ["POST", "/v1/tokens", "admin"],
  ["GET", "/v1/tokens", "admin"],
  ["DELETE", "/v1/tokens/{ref}", "admin"],
  ["GET", "/v1/session", "join"],
  ["GET", "/v1/session/streams", "join"],
];

for (const [method, path, needs] of ROUTES) {
  Deno.test(`${method} ${path} takes ${needs}`, async () => {
    for (const role of ["none", "read", "join", "admin"] as const) {
      const rig = tokenRig();
      const headers: Record<string, string> = role === "none" ? {} : { authorization: `Bearer ${MADE[role]}` };
      const response = await rig.fetch(path.replaceAll(/\{\w+\}/g, "x"), { method, headers });
      await response.body?.cancel();
      const enters = needs === "open" || role === "admin" || role === needs;
      const refused = role === "none" ? 401 : 403;
      if (enters) assert(![401, 403].includes(response.status), `${role}: ${response.status}`);
      else assert.equal(response.status, refused, role);
      const asked = rig.deck.calls.filter(([name]) => name !== "findToken");
      if (!enters) assert.deepEqual(asked, [], "and nothing was asked of the deck");
    }
  });
}

Deno.test("the table above has every described route", async () => {
  const rig = deckRig(OPEN);
  const { paths } = await (await rig.fetch("/v1/openapi.json")).json();
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const listed = new Set(ROUTES.map(([method, path]) => `${method} ${path}`));
  assert.deepEqual(described.filter((route) => !listed.has(route)), []);
});

Deno.test("HEAD and method tricks give a reader nothing more", async () => {
  const rig = tokenRig();
  const authorization = `Bearer ${MADE.read}`;
  assert.equal((await rig.fetch("/v1/tokens", { method: "HEAD", headers: { authorization } })).status, 403);
  const tricked = await rig.fetch("/v1/tasks/web", {
    headers: { authorization, "x-http-method-override": "DELETE", "x-method-override": "DELETE" },
  });
  assert.equal(tricked.status, 200);
  assert.deepEqual(rig.deck.callsOf("stop"), []);
});

Deno.test("a refused role is told in the manner of the route, and which role it takes", async () => {
  const rig = tokenRig();
  const headers = { authorization: `Bearer ${MADE.read}` };
  const v1 = await (await rig.fetch("/v1/tasks/web/stop", { method: "POST", headers })).json();
  assert.equal(v1.code, "forbidden");
  assert.equal(v1.detail, "this token may only read; what you ask for takes one with the role admin");
  const original = await rig.fetch("/tasks", { method: "POST", headers });
  assert.deepEqual(await original.json(), { HTTPStatusCode: 403, Message: v1.detail });
});

Deno.test("a token is shown in the answer to its making and nowhere else", async () => {
  const rig = tokenRig();
  const records: unknown[] = [];
  rig.deck.overrides = {
    ...rig.deck.overrides,
    createToken: (request) => {
      records.push(request);
      const { role } = request;
      const token = { id: "t1", name: request.name ?? `${role}-t1`, role, createdAt: "x", expiresAt: null };
      return Promise.resolve({ kind: "created", token });
    },
    listTokens: () => [{ id: "t1", name: "dashboard", role: "read", createdAt: "x", expiresAt: null }],
  };
  const authorization = `Bearer ${OPERATOR}`;
  const made = await rig.fetch(
    "/v1/tokens",
    postJson({ role: "read", name: "dashboard", expires: "30d" }, { authorization }),
  );
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("cache-control"), "no-store");
  const { token } = await made.json();
  assert.match(token, /^ormen-read-[A-Za-z0-9_-]{43}$/);
  const [{ digest, expiresMs }] = records as [{ digest: string; expiresMs: number }];
  assert.equal(digest, digestOf(token), "the deck is given its digest");
  assert.equal(expiresMs, rig.clock.wallMs() + 30 * 86_400_000);
  const listed = await (await rig.fetch("/v1/tokens", { headers: { authorization } })).text();
  for (const text of [JSON.stringify(records), listed, JSON.stringify(rig.logger)]) {
    assert(!text.includes(token) && !text.includes(token.slice(12)));
  }
});

Deno.test("POST /v1/tokens refuses what is none", async () => {
  const rig = tokenRig();
  const authorization = `Bearer ${OPERATOR}`;
  for (
    const [body, pointer] of [
      [{}, "/role"],
      [{ role: "root" }, "/role"],
      [{ role: "read", expires: "soon" }, "/expires"],
      [{ role: "read", expires: "9999d" }, "/expires"],
      [{ role: "read", name: "a b" }, "/name"],
      [{ role: "read", token: "mine" }, "/token"],
    ] as const
  ) {
    const response = await rig.fetch("/v1/tokens", postJson(body, { authorization }));
    assert.equal(response.status, 422, JSON.stringify(body));
    assert.equal((await response.json()).errors[0].pointer, pointer);
  }
  assert.deepEqual(rig.deck.callsOf("createToken"), []);
});

Deno.test("an event stream breaks, and a sailor's session is closed, when the token is taken back", async () => {
  const rig = tokenRig();
  const revoke = (role: "read" | "join") => rig.made.delete(digestOf(MADE[role]));
  rig.deck.overrides = {
    ...rig.deck.overrides,
    listTokens: () => [{ id: "t1", name: "t1", role: "read", createdAt: "x", expiresAt: null }],
    revokeToken: () => {
      revoke("read");
      revoke("join");
      return Promise.resolve({ kind: "done", message: "revoked" });
    },
  };
  const stream = await rig.fetch("/v1/events", {
    headers: { authorization: `Bearer ${MADE.read}`, accept: "text/event-stream" },
  });
  await rig.fetch("/v1/session", { headers: { authorization: `Bearer ${MADE.join}`, upgrade: "websocket" } });
  assert.equal(rig.links[0].closedWith, null);
  const reader = stream.body!.getReader();
  await reader.read();
  const next = reader.read();
  const revoked = await rig.fetch("/v1/tokens/t1", {
    method: "DELETE",
    headers: { authorization: `Bearer ${OPERATOR}` },
  });
  assert.equal(revoked.status, 204);
  await assert.rejects(next, /not valid any more/);
  assert.match(rig.links[0].closedWith!, /not valid any more/);
  assert.equal(rig.deck.watchers.size, 0, "nobody is left watching");
});
