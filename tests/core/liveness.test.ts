import assert from "node:assert/strict";
import { judgeLiveness } from "../../lib/core/liveness.ts";
import { TestWorld } from "./support.ts";

/** Nodes with how long each has been silent, in seconds; the timeout is 10 s. */
const CASES: readonly { name: string; silentS: readonly number[]; lost: readonly string[]; suspicious: boolean }[] = [
  {
    name: "gives up a node that is silent for longer than the timeout",
    silentS: [11, 0, 0],
    lost: ["n0"],
    suspicious: false,
  },
  { name: "keeps one that was heard in time", silentS: [9, 9, 9], lost: [], suspicious: false },
  { name: "suspects itself when more than half are silent", silentS: [11, 11, 0], lost: [], suspicious: true },
  { name: "gives them up after three times as long", silentS: [31, 31, 0], lost: ["n0", "n1"], suspicious: true },
  { name: "gives up half of them at once", silentS: [11, 11, 0, 0], lost: ["n0", "n1"], suspicious: false },
  { name: "does not suspect itself over an only node", silentS: [11], lost: ["n0"], suspicious: false },
];

for (const c of CASES) {
  Deno.test(`judgeLiveness() ${c.name}`, () => {
    const w = new TestWorld();
    c.silentS.forEach((_, i) => w.hello(`n${i}`));
    w.monoMs = 100_000;
    c.silentS.forEach((s, i) =>
      w.state.live.set(`n${i}`, { ...w.state.live.get(`n${i}`)!, heardMonoMs: 100_000 - s * 1000 })
    );
    const verdict = judgeLiveness({
      masts: w.state.masts.values(),
      live: w.state.live,
      nowMonoMs: 100_000,
      lastTickMonoMs: 99_000,
      nodeTimeoutMs: 10_000,
    });
    assert.deepEqual(verdict, { kind: "judged", lost: c.lost, suspicious: c.suspicious });
  });
}

Deno.test("a late loop gives every node a fresh grace period", () => {
  const w = new TestWorld();
  w.hello("n1");
  w.submit("a");
  w.report("n1", "a-1", "running");
  w.pass(1_000, ["n1"]);
  w.monoMs += 60_000;
  w.input({ kind: "tick" });
  assert.equal(w.state.masts.get("n1")!.status, "ready");
  w.pass(9_000);
  assert.equal(w.state.masts.get("n1")!.status, "ready");
  w.pass(3_000);
  assert.equal(w.state.masts.get("n1")!.status, "down");
});
