import assert from "node:assert/strict";
import { TOKENS_MAX } from "../../lib/core/token.ts";
import { TestWorld } from "./support.ts";

const made = (w: TestWorld, name: string, expiresMs: number | null = null) =>
  w.input({
    kind: "createToken",
    id: `id-${name}-${w.wallMs}`,
    name,
    role: "read",
    digest: `d-${name}-${w.wallMs}`,
    expiresMs,
  });
const kindOf = (draft: { reply: unknown }) => (draft.reply as { kind: string }).kind;

Deno.test("createToken keeps the digest, tells an event without it, and refuses a name that is taken", () => {
  const w = new TestWorld();
  const draft = made(w, "dashboard");
  assert.equal(kindOf(draft), "created");
  const [token] = w.state.tokens.values();
  assert.equal(w.state.tokensByDigest.get(token.digest), token.id);
  const [event] = [...w.state.events.values()].filter(({ kind }) => kind === "tokenCreated");
  assert.equal(event.message, "token dashboard (read) was made");
  w.wallMs++;
  assert.equal(kindOf(made(w, "dashboard")), "conflict");
  assert.equal(w.state.tokens.size, 1);
});

Deno.test("createToken takes the name of one that has expired, and ends at a thousand", () => {
  const w = new TestWorld();
  made(w, "a", w.wallMs + 1_000);
  const [old] = w.state.tokens.values();
  w.wallMs += 1_000;
  assert.equal(kindOf(made(w, "a")), "created");
  assert.equal(w.state.tokens.size, 1);
  assert.equal(w.state.tokensByDigest.has(old.digest), false, "the old one is not found any more");
  for (let i = 1; i < TOKENS_MAX; i++) made(w, `t${i}`);
  assert.equal(kindOf(made(w, "one-too-many")), "conflict");
});

Deno.test("revokeToken forgets the digest; a second time it is not found", () => {
  const w = new TestWorld();
  made(w, "a");
  const [token] = w.state.tokens.values();
  assert.equal(kindOf(w.input({ kind: "revokeToken", id: token.id })), "done");
  assert.equal(w.state.tokensByDigest.size, 0);
  assert.equal(kindOf(w.input({ kind: "revokeToken", id: token.id })), "notFound");
});

Deno.test("a sweep forgets tokens that expired long ago", () => {
  const w = new TestWorld({ keepEndedMs: 60_000 });
  made(w, "a", w.wallMs + 1_000);
  made(w, "b");
  w.wallMs += 61_000;
  w.input({ kind: "sweep" });
  assert.deepEqual([...w.state.tokens.values()].map(({ name }) => name), ["b"]);
});
