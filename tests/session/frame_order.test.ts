/** Numbers of a session's frames, and what each side does when one is missing or comes twice. */
import assert from "node:assert/strict";
import { createFrameOrder } from "../../lib/session/frame_order.ts";

Deno.test("write() numbers from 1 and leaves the message as it is", () => {
  const order = createFrameOrder();
  const message = { kind: "ping" };
  assert.deepEqual([order.write(message), order.write(message)], ['{"kind":"ping","n":1}', '{"kind":"ping","n":2}']);
  assert.deepEqual(message, { kind: "ping" });
});

const CASES: readonly { name: string; numbers: (number | null)[]; turns: string[] }[] = [
  { name: "takes what comes in turn", numbers: [1, 2, 3], turns: ["next", "next", "next"] },
  { name: "ignores what was there already", numbers: [1, 1, 2, 1], turns: ["next", "again", "next", "again"] },
  { name: "sees a gap, at the beginning too", numbers: [2], turns: ["gap"] },
  { name: "does not go on after a gap", numbers: [1, 3, 4], turns: ["next", "gap", "gap"] },
  {
    name: "takes an older version, which numbers nothing, at its word",
    numbers: [null, null],
    turns: ["next", "next"],
  },
];
for (const { name, numbers, turns } of CASES) {
  Deno.test(`take() ${name}`, () => {
    const order = createFrameOrder();
    assert.deepEqual(numbers.map((number) => order.take(number)), turns);
  });
}
