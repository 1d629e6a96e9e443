import assert from "node:assert/strict";
import { readScript } from "../../lib/adapters/fake_script.ts";

Deno.test("readScript() prints, waits and ends as the words say", () => {
  const { lines, output, exit } = readScript(`
    print first line
    sleep 2s
    error too late
    output KEY=a value
    output B=
    exit 3
    print never
  `);
  assert.deepEqual(lines, [
    { afterMs: 0, text: "first line" },
    { afterMs: 2_000, text: "too late", stream: "stderr" },
  ]);
  assert.equal(output, "KEY=a value\nB=\n");
  assert.deepEqual(exit, { afterMs: 2_000, code: 3 });
});

Deno.test("readScript() ends with 0 after the last line, and not at all with `stay`", () => {
  assert.deepEqual(readScript("sleep 1s").exit, { afterMs: 1_000, code: 0 });
  assert.equal(readScript("stay").exit, undefined);
  assert.deepEqual(readScript("#!/bin/sh\nbuild --all").exit, { afterMs: 0, code: 0 });
});

Deno.test("readScript() is healthy after the time it names", () => {
  const { exec } = readScript("healthy after 2s\nstay");
  assert.deepEqual([1_999, 2_000].map((ms) => exec!([], "", ms).code), [1, 0]);
});
