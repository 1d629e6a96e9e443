/** Which address a connection goes to. */
import assert from "node:assert/strict";
import { chooseBackend, PASSED_OVER_MS } from "../../lib/core/balance.ts";

const backend = (address: string, open = 0, refusedMs: number | null = null) => ({ address, open, refusedMs });
const choice = (
  backends: ReturnType<typeof backend>[],
  more: { turn?: number; nowMs?: number; tried?: string[] } = {},
) =>
  chooseBackend(backends, { turn: more.turn ?? 0, nowMs: more.nowMs ?? 10_000, tried: new Set(more.tried ?? []) })
    ?.address;

Deno.test("the one with the fewest connections, equals in turn", () => {
  assert.equal(choice([backend("a", 2), backend("b", 1), backend("c", 3)]), "b");
  const equals = [backend("a", 1), backend("b", 1), backend("c", 2)];
  assert.deepEqual([0, 1, 2, 3].map((turn) => choice(equals, { turn })), ["a", "b", "a", "b"]);
});

Deno.test("one that has just refused is passed over, unless none else is left", () => {
  const refused = backend("a", 0, 10_000 - PASSED_OVER_MS + 1);
  assert.equal(choice([refused, backend("b", 5)]), "b");
  assert.equal(choice([refused]), "a");
  assert.equal(choice([{ ...refused, refusedMs: 10_000 - PASSED_OVER_MS }, backend("b", 5)]), "a");
});

Deno.test("each is tried once", () => {
  assert.equal(choice([backend("a"), backend("b", 4)], { tried: ["a"] }), "b");
  assert.equal(choice([backend("a")], { tried: ["a"] }), undefined);
  assert.equal(choice([]), undefined);
});
